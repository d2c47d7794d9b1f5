//! The simulator as a backend.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use slotune_serving::{
    Backend, BackendError, EngineArguments, InfeasibleClass, Load, Progress, RequestSpec, Run,
    Schedule, Stage, TrialRequest,
};
use slotune_sim::{CacheState, Noise, ServerModel, Simulator};

fn trial(arguments: EngineArguments) -> TrialRequest {
    let requests = (0..50)
        .map(|index| RequestSpec {
            arrival_s: f64::from(index) * 0.05,
            prompt_tokens: 100 + 7 * index,
            output_tokens: 30,
            shared_prefix: vec![],
        })
        .collect();
    let schedule = Arc::new(Schedule { load: Load::Open, requests });
    TrialRequest { arguments, schedule, seed: 1, record_chunk_times: false, give_up: vec![] }
}

#[derive(Default)]
struct Stages(Mutex<Vec<Stage>>);

impl Progress for Stages {
    fn stage(&self, stage: Stage) {
        self.0.lock().expect("no test panics here").push(stage);
    }
}

/// The simulator never waits, so its future is ready when first asked.
fn evaluate(
    backend: &dyn Backend,
    trial: &TrialRequest,
    progress: &dyn Progress,
) -> Result<Run, BackendError> {
    let future = pin!(backend.evaluate(trial, progress));
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("nothing to wait for"),
    }
}

#[test]
fn a_trial_gives_records_and_facts() {
    let stages = Stages::default();
    let trial = trial(EngineArguments { max_num_seqs: Some(64), ..EngineArguments::default() });
    let run = evaluate(&Simulator::new(ServerModel::measured()), &trial, &stages).unwrap();
    assert_eq!(run.records.len(), 50);
    assert!(run.records.iter().all(slotune_serving::RequestRecord::is_completed));
    assert_eq!(run.server.arguments.max_num_seqs, Some(64));
    assert_eq!(run.server.arguments.max_num_batched_tokens, Some(8192));
    assert!((60.0..130.0).contains(&run.server.start_up_s));
    assert!(run.server.kv_blocks.unwrap() > 60_000);
    assert_eq!(
        *stages.0.lock().unwrap(),
        [
            Stage::Starting,
            Stage::Measuring { ended: 0, scheduled: 50 },
            Stage::Measuring { ended: 50, scheduled: 50 },
            Stage::Stopping
        ]
    );
}

#[test]
fn a_start_that_fails_is_infeasible_with_its_cost() {
    let arguments = EngineArguments {
        max_num_batched_tokens: Some(16),
        max_num_seqs: Some(32),
        ..EngineArguments::default()
    };
    let result = Simulator::new(ServerModel::measured()).run(&trial(arguments));
    let Err(BackendError::Infeasible { class, message, cost_s }) = result else {
        panic!("16 tokens hold no 32 sequences");
    };
    assert_eq!(class, InfeasibleClass::Invalid);
    assert_eq!(
        message,
        "max_num_batched_tokens (16) must be greater than or equal to max_num_seqs (32)."
    );
    assert!(cost_s > 10.0);
}

/// With next to nothing left beside its budget, a server starts, and dies when a long prompt meets a
/// thousand decoding requests; with a little more left, or fewer requests, it lives.
#[test]
fn a_server_without_room_for_a_full_step_dies_under_load() {
    let request = |arrival_s, prompt_tokens, output_tokens| RequestSpec {
        arrival_s,
        prompt_tokens,
        output_tokens,
        shared_prefix: vec![],
    };
    let run = |gpu_memory_utilization, decoding| {
        let mut requests = vec![request(0.0, 8, 700); decoding];
        requests.push(request(6.0, 20_000, 1));
        let arguments = EngineArguments {
            gpu_memory_utilization: Some(gpu_memory_utilization),
            ..EngineArguments::default()
        };
        let schedule = Arc::new(Schedule { load: Load::Open, requests });
        Simulator::new(ServerModel::measured()).run(&TrialRequest { schedule, ..trial(arguments) })
    };
    let start_up_s = run(0.9695, 100).expect("a hundred fit").server.start_up_s;
    let Err(BackendError::Infeasible { class, message, cost_s }) = run(0.9695, 1000) else {
        panic!("a thousand do not fit");
    };
    assert_eq!(class, InfeasibleClass::CrashUnderLoad);
    assert!(message.starts_with("CUDA out of memory. Tried to allocate 1.09 GiB. "), "{message}");
    // Not before the prompt was sent; a thousand streams delay it.
    assert!((start_up_s + 6.0..start_up_s + 20.0).contains(&cost_s), "{start_up_s} to {cost_s}");
    assert!(run(0.95, 1000).is_ok());
}

#[test]
fn a_malformed_schedule_says_nothing_about_the_configuration() {
    let schedule = Arc::new(Schedule { load: Load::Closed { concurrency: 0 }, requests: vec![] });
    let trial = TrialRequest { schedule, ..trial(EngineArguments::default()) };
    let result = Simulator::new(ServerModel::measured()).run(&trial);
    assert!(matches!(result, Err(BackendError::Failed { .. })), "{result:?}");
}

/// Nor does a malformed server, though a start would find no memory on it.
#[test]
fn a_malformed_server_says_nothing_about_the_configuration() {
    let mut server = ServerModel::measured();
    server.gpu.memory_gib = f64::NAN;
    let result = Simulator::new(server).run(&trial(EngineArguments::default()));
    assert!(matches!(result, Err(BackendError::Failed { .. })), "{result:?}");
}

/// A machine remembers its starts; only a new token budget compiles again.
#[test]
fn a_new_token_budget_costs_a_compilation() {
    let simulator = Simulator::new(ServerModel::measured());
    let start_up_s = |tokens| {
        let max_num_batched_tokens = Some(tokens);
        let arguments = EngineArguments { max_num_batched_tokens, ..EngineArguments::default() };
        simulator.run(&trial(arguments)).unwrap().server.start_up_s
    };
    let [first, second, other, third] = [8192, 8192, 4096, 8192].map(start_up_s);
    assert!(first > second + 20.0 && other > second + 20.0 && third < second);
}

#[test]
fn a_machine_that_forgets_answers_the_same_again() {
    let trial = trial(EngineArguments::default());
    let new = || Simulator::new(ServerModel::measured());
    let remembering = new();
    assert_ne!(remembering.run(&trial).unwrap().server, remembering.run(&trial).unwrap().server);
    let forgetting = new().with_cache_reset_to(CacheState::cold());
    let first = forgetting.run(&trial).unwrap();
    assert_eq!(forgetting.run(&trial).unwrap(), first);
    assert_eq!(new().run(&trial).unwrap(), first);
}

#[test]
fn equal_histories_give_equal_runs() {
    let history = |seed| {
        let simulator = Simulator::new(ServerModel::measured()).with_noise(Noise::measured());
        let trial = |seqs| TrialRequest {
            seed,
            ..trial(EngineArguments { max_num_seqs: Some(seqs), ..EngineArguments::default() })
        };
        [8, 64, 8].map(|seqs| simulator.run(&trial(seqs)).unwrap())
    };
    assert_eq!(history(1), history(1));
    assert_ne!(history(1), history(2));
}

#[test]
fn the_time_limit_reaches_the_run() {
    let simulator = Simulator::new(ServerModel::measured()).with_time_limit_s(1.0);
    let run = simulator.run(&trial(EngineArguments::default())).unwrap();
    assert!(run.records.iter().any(|record| !record.is_completed()));
}

/// A trial that starts as if nothing had been started before depends on nothing but itself, which
/// the suite demands of simulated backends.
#[test]
fn passes_the_conformance_suite() {
    let make = || -> Box<dyn Backend> {
        Box::new(Simulator::new(ServerModel::measured()).with_cache_reset_to(CacheState::cold()))
    };
    let suite = pin!(slotune_serving::testing::conformance(make));
    assert!(suite.poll(&mut Context::from_waker(Waker::noop())).is_ready());
}
