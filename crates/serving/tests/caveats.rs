//! What limits a run: each rule on a run that keeps it and on one that breaks it.

use slotune_serving::{
    CaveatClass, ClientFacts, GiveUp, Latency, Load, RequestRecord, RequestSpec, RequestStatus,
    Run, Schedule, ServerFacts,
    metrics::{MeasureOptions, measure, percentile, steady_state},
};

const REQUESTS: u32 = 100;

/// One request every 0.1 s.
fn schedule() -> Schedule {
    let request = |index: u32| RequestSpec {
        arrival_s: 0.1 * f64::from(index),
        prompt_tokens: 50,
        output_tokens: 10,
        shared_prefix: vec![],
    };
    Schedule { load: Load::Open, requests: (0..REQUESTS).map(request).collect() }
}

/// Served without blemish: each request takes 1 s, its first token 0.1 s.
fn flawless() -> Run {
    let record = |index: u32| {
        let intended_s = 0.1 * f64::from(index);
        RequestRecord {
            index,
            prompt_tokens: 50,
            output_tokens: 10,
            intended_s,
            sent_s: intended_s + 0.000_2,
            first_token_s: Some(intended_s + 0.1),
            last_token_s: Some(intended_s + 1.0 + 0.01 * f64::from(index % 7)),
            queue_time_s: None,
            chunk_times_s: vec![],
            status: RequestStatus::Completed,
        }
    };
    Run {
        records: (0..REQUESTS).map(record).collect(),
        end_s: 11.0,
        cost_s: 40.0,
        server: ServerFacts {
            prompt_tokens: Some(5000),
            output_tokens: Some(1000),
            completed_requests: Some(100),
            prefix_cache_queries: Some(5000),
            prefix_cache_hits: Some(0),
            ..ServerFacts::default()
        },
        timeline: vec![],
        client: Some(ClientFacts { cpu_s: 1.0, wall_s: 11.0, cores: 2, wake_lag_p99_s: 0.000_3 }),
        caveats: vec![],
    }
}

fn caveats(change: impl FnOnce(&mut Run)) -> Vec<CaveatClass> {
    let mut run = flawless();
    change(&mut run);
    run.examine(&schedule());
    run.caveats.iter().map(|caveat| caveat.class).collect()
}

#[test]
fn each_rule_tells_a_broken_run_from_a_sound_one() {
    type Change = fn(&mut Run);
    let late = |run: &mut Run, lag_s: f64| {
        run.records.iter_mut().step_by(10).for_each(|record| record.sent_s += lag_s);
    };
    assert_eq!(caveats(|_| ()), []);
    assert_eq!(caveats(|run| late(run, 0.004)), [], "less than 5 ms");
    assert_eq!(caveats(|run| late(run, 0.006)), [CaveatClass::ClientLate]);
    let cases: [(CaveatClass, Change); 9] = [
        (CaveatClass::Rejected, |run| {
            let text = "This model's maximum context length is 4096 tokens.".to_owned();
            run.records[3].status = RequestStatus::Rejected(text);
        }),
        (CaveatClass::ClientLate, |run| run.client.as_mut().expect("set").wake_lag_p99_s = 0.02),
        (CaveatClass::ClientCpu, |run| run.client.as_mut().expect("set").cpu_s = 21.0),
        (CaveatClass::TokenCounts, |run| run.server.output_tokens = Some(1020)),
        (CaveatClass::TokenCounts, |run| run.server.prompt_tokens = Some(4900)),
        (CaveatClass::TokenCounts, |run| run.server.completed_requests = Some(102)),
        (CaveatClass::PrefixCache, |run| run.server.prefix_cache_hits = Some(60)),
        (CaveatClass::NotSteady, |run| {
            for record in &mut run.records {
                let longer_s = 0.2 * f64::from(record.index);
                record.last_token_s = record.last_token_s.map(|last_s| last_s + longer_s);
            }
        }),
        (CaveatClass::ClientRate, |run| {
            // Late by ever more, though never by much at a time.
            for record in &mut run.records {
                record.sent_s = 1.03 * record.intended_s;
                record.first_token_s = Some(record.intended_s + 40.0);
                record.last_token_s = Some(record.intended_s + 41.0);
            }
        }),
    ];
    for (expected, change) in cases {
        assert_eq!(caveats(change), [expected]);
    }
}

#[test]
fn a_slow_server_excuses_a_lag_that_it_dwarfs() {
    let slow = |run: &mut Run| {
        for record in &mut run.records {
            record.first_token_s = Some(record.intended_s + 0.9);
            record.sent_s = record.intended_s + 0.015;
        }
    };
    assert_eq!(caveats(slow), [], "15 ms are less than 2 % of 0.9 s");
}

#[test]
fn counts_are_compared_only_where_all_completed() {
    let broken_off = |run: &mut Run| {
        run.records[7].status = RequestStatus::Failed("connection reset".to_owned());
        run.server.output_tokens = Some(2000);
    };
    assert_eq!(caveats(broken_off), []);
}

#[test]
fn only_a_client_that_spoilt_the_run_disqualifies_it() {
    let mut run = flawless();
    run.server.output_tokens = Some(1020);
    run.examine(&schedule());
    assert_eq!(run.disqualification(), None);
    run.client = Some(ClientFacts { cpu_s: 21.9, wall_s: 11.0, cores: 2, wake_lag_p99_s: 0.0 });
    run.caveats.clear();
    run.examine(&schedule());
    let caveat = run.disqualification().expect("the client used all its CPU");
    assert_eq!(caveat.class, CaveatClass::ClientCpu);
    assert_eq!(
        caveat.message,
        "the client used 100 % of its 2 cores, more than 90 %; give it more cores, or lower the rate"
    );
}

#[test]
fn the_warm_up_is_found() {
    let mut run = flawless();
    for record in run.records.iter_mut().take(20) {
        record.last_token_s = record.last_token_s.map(|last_s| last_s + 3.0);
    }
    let steady = steady_state(&run.records).expect("enough requests");
    assert!((steady.from_s - 2.0).abs() < 1e-9, "{steady:?}");
    assert!((steady.warm_up_share - 0.2).abs() < 1e-9 && steady.is_reached());
    assert_eq!(steady_state(&run.records[..49]), None, "too few");
}

/// A run that was stopped at 5 s: what had ended by then, what was under way, what was not sent.
fn cut_short() -> Run {
    let mut run = flawless();
    run.end_s = 5.0;
    for record in &mut run.records {
        if record.intended_s > run.end_s {
            record.status = RequestStatus::NotSent;
            (record.first_token_s, record.last_token_s) = (None, None);
        } else if record.last_token_s > Some(run.end_s) {
            record.status = RequestStatus::Unfinished;
            (record.first_token_s, record.last_token_s) = (None, None);
            record.output_tokens = 0;
        }
    }
    // One of them has been waiting from the start.
    run.records[0].status = RequestStatus::Unfinished;
    run
}

#[test]
fn requests_under_way_count_with_the_time_they_had() {
    let measured = measure(&cut_short(), &MeasureOptions::default()).expect("some completed");
    let run = cut_short();
    let mut known: Vec<f64> = run
        .records
        .iter()
        .filter_map(|record| match record.status {
            RequestStatus::Unfinished => Some(run.end_s - record.intended_s),
            _ => record.e2e_s(),
        })
        .collect();
    known.sort_by(f64::total_cmp);
    let estimate = measured.get("e2e_p99_s").expect("defined");
    assert!(estimate.is_lower_bound);
    assert_eq!(Some(estimate.value), percentile(&known, 99.0));
    assert!(estimate.value > 3.0, "the one that waits from the start");
    assert!(measured.get("ttft_p95_s").expect("defined").is_lower_bound);
    assert!(!measured.get("tpot_mean_s").expect("defined").is_lower_bound);
    let completed = run.records.iter().filter(|record| record.is_completed()).count();
    let throughput = measured.value("request_throughput_per_s").expect("defined");
    assert!((throughput - completed as f64 / 5.0).abs() < 1e-9, "until the run was stopped");
}

#[test]
fn a_run_is_decided_only_when_the_percentile_must_exceed_the_limit() {
    for (percent, scheduled) in [(95.0, 100), (95.0, 99), (99.0, 4000), (50.0, 3), (95.0, 1)] {
        let give_up = GiveUp { of_first: None, latency: Latency::E2e, percent, above_s: 1.0 };
        let tolerated = give_up.tolerated(scheduled);
        let with_above = |above: usize| {
            let mut values = vec![0.0; scheduled - above];
            values.extend(vec![2.0; above]);
            percentile(&values, percent).expect("defined")
        };
        assert!(with_above(tolerated) <= 2.0);
        assert!(with_above(tolerated + 1) > 1.0, "{percent} of {scheduled}");
    }
}
