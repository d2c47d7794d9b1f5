//! The opening of a run: what it had, when it decides, and the run as it is known until then.

use slotune_serving::{
    GiveUp, Latency, RequestRecord, RequestStatus, Run, ServerFacts, ServerSample,
    metrics::{MeasureOptions, Slo, measure, opening},
};

/// One request every second, each of which takes `e2e_s`, its first token a tenth of that; eleven tokens.
fn run(e2e_s: impl Fn(u32) -> f64, requests: u32) -> Run {
    let record = |index: u32| {
        let intended_s = f64::from(index);
        RequestRecord {
            index,
            prompt_tokens: 50,
            output_tokens: 11,
            intended_s,
            sent_s: intended_s,
            first_token_s: Some(intended_s + 0.1 * e2e_s(index)),
            last_token_s: Some(intended_s + e2e_s(index)),
            queue_time_s: Some(0.01),
            chunk_times_s: vec![],
            status: RequestStatus::Completed,
        }
    };
    let records: Vec<RequestRecord> = (0..requests).map(record).collect();
    let end_s = records.iter().filter_map(|r| r.last_token_s).fold(0.0, f64::max);
    let sample = |time_s: u32| ServerSample {
        time_s: f64::from(time_s),
        running: 1,
        waiting: 0,
        kv_cache_usage: 0.1,
        output_tokens: 1,
        preemptions: 0,
    };
    Run {
        records,
        end_s,
        cost_s: 60.0 + end_s,
        server: ServerFacts {
            start_up_s: 60.0,
            kv_blocks: Some(100),
            preemptions: Some(7),
            ..ServerFacts::default()
        },
        timeline: (0..requests).map(sample).collect(),
        client: None,
        caveats: vec![],
    }
}

fn limit(of_first: Option<u32>, latency: Latency, percent: f64, above_s: f64) -> GiveUp {
    GiveUp { of_first, latency, percent, above_s }
}

#[test]
fn an_opening_has_the_percentile_that_a_run_of_its_requests_alone_would_have() {
    let whole = run(|index| 1.0 + 0.37 * f64::from(index * 7 % 40), 40);
    let alone = run(|index| 1.0 + 0.37 * f64::from(index * 7 % 40), 15);
    let measured = measure(&alone, &MeasureOptions { slo: Slo::default(), replicates: 0, seed: 0 });
    let measured = measured.unwrap();
    for (metric, latency, percent) in
        [("e2e_p95_s", Latency::E2e, 95.0), ("ttft_p50_s", Latency::Ttft, 50.0)]
    {
        let estimate = opening(&whole, 15, latency, percent).expect("known");
        assert!((estimate.value - measured.value(metric).unwrap()).abs() < 1e-12, "{metric}");
        assert!(!estimate.is_lower_bound);
    }
    assert_eq!(opening(&run(|_| 1.0, 0), 15, Latency::E2e, 95.0), None);
}

#[test]
fn a_run_is_decided_when_enough_of_its_first_requests_have_taken_too_long() {
    // The third, fifth and seventh request are slow, and most later ones.
    let slow = |index: u32| if index > 8 || [2, 4, 6].contains(&index) { 20.0 } else { 1.0 };
    let run = run(slow, 40);
    let of_first = |percent| limit(Some(8), Latency::E2e, percent, 5.0).decided_s(&run);
    // Of eight requests, P75 is surely above the limit once three are, the median once five are.
    assert_eq!(of_first(50.0), None);
    assert_eq!(of_first(75.0), Some(6.0 + 5.0));
    assert_eq!(of_first(100.0), Some(2.0 + 5.0));
    assert!(limit(None, Latency::E2e, 50.0, 5.0).decided_s(&run).is_some());
    assert_eq!(limit(Some(8), Latency::Ttft, 100.0, 2.5).decided_s(&run), None);
    assert_eq!(limit(Some(8), Latency::Ttft, 100.0, 1.5).decided_s(&run), Some(2.0 + 1.5));
}

#[test]
fn a_run_that_was_stopped_is_decided_as_it_would_have_been() {
    let whole = run(|index| if index % 3 == 2 { 20.0 } else { 1.0 }, 40);
    let limit = limit(Some(8), Latency::E2e, 90.0, 5.0);
    let decided_s = limit.decided_s(&whole).expect("decided");
    // A backend notices a little later.
    let stopped = whole.cut(decided_s + 0.1);
    assert_eq!(limit.decided_s(&stopped), Some(decided_s));
    let known = opening(&stopped.cut(decided_s), 8, Latency::E2e, 90.0).expect("known");
    assert!(known.is_lower_bound && known.value >= 5.0, "{known:?}");
}

#[test]
fn a_run_that_is_cut_holds_what_was_known_then() {
    let whole = run(|_| 4.0, 20);
    let run = whole.clone().cut(10.0);
    let with = |status: &RequestStatus| run.records.iter().filter(|r| r.status == *status).count();
    assert_eq!(with(&RequestStatus::Completed), 7, "the last of them ended at 10 s");
    assert_eq!(with(&RequestStatus::Unfinished), 4);
    assert_eq!(with(&RequestStatus::NotSent), 9);
    let under_way = &run.records[8];
    // Of ten gaps in 3.6 s, those of 1.6 s have passed.
    assert_eq!((under_way.output_tokens, under_way.last_token_s), (5, Some(10.0)));
    assert_eq!((run.records[10].output_tokens, run.records[10].first_token_s), (0, None));
    assert!((run.cost_s - 70.0).abs() < 1e-12 && (run.end_s - 10.0).abs() < 1e-12);
    assert_eq!((run.server.kv_blocks, run.server.preemptions), (Some(100), None));
    assert_eq!(run.timeline.len(), 11);
    assert_eq!(whole.clone().cut(1e9), whole, "nothing is left to cut");
    let measured = measure(&run, &MeasureOptions::default()).unwrap();
    assert!(measured.get("e2e_p95_s").unwrap().is_lower_bound);
}
