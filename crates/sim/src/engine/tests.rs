//! One request, or few, through all clocks.

use proptest::{prelude::*, test_runner::RngSeed};
use slotune_serving::{EngineArguments, Load, RequestSpec};

use super::*;
use crate::cases::cases;
use crate::{
    RunOptions, ServerModel, cost::StepShape, front_end::Arrivals, scheduler::Bookkeeping,
    simulate::build,
};

const KV_BLOCKS: u64 = 66_946;

fn spec(arrival_s: f64, prompt_tokens: u32, output_tokens: u32) -> RequestSpec {
    RequestSpec { arrival_s, prompt_tokens, output_tokens, shared_prefix: vec![] }
}

fn engine(requests: Vec<RequestSpec>, arguments: &EngineArguments) -> Engine<'static> {
    let server = ServerModel::measured();
    let arrivals = Arrivals::new(Load::Open, Box::new(requests.into_iter()));
    build(
        &server,
        &server.resolve(arguments),
        KV_BLOCKS,
        arrivals,
        &RunOptions::default(),
        Bookkeeping::Marks,
    )
}

/// The records of all requests, in the order of their ends.
fn run(engine: &mut Engine<'_>) -> Vec<RequestRecord> {
    let mut records = Vec::new();
    engine.run(f64::INFINITY, &mut |record| records.push(record)).expect("plain requests");
    records
}

fn scheduling(is_asynchronous: bool) -> EngineArguments {
    EngineArguments { async_scheduling: Some(is_asynchronous), ..EngineArguments::default() }
}

/// Times of a request of 300 and 3 tokens alone, computed by hand from the laws.
#[test]
fn a_lone_request_takes_what_its_steps_take() {
    let server = ServerModel::measured();
    let timer = StepTimer::new(&server, &server.resolve(&EngineArguments::default()));
    let time = |computed, tokens| {
        let mut shape = StepShape { samples: 1, ..StepShape::default() };
        shape.add(tokens, computed, 300);
        timer.time(&shape)
    };
    let (prefill, second, third) = (time(0, 300), time(300, 1), time(301, 1));
    let at_engine_s = 0.0017 + 0.0008;
    let decoded_prompt_s = 300.0 * 1.4e-6;
    let to_client_s = 0.000_175 + 0.000_015 + 0.000_061 + 0.0005;
    let launch_s = |done_s: f64| (done_s + prefill.gpu_s).max(at_engine_s + prefill.host_s + 3e-4);
    let prefilled_s = launch_s(at_engine_s + 0.0029);

    // One step at a time: host and GPU take turns.
    let mut synchronous = engine(vec![spec(0.0, 300, 3)], &scheduling(false));
    let records = run(&mut synchronous);
    let decoded_s = prefilled_s + second.host_s + second.gpu_s + third.host_s + third.gpu_s;
    assert_record(
        &records[0],
        prefilled_s + decoded_prompt_s + to_client_s,
        decoded_s + to_client_s,
    );

    // With two in flight the host works ahead: a token is fetched when the next step is launched.
    let mut asynchronous = engine(vec![spec(0.0, 300, 3)], &scheduling(true));
    let records = run(&mut asynchronous);
    let launched_s = at_engine_s + prefill.host_s + second.host_s;
    let second_s = prefilled_s.max(launched_s) + second.gpu_s;
    let fetched_s = prefilled_s.max(launched_s);
    let third_s = second_s.max(fetched_s + third.host_s) + third.gpu_s;
    assert_record(&records[0], fetched_s + decoded_prompt_s + to_client_s, third_s + to_client_s);
}

fn assert_record(record: &RequestRecord, first_s: f64, last_s: f64) {
    let close = |time_s: Option<f64>, expected_s: f64| {
        assert!((time_s.expect("tokens") - expected_s).abs() < 1e-12, "{time_s:?} {expected_s}");
    };
    close(record.first_token_s, first_s);
    close(record.last_token_s, last_s);
}

/// Times of a step by hand, in milliseconds: kernels are launched after 2.5, and the last of them
/// needs 0.3. A gap is one between steps.
#[test]
fn steps_end_when_host_and_gpu_have_done_their_parts() {
    use StepMode::{Eager, Full, Piecewise};
    let host = HostCosts { launch_ms: 2.5, launch_tail_ms: 0.3, ..HostCosts::measured() };
    for (mode, host_ms, gap_ms, gpu_ms, busy_ms, done_ms) in [
        // A graph is launched when the host is ready, and begins when the GPU is.
        (Full, 2.0, 0.0, 6.0, 0.0, 8.0),
        (Full, 2.0, 0.0, 6.0, 5.0, 11.0),
        // Other steps begin with their first kernel,
        (Piecewise, 8.0, 0.0, 50.0, 0.0, 52.5),
        (Eager, 1.0, 0.0, 50.0, 0.0, 51.0),
        (Eager, 20.0, 0.0, 50.0, 9.0, 59.0),
        // or after the gap to the step before, whichever is later,
        (Eager, 20.0, 4.0, 50.0, 9.0, 63.0),
        (Eager, 20.0, 4.0, 50.0, -1000.0, 52.5),
        // and end after their last.
        (Eager, 20.0, 4.0, 6.0, 0.0, 20.3),
        (Piecewise, 8.0, 0.0, 6.0, 2.2, 8.5),
    ] {
        let time =
            StepTime { mode, host_s: host_ms / 1e3, gpu_s: gpu_ms / 1e3, gap_s: gap_ms / 1e3 };
        let done_s = done_s(10.0, 10.0 + busy_ms / 1e3, &time, &host);
        assert!((done_s - 10.0 - done_ms / 1e3).abs() < 1e-9, "{mode:?} {host_ms} {gpu_ms}");
    }
}

/// The host's luck lasts a run, and shows only where it launches kernels one by one.
#[test]
fn the_host_factor_is_of_steps_that_are_no_full_graph() {
    let noise = Noise { host_log_deviation: 0.25, ..Noise::none() };
    let mut draws = StepNoise::new(&noise, 7, 7);
    let factor = noise.host_factor(7);
    assert!((factor - 1.0).abs() > 0.01, "{factor}");
    for (mode, expected) in
        [(StepMode::Full, 1.0), (StepMode::Piecewise, factor), (StepMode::Eager, factor)]
    {
        let time = draws.apply(StepTime { mode, host_s: 1.0, gpu_s: 1.0, gap_s: 0.0 });
        assert_eq!(
            (time.host_s.to_bits(), time.gpu_s.to_bits()),
            (expected.to_bits(), 1_f64.to_bits())
        );
    }
}

/// The second of two waits for the only sequence until the first has ended.
#[test]
fn queue_time_is_from_the_engine_to_the_first_step() {
    let arguments = EngineArguments { max_num_seqs: Some(1), ..scheduling(false) };
    let records = run(&mut engine(vec![spec(0.0, 300, 50); 2], &arguments));
    let [first, second] = &records[..] else { panic!("two requests") };
    assert_eq!(first.queue_time_s, Some(0.0));
    // It arrives during the first step, and the engine takes it in when that has ended; tokens are
    // then on the way to the client for as long as an output takes, and the first is for its prompt's more.
    let to_client_s = 0.00015 + 0.000_066 + 0.0005;
    let decoded_prompt_s = 300.0 * 1.4e-6;
    let first_s = first.first_token_s.expect("it was served");
    let queued_s = first_s - decoded_prompt_s - to_client_s;
    let freed_s = first.last_token_s.expect("it ends") - to_client_s;
    let queue_time_s = second.queue_time_s.expect("it was served");
    assert!((queue_time_s - (freed_s - queued_s)).abs() < 1e-9, "{queue_time_s}");
}

/// Decoding alone, a request gets a token every 6.2 ms, as measured.
#[test]
fn a_lone_request_decodes_at_the_speed_of_the_gpu() {
    let mut engine = engine(vec![spec(0.0, 100, 101)], &EngineArguments::default());
    let record = &run(&mut engine)[0];
    let decode_s = record.last_token_s.expect("tokens") - record.first_token_s.expect("tokens");
    assert!((decode_s / 100.0 - 0.0062).abs() < 1e-4, "{decode_s}");
}

#[test]
fn asynchronous_scheduling_hides_the_host() {
    let mean_s = |is_asynchronous| {
        let requests = (0..40).map(|index| spec(f64::from(index) * 0.05, 300, 100)).collect();
        let mut engine = engine(requests, &scheduling(is_asynchronous));
        let records = run(&mut engine);
        records.iter().map(|r| r.last_token_s.expect("tokens")).sum::<f64>() / 40.0
    };
    assert!(mean_s(true) < 0.9 * mean_s(false), "{} {}", mean_s(true), mean_s(false));
}

/// Slots of requests that ended are used again, so memory is that of those under way.
#[test]
fn a_long_run_needs_no_more_room_than_a_short_one() {
    let requests = |count: u32| (0..count).map(|i| spec(f64::from(i) * 0.05, 100, 60)).collect();
    let slots = [300, 6000].map(|count| {
        let mut engine = engine(requests(count), &EngineArguments::default());
        assert_eq!(run(&mut engine).len(), count as usize);
        engine.scheduler.requests.len()
    });
    assert_eq!(slots[0], slots[1]);
    assert!(slots[0] < 20, "{slots:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The GPU does one step at a time, steps end in order, and the engine rests only when it can
    /// do nothing. Requests go through their stages in order, first come, first served.
    #[test]
    fn every_round_keeps_the_invariants(case in cases()) {
        let server = ServerModel::measured();
        let arguments = server.resolve(&case.arguments);
        let arrivals = Arrivals::new(case.load, Box::new(case.requests.clone().into_iter()));
        let options = RunOptions { admission: case.admission, ..RunOptions::default() };
        let mut engine =
            build(&server, &arguments, case.kv_blocks, arrivals, &options, Bookkeeping::Marks);
        let mut records = Vec::new();
        // When each request reached the queue, and when it was first scheduled.
        let mut stages = vec![(0.0, 0.0); case.requests.len()];
        loop {
            let (now_s, steps, gpu_free_s) = (engine.now_s, engine.steps, engine.gpu_free_s);
            let can_work = !engine.scheduler.is_idle() && engine.in_flight.is_empty();
            let goes_on = engine.advance();
            engine.hand_out(&mut |record| records.push(record));
            if !goes_on {
                break;
            }
            prop_assert!(engine.now_s >= now_s);
            prop_assert!(engine.in_flight.len() <= engine.depth);
            prop_assert!(engine.in_flight.iter().is_sorted());
            let has_launched = engine.steps > steps;
            prop_assert!(has_launched || !can_work, "at {}", now_s);
            if has_launched {
                let shape = &engine.scheduler.latest().shape;
                let gpu_s = engine.timer.time(shape).gpu_s;
                prop_assert!(engine.gpu_free_s - gpu_s >= gpu_free_s - 1e-12, "at {}", now_s);
                prop_assert!(shape.tokens <= arguments.max_num_batched_tokens);
                prop_assert!(shape.requests <= arguments.max_num_seqs);
            }
            for request in &engine.scheduler.requests {
                if let Some(first_scheduled_s) = request.first_scheduled_s {
                    stages[request.rank as usize] = (request.queued_s, first_scheduled_s);
                }
            }
        }
        prop_assert!(engine.scheduler.is_idle() && engine.in_flight.is_empty());
        prop_assert_eq!(u64::from(engine.scheduler.blocks.free()), case.kv_blocks - 1);
        prop_assert_eq!(records.len(), case.requests.len());
        for record in &records {
            let (queued_s, first_scheduled_s) = stages[record.index as usize];
            let first_s = record.first_token_s.expect("it ends");
            prop_assert!(record.sent_s < queued_s && queued_s <= first_scheduled_s);
            prop_assert!(first_scheduled_s < first_s);
            prop_assert!(record.first_token_s <= record.last_token_s);
            prop_assert!(record.is_completed());
        }
        // The front end and the queue keep the order of arrival.
        prop_assert!(stages.iter().is_sorted_by_key(|&(queued_s, _)| queued_s));
        prop_assert!(stages.iter().is_sorted_by_key(|&(_, first_s)| first_s));
    }
}
