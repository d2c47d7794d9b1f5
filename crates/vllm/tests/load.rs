//! The load generator against the stub: what goes well, each scripted fault, and why runs end.

mod support;

use std::{
    collections::BTreeMap,
    net::{Ipv6Addr, SocketAddr},
    sync::Mutex,
    thread,
    time::Duration,
};

use slotune_serving::{
    CaveatClass, GiveUp, Latency, Load, Progress, RequestRecord, RequestStatus, Stage,
};
use slotune_vllm::{
    client::Client,
    clock::now,
    doctor::{LimitOptions, client_limit},
    load::{self, Endpoint, Options},
    stub::{Counters, Fault, Script, Stub},
};
use support::{as_run, closed, open, options, request, run, run_until, start};

fn all_completed(records: &[RequestRecord]) -> bool {
    records.iter().all(RequestRecord::is_completed)
}

/// The stub's counters once they are so: it counts a request after the client has had its last byte.
async fn settled(stub: &Stub, are_so: impl Fn(&Counters) -> bool) -> Counters {
    for _ in 0..500 {
        let counters = stub.counters();
        if are_so(&counters) {
            return counters;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", stub.counters());
}

#[tokio::test]
async fn an_open_loop_is_recorded_as_it_was_scheduled() {
    let stub = start(Script { token: Duration::from_millis(2), ..Script::default() });
    let mut schedule = open(20, 0.01);
    for (i, request) in (0..).zip(&mut schedule.requests) {
        (request.prompt_tokens, request.output_tokens) = (1 + 7 * i % 64, 1 + 11 * i % 40);
    }
    let outcome = run(&stub, &schedule, &options()).await;
    assert_eq!(outcome.stopped, None);
    assert_eq!(outcome.without_usage, 0);
    for (i, (record, request)) in outcome.records.iter().zip(&schedule.requests).enumerate() {
        assert_eq!(record.index as usize, i);
        assert_eq!(record.status, RequestStatus::Completed);
        assert_eq!(record.prompt_tokens, request.prompt_tokens);
        assert_eq!(record.output_tokens, request.output_tokens);
        assert!((record.intended_s - request.arrival_s).abs() < 1e-12);
        let (first_s, last_s) = (record.first_token_s.unwrap(), record.last_token_s.unwrap());
        assert!(record.intended_s <= record.sent_s && record.sent_s <= first_s);
        assert_eq!(record.chunk_times_s.len(), request.output_tokens as usize);
        assert!(record.chunk_times_s.is_sorted());
        assert_eq!(record.chunk_times_s.first(), Some(&first_s));
        assert_eq!(record.chunk_times_s.last(), Some(&last_s));
        assert!(last_s <= outcome.end_s);
        let least_s = 0.002 * f64::from(request.output_tokens - 1);
        assert!(last_s - first_s > least_s - 0.002, "record {i} is faster than the stub");
    }
    let summary = schedule.summary();
    let counters = settled(&stub, |counters| counters.finished == 20).await;
    assert_eq!(counters.prompt_tokens, summary.prompt_tokens);
    assert_eq!(counters.output_tokens, summary.output_tokens);
    assert!(outcome.client.wall_s >= outcome.end_s && outcome.client.cores == 1);
}

#[tokio::test]
async fn a_closed_loop_keeps_its_concurrency_and_reuses_its_connections() {
    let stub = start(Script { token: Duration::from_millis(1), ..Script::default() });
    let outcome = run(&stub, &closed(24, 4), &options()).await;
    assert!(all_completed(&outcome.records));
    assert!(stub.connections() <= 5, "{} connections", stub.connections());
    let mut moments: Vec<(f64, i32)> = vec![];
    for record in &outcome.records {
        assert!(record.intended_s <= record.sent_s);
        moments.extend([(record.sent_s, 1), (record.last_token_s.unwrap(), -1)]);
    }
    moments.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut in_flight = 0;
    for (_, change) in moments {
        in_flight += change;
        assert!(in_flight <= 4);
    }
}

#[tokio::test]
async fn a_chat_counts_tokens_as_the_server_does() {
    let stub = start(Script::default());
    let chat = Options { endpoint: Endpoint::Chat, ..options() };
    let outcome = run(&stub, &closed(3, 1), &chat).await;
    for record in &outcome.records {
        assert_eq!(record.status, RequestStatus::Completed);
        assert_eq!((record.prompt_tokens, record.output_tokens), (5, 4));
        assert_eq!(record.chunk_times_s.len(), 4, "the event that says who speaks is no token");
    }
}

#[tokio::test]
async fn several_tokens_in_an_event_are_counted_by_usage() {
    let stub = start(Script { tokens_per_event: 3, ..Script::default() });
    let outcome = run(&stub, &closed(1, 1), &options()).await;
    assert!(all_completed(&outcome.records));
    assert_eq!(outcome.records[0].output_tokens, 4);
    assert_eq!(outcome.records[0].chunk_times_s.len(), 2);
}

#[tokio::test]
async fn each_fault_has_its_outcome_and_spoils_no_other_request() {
    let died = r#"{"error":{"message":"no such model","type":"NotFoundError","code":404}}"#;
    let cases = [
        (Fault::Refused { status: 404, body: died.into() }, Err("status 404: no such model")),
        (Fault::Refused { status: 503, body: String::new() }, Err("Service Unavailable")),
        (Fault::Redirected { location: "http://127.0.0.1:1/".into() }, Err("not followed")),
        (Fault::Disconnect { after: 0 }, Err("the stream broke")),
        (Fault::Disconnect { after: 2 }, Err("the stream broke")),
        (Fault::Silence { after: 2 }, Err("no byte came for 0.5 s")),
        (Fault::ErrorEvent { after: 2 }, Err("EngineCore encountered an issue")),
        (Fault::EndlessLine, Err("an event of the stream is longer than")),
        (Fault::ByteByByte, Ok(())),
        (Fault::WrongUsage { completion_tokens: 3 }, Err("3 output tokens came instead of 4")),
        (Fault::NoUsage, Ok(())),
        (Fault::NoDone, Ok(())),
        (Fault::TwiceDone, Ok(())),
        (Fault::NoEnd, Ok(())),
    ];
    let faults = (0_u64..).step_by(2).zip(cases.iter().map(|(fault, _)| fault.clone()));
    let stub = start(Script { faults: faults.collect(), ..Script::default() });
    let limited = Options { silence_limit_s: 0.5, ..options() };
    let outcome = run(&stub, &closed(28, 1), &limited).await;
    for (pair, (fault, expected)) in outcome.records.chunks(2).zip(&cases) {
        match (&pair[0].status, expected) {
            (RequestStatus::Completed, Ok(())) => assert_eq!(pair[0].output_tokens, 4),
            (RequestStatus::Rejected(text) | RequestStatus::Failed(text), Err(part)) => {
                assert!(text.contains(part), "{fault:?}: {text}");
                assert!(text.len() < 1000, "{fault:?}: {text}");
            }
            (status, _) => panic!("{fault:?}: {status:?}"),
        }
        let is_refusal = matches!(fault, Fault::Refused { .. } | Fault::Redirected { .. });
        assert_eq!(matches!(pair[0].status, RequestStatus::Rejected(_)), is_refusal, "{fault:?}");
        assert!(pair[1].is_completed(), "after {fault:?}: {:?}", pair[1].status);
    }
    assert_eq!(outcome.without_usage, 1, "NoUsage; those that broke off could not tell");
}

#[tokio::test]
async fn tokens_that_do_not_fit_are_not_taken_for_an_answer() {
    let stub = start(Script { max_model_len: 7, ..Script::default() });
    let outcome = run(&stub, &closed(1, 1), &options()).await;
    let expected =
        "2 output tokens came instead of 4; vLLM cuts max_tokens to what fits into max_model_len";
    assert_eq!(outcome.records[0].status, RequestStatus::Failed(expected.to_owned()));
}

#[tokio::test]
async fn connections_that_the_server_closes_are_replaced() {
    let one_each = Script { requests_per_connection: Some(1), ..Script::default() };
    let stub = start(one_each);
    // A pause, so that the client has heard of the close when it sends the next.
    let outcome = run(&stub, &open(5, 0.05), &options()).await;
    assert!(all_completed(&outcome.records), "{:?}", outcome.records);
    assert_eq!(stub.connections(), 5);

    let stub = start(Script { idle_limit: Duration::from_millis(50), ..Script::default() });
    let outcome = run(&stub, &open(3, 0.2), &options()).await;
    assert!(all_completed(&outcome.records), "{:?}", outcome.records);
    assert_eq!(stub.connections(), 3);
}

#[tokio::test]
async fn nobody_listening_is_a_failure_of_each_request() {
    let stub = start(Script::default());
    let client = Client::new(&stub.base_url(), None).expect("an address");
    drop(stub);
    let never = std::future::pending();
    let schedule = open(3, 0.0);
    let outcome = load::run(&client, &schedule, &options(), now(), never, &Quiet).await;
    for record in outcome.expect("usable").records {
        let RequestStatus::Failed(text) = record.status else { panic!("{:?}", record.status) };
        assert!(text.contains("refused"), "{text}");
    }
}

#[tokio::test]
async fn an_ipv6_server_is_reached() {
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    // A machine without IPv6 cannot tell.
    let Ok(stub) = Stub::start_at(Script::default(), address) else { return };
    assert!(all_completed(&run(&stub, &closed(2, 1), &options()).await.records));
}

#[tokio::test]
async fn a_run_ends_once_its_percentile_is_decided() {
    let stub = start(Script { token: Duration::from_millis(100), ..Script::default() });
    let mut schedule = open(20, 0.05);
    for request in &mut schedule.requests {
        request.output_tokens = 100;
    }
    let give_up = GiveUp { of_first: None, latency: Latency::E2e, percent: 95.0, above_s: 0.3 };
    let outcome = run(&stub, &schedule, &Options { give_up: vec![give_up], ..options() }).await;
    let caveat = outcome.stopped.expect("decided");
    assert_eq!(caveat.class, CaveatClass::Decided);
    assert!(outcome.end_s < 5.0, "a request takes 10 s, but the run took {} s", outcome.end_s);
    let unfinished = outcome.records.iter().filter(|record| record.is_unfinished());
    for record in unfinished.clone() {
        assert!(record.first_token_s.is_some() || record.sent_s > 0.2, "what came is kept");
    }
    assert!(unfinished.count() >= 2);
    let is_not_sent = |record: &RequestRecord| record.status == RequestStatus::NotSent;
    for record in outcome.records.iter().filter(|record| is_not_sent(record)) {
        let arrival_s = schedule.requests[record.index as usize].arrival_s;
        assert!((record.sent_s - arrival_s).abs() < 1e-12);
    }
}

#[tokio::test]
async fn a_run_ends_when_the_server_does_not_keep_up() {
    let stub =
        start(Script { first_token: Duration::from_millis(20), slots: 1, ..Script::default() });
    let limited = Options { overrun_limit_s: 0.2, ..options() };
    let outcome = run(&stub, &open(400, 0.002), &limited).await;
    let caveat = outcome.stopped.expect("stopped");
    assert_eq!(caveat.class, CaveatClass::Overload);
    assert!(outcome.end_s < 5.0, "all would take 8 s, but the run took {} s", outcome.end_s);
    let not_sent = outcome.records.iter().filter(|r| r.status == RequestStatus::NotSent).count();
    let ended = outcome.records.iter().filter(|r| r.is_completed()).count();
    let unfinished = outcome.records.iter().filter(|r| r.is_unfinished()).count();
    assert_eq!(not_sent + ended + unfinished, 400);
    assert!(ended >= 1 && unfinished >= 1);
}

#[tokio::test]
async fn a_run_ends_when_its_server_has() {
    for load in [Load::Open, Load::Closed { concurrency: 5 }] {
        let stub = start(Script { first_token: Duration::from_mins(1), ..Script::default() });
        let mut schedule = open(10, 0.0);
        schedule.load = load;
        schedule.requests[9].arrival_s = 60.0;
        let gone = tokio::time::sleep(Duration::from_millis(200));
        let outcome = run_until(&stub, &schedule, &options(), gone).await;
        assert_eq!(outcome.stopped, None);
        assert!(outcome.end_s < 5.0);
        let count = |status| outcome.records.iter().filter(|r| r.status == status).count();
        let failed = count(RequestStatus::Failed("the server ended".to_owned()));
        assert_eq!(failed, if load == Load::Open { 9 } else { 5 });
        assert_eq!(count(RequestStatus::NotSent), 10 - failed);
    }
}

/// A backend may be awaited from any thread.
#[tokio::test]
async fn a_run_and_the_doctor_can_change_threads() {
    fn changes_threads<T: Send>(future: T) -> T {
        future
    }
    let stub = start(Script::default());
    let (schedule, options) = (closed(1, 1), options());
    assert!(all_completed(&changes_threads(run(&stub, &schedule, &options)).await.records));
    let limit = LimitOptions { streams: 1, chunks_per_s: 100.0, duration_s: 0.05 };
    changes_threads(client_limit(&limit)).await.expect("measured");
}

#[tokio::test]
async fn an_abandoned_run_leaves_no_request() {
    let stub = start(Script { first_token: Duration::from_mins(1), ..Script::default() });
    let schedule = closed(8, 4);
    let options = options();
    let abandoned = run(&stub, &schedule, &options);
    tokio::time::timeout(Duration::from_millis(200), abandoned).await.expect_err("takes minutes");
    settled(&stub, |counters| counters.aborted == 4).await;
}

/// The executor is blocked for 50 ms again and again: what it reads is late, whatever the server.
#[tokio::test]
async fn a_slowed_client_is_found_out() {
    let stub = start(Script { token: Duration::from_millis(1), ..Script::default() });
    let schedule = open(40, 0.01);
    let sluggish = tokio::spawn(async {
        loop {
            thread::sleep(Duration::from_millis(50));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut run = as_run(run(&stub, &schedule, &options()).await);
    sluggish.abort();
    run.examine(&schedule);
    let caveat = run.disqualification().expect("a client this slow is disqualified");
    assert_eq!(caveat.class, CaveatClass::ClientLate);
}

#[tokio::test]
async fn progress_is_told_until_all_have_ended() {
    #[derive(Default)]
    struct Heard(Mutex<Vec<Stage>>);
    impl Progress for Heard {
        fn stage(&self, stage: Stage) {
            self.0.lock().unwrap().push(stage);
        }
    }
    let stub = start(Script::default());
    let client = Client::new(&stub.base_url(), None).expect("an address");
    let (heard, never) = (Heard::default(), std::future::pending());
    load::run(&client, &closed(4, 2), &options(), now(), never, &heard).await.expect("usable");
    let stages = heard.0.into_inner().unwrap();
    assert_eq!(stages.last(), Some(&Stage::Measuring { ended: 4, scheduled: 4 }));
}

#[tokio::test]
async fn what_cannot_be_used_is_named_before_anything_is_sent() {
    let stub = start(Script::default());
    let client = Client::new(&stub.base_url(), None).expect("an address");
    let mut late = open(2, 0.0);
    late.requests[1] = request(f64::NAN, 1, 1);
    let cases = [
        (open(1, 0.0), Options::new("stub", 5..5), "vocabulary"),
        (open(1, 0.0), Options { silence_limit_s: f64::INFINITY, ..options() }, "silence_limit_s"),
        (open(1, 0.0), Options { overrun_limit_s: -1.0, ..options() }, "overrun_limit_s"),
        (closed(1, 0), options(), "concurrency"),
        (late, options(), "arrival_s"),
    ];
    for (schedule, options, field) in cases {
        let never = std::future::pending();
        let error = load::run(&client, &schedule, &options, now(), never, &Quiet).await;
        assert!(error.expect_err(field).to_string().contains(field));
    }
    assert_eq!(stub.connections(), 0);
    let outcome = run(&stub, &open(0, 0.0), &options()).await;
    assert!(outcome.records.is_empty() && outcome.stopped.is_none());
}

#[tokio::test]
async fn the_metrics_page_agrees_with_what_was_served() {
    let faults = BTreeMap::from([(1, Fault::Disconnect { after: 1 })]);
    let stub = start(Script { faults, ..Script::default() });
    run(&stub, &closed(3, 1), &options()).await;
    let client = Client::new(&stub.base_url(), None).expect("an address");
    let page = client.get("/metrics", Duration::from_secs(5)).await.expect("a page");
    let page = String::from_utf8(page.to_vec()).expect("text");
    for line in [
        r#"vllm:request_success_total{engine="0",finished_reason="length",model_name="stub"} 2.0"#,
        r#"vllm:request_success_total{engine="0",finished_reason="abort",model_name="stub"} 1.0"#,
        r#"vllm:prompt_tokens_total{engine="0",model_name="stub"} 15.0"#,
        r#"vllm:generation_tokens_total{engine="0",model_name="stub"} 9.0"#,
        r#"vllm:num_requests_running{engine="0",model_name="stub"} 0.0"#,
        r#"vllm:request_queue_time_seconds_count{engine="0",model_name="stub"} 3.0"#,
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
}

struct Quiet;

impl Progress for Quiet {
    fn stage(&self, _: Stage) {}
}
