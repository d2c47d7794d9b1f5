//! Runs that end before their requests do.

use super::*;

#[test]
fn the_time_limit_ends_the_run() {
    let requests = (0..30).map(|index| spec(f64::from(index) * 0.1, 100, 100)).collect();
    let schedule = open(requests);
    let options = RunOptions { time_limit_s: Some(1.5), ..RunOptions::default() };
    let run = run(&arguments(), &schedule, &options);
    let count = |status: &RequestStatus| run.records.iter().filter(|r| r.status == *status).count();
    assert!(count(&RequestStatus::Completed) > 3);
    assert!(count(&RequestStatus::Unfinished) > 3);
    assert_eq!(count(&RequestStatus::NotSent), 14, "those of 1.6 s and later");
    assert_eq!(
        count(&RequestStatus::Completed) + count(&RequestStatus::Unfinished),
        30 - count(&RequestStatus::NotSent)
    );
    assert_eq!(run.totals.end_s.to_bits(), 1.5_f64.to_bits());
    assert!(run.records.iter().filter_map(|record| record.last_token_s).all(|end_s| end_s <= 1.5));
    assert!(run.records.iter().any(|record| (1..100).contains(&record.output_tokens)));
    let last = run.records.last().expect("30 records");
    assert_eq!((last.output_tokens, last.first_token_s, last.queue_time_s), (0, None, None));
}

#[test]
fn a_closed_loop_cut_short_says_so() {
    let requests = (0..9).map(|_| spec(0.0, 100, 100)).collect();
    let schedule = Schedule { load: Load::Closed { concurrency: 1 }, requests };
    let options = RunOptions { time_limit_s: Some(1.0), ..RunOptions::default() };
    let run = run(&arguments(), &schedule, &options);
    let last = run.records.last().expect("9 records");
    assert_eq!(
        (last.intended_s.to_bits(), &last.status),
        (1.0_f64.to_bits(), &RequestStatus::NotSent)
    );
}

/// A cache one block too small for a request: it never ends, and neither does the queue behind it,
/// but the simulation does.
#[test]
fn a_request_that_outgrows_the_cache_is_left_unfinished() {
    let server = ServerModel::measured();
    for is_asynchronous in [false, true] {
        let arguments = server
            .resolve(&EngineArguments { async_scheduling: Some(is_asynchronous), ..arguments() });
        let schedule = open(vec![spec(0.0, 20, 5), spec(0.0, 60, 60), spec(9.0, 20, 5)]);
        let run = simulate(&server, &arguments, 8, &schedule, &RunOptions::default());
        let records = run.expect("a well-formed schedule").records;
        assert!(records[0].is_completed());
        assert_eq!(records[1].status, RequestStatus::Unfinished);
        assert!(records[1].output_tokens > 40);
        assert_eq!(records[2].status, RequestStatus::Unfinished);
    }
}

/// The front end takes in one request in 2.5 ms. Those it did not come to were sent nevertheless.
#[test]
fn requests_that_a_busy_front_end_did_not_take_in_are_unfinished() {
    for load in [Load::Open, Load::Closed { concurrency: 90 }] {
        let schedule = Schedule { load, requests: vec![spec(0.0, 300, 5); 100] };
        let options = RunOptions { time_limit_s: Some(0.1), ..RunOptions::default() };
        let run = run(&arguments(), &schedule, &options);
        let count = |status| run.records.iter().filter(|record| record.status == status).count();
        let unsent = if load == Load::Open { 0 } else { 10 };
        assert_eq!(count(RequestStatus::NotSent), unsent, "{load:?}");
        assert_eq!(count(RequestStatus::Unfinished), 100 - unsent, "{load:?}");
        let scheduled = run.records.iter().filter(|record| record.queue_time_s.is_some()).count();
        assert!((1..41).contains(&scheduled), "{scheduled}");
    }
}

/// Ten times what the server can do, for ever: the limit ends it.
#[test]
fn an_endless_overload_ends_at_the_time_limit() {
    let server = ServerModel::measured();
    for load in [Load::Open, Load::Closed { concurrency: 5000 }] {
        let endless = (0_u32..).map(|index| spec(f64::from(index) * 0.002, 500, 200));
        let options = RunOptions { time_limit_s: Some(20.0), ..RunOptions::default() };
        let mut seen = std::collections::BTreeSet::new();
        let resolved = server.resolve(&arguments());
        let totals =
            simulate_each(&server, &resolved, KV_BLOCKS, load, endless, &options, |record| {
                assert!(record.last_token_s.is_none_or(|last_s| last_s <= 20.0));
                assert!(seen.insert(record.index), "each request is handed out once");
            });
        assert_eq!(totals.expect("well-formed requests").end_s.to_bits(), 20_f64.to_bits());
        assert!(seen.iter().copied().eq(0..u32::try_from(seen.len()).expect("few")));
        assert!(seen.len() >= 5000, "{}", seen.len());
    }
}

/// The limit may come before anything does.
#[test]
fn a_run_of_no_time_sends_what_is_due_at_once() {
    let options = RunOptions { time_limit_s: Some(0.0), ..RunOptions::default() };
    let run = run(&arguments(), &open(vec![spec(0.0, 5, 5), spec(1e-9, 5, 5)]), &options);
    let statuses: Vec<_> = run.records.into_iter().map(|record| record.status).collect();
    assert_eq!(statuses, [RequestStatus::Unfinished, RequestStatus::NotSent]);
}

/// One block is never used: of 9 blocks of 16 tokens a request of 128 tokens uses 8, and needs no
/// block for its last token.
#[test]
fn a_request_may_fill_the_whole_cache() {
    let server = ServerModel::measured();
    let resolved = server.resolve(&EngineArguments { max_model_len: Some(160), ..arguments() });
    for (output, is_completed) in [(28, true), (29, true), (30, false)] {
        let schedule = open(vec![spec(0.0, 100, output)]);
        let run = simulate(&server, &resolved, 9, &schedule, &RunOptions::default());
        let record = &run.expect("a well-formed schedule").records[0];
        assert_eq!(record.is_completed(), is_completed, "{output}");
    }
}
