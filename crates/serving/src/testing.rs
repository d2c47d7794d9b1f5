//! What every backend must do: the suite that each backend's tests run.
//!
//! Present with the feature `testing`.

use std::sync::Arc;

use crate::{
    Backend, BackendError, EngineArguments, Load, Provenance, RequestSpec, Run, Schedule, Silent,
    TrialRequest,
};

/// Checks that a backend keeps the contract of [`Backend`]:
///
/// - it says what it is;
/// - it returns one record for each request, in the order of the schedule, for an open and for a
///   closed loop, and none for an empty schedule;
/// - times are in order: intended, sent, first token, chunks, last token;
/// - completed requests have the tokens that were asked for;
/// - no more requests of a closed loop are in flight than it allows;
/// - a simulator answers the same to the same request and seed, and fresh from `make` too;
/// - arguments that no vLLM accepts are [`BackendError::Infeasible`], and a server can be started
///   after that.
///
/// `make` gives a backend ready for use. A real one starts a server up to four times, and must serve
/// prompts of 64 tokens with outputs of 40. Runs on any executor.
///
/// # Panics
/// When the backend breaks the contract; the message says where.
pub async fn conformance(make: impl Fn() -> Box<dyn Backend>) {
    let backend = make();
    check_description(backend.as_ref());

    let empty = evaluate(backend.as_ref(), &Schedule { load: Load::Open, requests: vec![] }).await;
    assert!(empty.records.is_empty(), "an empty schedule gave {} records", empty.records.len());

    check_infeasible(backend.as_ref()).await;

    let open = open_loop();
    let run = evaluate(backend.as_ref(), &open).await;
    check_records("open loop", &open, &run);

    let closed = closed_loop();
    let closed_run = evaluate(backend.as_ref(), &closed).await;
    check_records("closed loop", &closed, &closed_run);
    check_concurrency(&closed_run);

    if let Provenance::Simulated(_) = backend.describe().provenance {
        assert_eq!(
            evaluate(backend.as_ref(), &open).await,
            run,
            "the same request and seed gave another run"
        );
        assert_eq!(evaluate(make().as_ref(), &open).await, run, "a fresh backend gave another run");
    }
}

const IN_FLIGHT: u32 = 4;

/// Requests of different lengths, some at the same time, some apart.
fn open_loop() -> Schedule {
    let requests = (0..24).map(|i| request(0.05 * f64::from(i / 2), i)).collect();
    Schedule { load: Load::Open, requests }
}

fn closed_loop() -> Schedule {
    let requests = (0..16).map(|i| request(0.0, i)).collect();
    Schedule { load: Load::Closed { concurrency: IN_FLIGHT }, requests }
}

fn request(arrival_s: f64, i: u32) -> RequestSpec {
    let prompt_tokens = 1 + (7 * i) % 64;
    let output_tokens = 1 + (11 * i) % 40;
    RequestSpec { arrival_s, prompt_tokens, output_tokens, shared_prefix: vec![] }
}

async fn evaluate(backend: &dyn Backend, schedule: &Schedule) -> Run {
    let request = trial(EngineArguments::default(), schedule);
    let answer = backend.evaluate(&request, &Silent).await;
    answer.unwrap_or_else(|error| panic!("default arguments were not evaluated: {error}"))
}

fn trial(arguments: EngineArguments, schedule: &Schedule) -> TrialRequest {
    TrialRequest {
        arguments,
        schedule: Arc::new(schedule.clone()),
        seed: 11,
        record_chunk_times: true,
        give_up: vec![],
    }
}

fn check_description(backend: &dyn Backend) {
    let info = backend.describe();
    for (field, text) in
        [("name", &info.name), ("vllm_version", &info.vllm_version), ("model", &info.model)]
    {
        assert!(!text.is_empty(), "the backend's {field} is empty");
    }
    if let Provenance::Simulated(calibration) = &info.provenance {
        assert!(!calibration.basis.is_empty(), "a simulator must say what it was fitted to");
    }
    assert_eq!(
        backend.describe(),
        info,
        "the backend describes itself differently the second time"
    );
}

/// More sequences than tokens in a step: every version of vLLM refuses that.
async fn check_infeasible(backend: &dyn Backend) {
    let arguments = EngineArguments {
        max_num_seqs: Some(64),
        max_num_batched_tokens: Some(32),
        ..EngineArguments::default()
    };
    match backend.evaluate(&trial(arguments, &open_loop()), &Silent).await {
        Err(BackendError::Infeasible { message, cost_s, .. }) => {
            assert!(!message.is_empty(), "an infeasible configuration came without a reason");
            assert!(
                cost_s.is_finite() && cost_s >= 0.0,
                "an infeasible configuration cost {cost_s} s"
            );
        }
        Err(error) => panic!("more sequences than tokens in a step are infeasible, not: {error}"),
        Ok(_) => {
            panic!("more sequences than tokens in a step were evaluated, but vLLM refuses them")
        }
    }
}

fn check_records(load: &str, schedule: &Schedule, run: &Run) {
    let (records, requests) = (&run.records, &schedule.requests);
    assert_eq!(records.len(), requests.len(), "{load}: number of records");
    assert!(
        run.server.start_up_s.is_finite() && run.server.start_up_s >= 0.0,
        "{load}: start-up time"
    );
    for (i, (record, request)) in records.iter().zip(requests).enumerate() {
        let at = format!("{load}, record {i}");
        assert_eq!(record.index as usize, i, "{at}: index");
        assert_eq!(record.prompt_tokens, request.prompt_tokens, "{at}: prompt tokens");
        assert!(record.is_completed(), "{at}: ended as {:?} under a light load", record.status);
        assert_eq!(record.output_tokens, request.output_tokens, "{at}: output tokens");
        if schedule.load == Load::Open {
            let late_s = (record.intended_s - request.arrival_s).abs();
            assert!(late_s < 1e-6, "{at}: intended {late_s} s away from its arrival");
        }
        let (Some(first_s), Some(last_s)) = (record.first_token_s, record.last_token_s) else {
            panic!("{at}: completed without a first or last token");
        };
        let times = [
            ("intended", record.intended_s),
            ("sent", record.sent_s),
            ("first token", first_s),
            ("last token", last_s),
        ];
        for pair in times.windows(2) {
            let ((earlier, before_s), (later, after_s)) = (pair[0], pair[1]);
            assert!(before_s <= after_s, "{at}: {earlier} at {before_s} s, {later} at {after_s} s");
        }
        assert!(
            record.intended_s >= 0.0 && last_s.is_finite(),
            "{at}: times are not finite or before the start"
        );
        let chunks = &record.chunk_times_s;
        assert!(chunks.is_sorted(), "{at}: chunk times run backwards");
        assert!(
            chunks.first() == Some(&first_s) && chunks.last() == Some(&last_s),
            "{at}: chunks do not begin with the first token and end with the last"
        );
        assert!(chunks.len() <= record.output_tokens as usize, "{at}: more chunks than tokens");
        if let Some(queue_time_s) = record.queue_time_s {
            let until_first_s = first_s - record.sent_s;
            assert!(
                (0.0..=until_first_s).contains(&queue_time_s),
                "{at}: queue time {queue_time_s} s"
            );
        }
    }
}

/// Checks that no request was sent before enough others had ended.
fn check_concurrency(run: &Run) {
    let mut ends: Vec<f64> = run.records.iter().filter_map(|record| record.last_token_s).collect();
    let mut sends: Vec<f64> = run.records.iter().map(|record| record.sent_s).collect();
    ends.sort_by(f64::total_cmp);
    sends.sort_by(f64::total_cmp);
    for (i, (sent_s, ended_s)) in sends.iter().skip(IN_FLIGHT as usize).zip(ends).enumerate() {
        let number = i + IN_FLIGHT as usize + 1;
        assert!(
            *sent_s >= ended_s,
            "closed loop: request number {number} was sent at {sent_s} s, before {} had ended at {ended_s} s",
            i + 1
        );
    }
}
