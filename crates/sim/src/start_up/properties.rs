//! What holds of memory and starts, whatever the server and its arguments.

use proptest::{prelude::*, test_runner::RngSeed};
use slotune_serving::EngineArguments;

use super::*;
use crate::{Gpu, GpuPreset, ModelPreset, ModelShape};

/// A server and arguments that vLLM would take.
#[derive(Clone, Debug)]
struct Case {
    server: ServerModel,
    arguments: EngineArguments,
    is_warm: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    let gpus: Vec<&str> = GpuPreset::names().collect();
    let models: Vec<&str> = ModelPreset::names().collect();
    let modes =
        [CudagraphMode::FullAndPiecewise, CudagraphMode::FullDecodeOnly, CudagraphMode::None];
    let server = (prop::sample::select(gpus), prop::sample::select(models), any::<bool>());
    let numbers = (1_u32..2000, 2000_u32..30_000, 0.05_f64..1.0, 1_u32..32_768);
    let choices =
        (prop::sample::select(vec![16, 32, 64, 128]), prop::sample::select(modes.to_vec()));
    let split = prop::sample::select(vec![1_u32, 2, 4, 8]);
    (server, numbers, choices, split, any::<bool>()).prop_map(
        |(
            (gpu, model, in_budget),
            (seqs, tokens, share, longest),
            (block, mode),
            split,
            is_warm,
        )| {
            let gpu = Gpu::named(gpu).expect("a shipped preset");
            let model = ModelShape::named(model).expect("a shipped preset");
            let server =
                ServerModel { graphs_in_budget: in_budget, ..ServerModel::new(gpu, model) };
            let arguments = EngineArguments {
                max_num_seqs: Some(seqs),
                max_num_batched_tokens: Some(tokens),
                gpu_memory_utilization: Some(share),
                max_model_len: Some(longest),
                block_size: Some(block),
                cudagraph_mode: Some(mode),
                tensor_parallel_size: Some(split),
                ..EngineArguments::default()
            };
            Case { server: server.with_gpus(8), arguments, is_warm }
        },
    )
}

impl Case {
    fn kv_cache_gib(&self) -> f64 {
        let arguments = self.server.resolve(&self.arguments);
        MemoryPlan::new(&self.server, &arguments, self.is_warm).kv_cache_gib
    }

    fn with(&self, change: impl FnOnce(&mut EngineArguments)) -> Self {
        let mut case = self.clone();
        change(&mut case.arguments);
        case
    }

    fn start(&self) -> Result<StartUp, StartUpFailure> {
        let arguments = self.server.resolve(&self.arguments);
        let mut cache =
            if self.is_warm { CacheState::warm(&arguments) } else { CacheState::cold() };
        cache.start(&self.server, &arguments)
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// More memory is never less cache, and what takes memory is never more cache.
    #[test]
    fn the_memory_model_is_monotone(case in cases(), more in 1_u32..5000, gib in 0.0_f64..80.0) {
        let cache_gib = case.kv_cache_gib();
        let raised = |field: Option<u32>| field.map(|value| value + more);
        let larger = [
            case.with(|a| a.gpu_memory_utilization = Some(1.0)),
            case.with(|a| a.tensor_parallel_size = a.tensor_parallel_size.map(|size| 2 * size)),
            Case { is_warm: true, ..case.clone() },
            {
                let mut case = case.clone();
                case.server.gpu.memory_gib += gib;
                case
            },
        ];
        for (index, larger) in larger.iter().enumerate() {
            prop_assert!(larger.kv_cache_gib() >= cache_gib - 1e-9, "{}: {:?}", index, larger);
        }
        let smaller = [
            case.with(|a| a.max_num_batched_tokens = raised(a.max_num_batched_tokens)),
            case.with(|a| a.max_num_seqs = raised(a.max_num_seqs)),
            Case { server: ServerModel { graphs_in_budget: true, ..case.server.clone() }, ..case.clone() },
            {
                let mut case = case.clone();
                case.server.model.layers += more;
                case
            },
        ];
        for (index, smaller) in smaller.iter().enumerate() {
            prop_assert!(smaller.kv_cache_gib() <= cache_gib + 1e-9, "{}: {:?}", index, smaller);
        }
    }

    /// A start succeeds with a cache for its longest request, or fails with a text and a cost; and what
    /// it reports adds up.
    #[test]
    fn a_start_serves_its_longest_request_or_says_why_not(case in cases()) {
        match case.start() {
            Ok(start) => {
                let arguments = case.server.resolve(&case.arguments);
                let longest = u64::from(arguments.max_model_len);
                prop_assert!(start.kv_blocks * u64::from(arguments.block_size) >= longest);
                let MemoryPlan { budget_gib, weights_gib, overhead_gib, graphs_gib, kv_cache_gib } =
                    start.memory;
                let charged_gib = if case.server.graphs_in_budget { graphs_gib } else { 0.0 };
                let sum_gib = weights_gib + overhead_gib + kv_cache_gib + charged_gib;
                prop_assert!((sum_gib - budget_gib).abs() < 1e-9);
                let shard = case.server.model.shard(arguments.tensor_parallel_size);
                let block_gib = shard.kv_gib(u64::from(arguments.block_size));
                let unused_gib = kv_cache_gib - block_gib * start.kv_blocks as f64;
                prop_assert!(unused_gib > -1e-9 && unused_gib < block_gib + 1e-9);
                prop_assert!(start.duration_s > 28.0 && start.duration_s < 300.0);
                // Whatever fits is not refused for lack of memory when warm, or with more of it left.
                let warm = Case { is_warm: true, ..case };
                prop_assert!(warm.start().is_ok());
            }
            Err(failure) => {
                prop_assert!(failure.to_string().len() > 20, "{}", failure);
                prop_assert!(failure.cost_s >= 26.0 && failure.cost_s < 300.0);
            }
        }
    }
}
