//! What holds of every simulated run, whatever the requests and arguments.

use proptest::{prelude::*, test_runner::RngSeed};
use slotune_serving::random;
use slotune_serving::{
    EngineArguments, Load, RequestSpec, Schedule, engine_arguments::SchedulingPolicy,
    workload::PromptSegment,
};
use slotune_sim::{Gpu, ModelShape, Noise, RunOptions, ServerModel, SimulatedRun, simulate};

const CONTEXT: u32 = 2048;

#[derive(Debug)]
struct Case {
    arguments: EngineArguments,
    kv_blocks: u64,
    schedule: Schedule,
}

fn cases() -> impl Strategy<Value = Case> {
    let request = (0.0_f64..3.0, 1_u32..1200, 1_u32..120, 0_u64..3, 0_u32..600).prop_map(
        |(arrival_s, prompt_tokens, output_tokens, id, tokens)| RequestSpec {
            arrival_s,
            prompt_tokens,
            output_tokens,
            shared_prefix: vec![PromptSegment { id, tokens }],
        },
    );
    let load = prop_oneof![
        Just(Load::Open),
        (1_u32..8).prop_map(|concurrency| Load::Closed { concurrency })
    ];
    let numbers = (1_u32..40, 64_u32..3000, 0_u32..300, 0_u64..300, 1_u32..4);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    (prop::collection::vec(request, 1..60), load, numbers, switches).prop_map(
        |(
            requests,
            load,
            (seqs, tokens, chunk, spare, interval),
            (caching, asynchronous, priority),
        )| {
            let arguments = EngineArguments {
                max_num_seqs: Some(seqs),
                max_num_batched_tokens: Some(tokens),
                long_prefill_token_threshold: Some(chunk),
                enable_prefix_caching: Some(caching),
                async_scheduling: Some(asynchronous),
                scheduling_policy: priority.then_some(SchedulingPolicy::Priority),
                stream_interval: Some(interval),
                max_model_len: Some(CONTEXT),
                ..EngineArguments::default()
            };
            // One block is never used; the rest holds one longest request, or a few more.
            let kv_blocks = 1 + u64::from(CONTEXT / 16) + spare;
            Case { arguments, kv_blocks, schedule: Schedule { load, requests } }
        },
    )
}

fn run(case: &Case, options: &RunOptions) -> SimulatedRun {
    let server = ServerModel::measured();
    simulate(&server, &server.resolve(&case.arguments), case.kv_blocks, &case.schedule, options)
        .expect("a well-formed schedule")
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_request_ends_with_its_output_and_times_in_order(case in cases()) {
        let run = run(&case, &RunOptions { record_chunk_times: true, ..RunOptions::default() });
        prop_assert_eq!(run.records.len(), case.schedule.requests.len());
        for (record, spec) in run.records.iter().zip(&case.schedule.requests) {
            prop_assert!(record.is_completed());
            prop_assert_eq!(record.output_tokens, spec.output_tokens);
            let interval = case.arguments.stream_interval.unwrap_or(1);
            let chunks = 1 + (spec.output_tokens - 1).div_ceil(interval);
            prop_assert_eq!(record.chunk_times_s.len(), chunks as usize);
            prop_assert!(record.chunk_times_s.is_sorted());
            let (first_s, last_s) = (record.first_token_s.unwrap(), record.last_token_s.unwrap());
            let queue_time_s = record.queue_time_s.unwrap();
            prop_assert!(queue_time_s >= 0.0 && record.sent_s >= record.intended_s);
            prop_assert!(record.sent_s + queue_time_s < first_s && first_s <= last_s);
            prop_assert!(last_s.is_finite());
        }
        let queue_time_sum_s: f64 = run.records.iter().filter_map(|r| r.queue_time_s).sum();
        prop_assert!((run.totals.queue_time_sum_s - queue_time_sum_s).abs() < 1e-9);
        prop_assert!(run.totals.prefix_cache_hits <= run.totals.prefix_cache_queries);
    }

    /// Time average of the number in the system = arrivals a second · mean time in the system.
    #[test]
    fn littles_law_holds(case in cases()) {
        let run = run(&case, &RunOptions::default());
        let spans: Vec<(f64, f64)> =
            run.records.iter().map(|r| (r.intended_s, r.last_token_s.unwrap())).collect();
        let begin_s = spans.iter().map(|span| span.0).fold(f64::INFINITY, f64::min);
        let end_s = spans.iter().map(|span| span.1).fold(0.0, f64::max);
        let mut events: Vec<(f64, f64)> =
            spans.iter().flat_map(|&(from_s, to_s)| [(from_s, 1.0), (to_s, -1.0)]).collect();
        events.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut area, mut number, mut clock_s) = (0.0, 0.0, begin_s);
        for (time_s, change) in events {
            area += number * (time_s - clock_s);
            (number, clock_s) = (number + change, time_s);
        }
        let mean_s = spans.iter().map(|span| span.1 - span.0).sum::<f64>() / spans.len() as f64;
        let rate_per_s = spans.len() as f64 / (end_s - begin_s);
        let average = area / (end_s - begin_s);
        prop_assert!((average - rate_per_s * mean_s).abs() <= 1e-9 * average.max(1.0));
    }

    #[test]
    fn equal_inputs_give_equal_runs_and_without_noise_the_seed_is_ignored(case in cases(), seed: u64) {
        let noisy = RunOptions { noise: Noise::measured(), seed, ..RunOptions::default() };
        let reference = run(&case, &noisy);
        prop_assert_eq!(&reference, &run(&case, &noisy));
        let reseeded = RunOptions { seed: seed.wrapping_add(1), ..noisy };
        prop_assert_ne!(reference.records, run(&case, &reseeded).records);
        let exact = |seed| run(&case, &RunOptions { seed, ..RunOptions::default() });
        prop_assert_eq!(exact(seed), exact(0));
    }
}

/// A Poisson stream of prompts of 30 to 1000 and outputs of 20 to 400 tokens.
fn chat(rate_per_s: f64, count: u64, seed: u64) -> Schedule {
    let length = |name, index, least, most| {
        let draw = random::derive(seed, name, index) % u64::from(most - least);
        least + u32::try_from(draw).expect("below the difference of two of them")
    };
    let mut clock_s = 0.0;
    let requests = (0..count)
        .map(|index| {
            let uniform =
                ((random::derive(seed, "gap", index) >> 32) as f64 + 0.5) / 2_f64.powi(32);
            clock_s -= uniform.ln() / rate_per_s;
            RequestSpec {
                arrival_s: clock_s,
                prompt_tokens: length("prompt", index, 30, 1000),
                output_tokens: length("output", index, 20, 400),
                shared_prefix: vec![],
            }
        })
        .collect();
    Schedule { load: Load::Open, requests }
}

fn mean_s(server: &ServerModel, kv_blocks: u64, rate_per_s: f64) -> f64 {
    let seeds = 0..4;
    let count = seeds.clone().count() as f64;
    let of_seed = |seed| {
        let arguments = server.resolve(&EngineArguments::default());
        let schedule = chat(rate_per_s, 400, seed);
        let run = simulate(server, &arguments, kv_blocks, &schedule, &RunOptions::default())
            .expect("a well-formed schedule");
        let times = run.records.iter().map(|r| r.last_token_s.expect("it ends") - r.intended_s);
        times.sum::<f64>() / run.records.len() as f64
    };
    seeds.map(of_seed).sum::<f64>() / count
}

/// In expectation; single runs may order otherwise (scheduling anomalies).
#[test]
fn faster_servers_larger_caches_and_lower_rates_are_no_worse() {
    let h100 = ServerModel::measured();
    let by_gpu = ["l4", "a10g", "rtx-4090", "a100-80gb", "h100-sxm", "h200"].map(|name| {
        let gpu = Gpu::named(name).expect("a shipped preset");
        mean_s(&ServerModel::new(gpu, ModelShape::qwen2_5_7b()), 5000, 2.0)
    });
    let by_cache = [2100, 2500, 4000, 20_000].map(|blocks| mean_s(&h100, blocks, 30.0));
    let by_rate = [60.0, 40.0, 20.0, 5.0].map(|rate| mean_s(&h100, 60_000, rate));
    for means in [&by_gpu[..], &by_cache[..], &by_rate[..]] {
        assert!(means.windows(2).all(|pair| pair[1] <= 1.02 * pair[0]), "{means:?}");
    }
}

/// With room for all prompts in a step, splitting them or not is the same.
#[test]
fn chunked_prefill_with_a_large_budget_equals_whole_prompts() {
    let server = ServerModel::measured();
    let run = |is_chunked| {
        let arguments = server.resolve(&EngineArguments {
            enable_chunked_prefill: Some(is_chunked),
            max_num_batched_tokens: Some(400_000),
            ..EngineArguments::default()
        });
        simulate(&server, &arguments, 60_000, &chat(40.0, 300, 1), &RunOptions::default())
            .expect("a well-formed schedule")
    };
    assert_eq!(run(true), run(false));
}
