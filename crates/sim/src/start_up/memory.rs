//! Where the memory of the GPU goes when a server starts.

use slotune_serving::engine_arguments::{CudagraphMode, ResolvedEngineArguments};

use super::OutOfMemory;
use crate::server::ServerModel;

/// What the profiling run finds beside activations, GiB (measured).
const BASE_GIB: f64 = 0.26;
/// A process that compiles, or does not compile at all, needs this much more (measured)…
const COLD_SURPLUS_GIB: f64 = 0.06;
/// …and no less than this in all, GiB (measured).
const COLD_LEAST_GIB: f64 = 1.27;
/// What the allocator holds over what is in use, so that it can serve buffers of changing sizes
/// (estimate; in training, 15 % are lost so on average and up to 33 %: Guo et al., ASPLOS 2024).
const ALLOCATOR_SHARE: f64 = 1.2;
/// The CUDA context, which lives outside any budget, GiB (estimate).
pub(super) const CONTEXT_GIB: f64 = 0.6;

/// Where the memory of each GPU goes, GiB.
///
/// The budget is `gpu_memory_utilization` of the memory; weights and overhead are taken from it
/// and the rest becomes KV cache. Measured with vLLM 0.25.1 on an H100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryPlan {
    /// What the server may use.
    pub budget_gib: f64,
    /// Model weights.
    pub weights_gib: f64,
    /// Activations and what else the profiling run finds.
    pub overhead_gib: f64,
    /// Pool of the CUDA graphs.
    pub graphs_gib: f64,
    /// What is left for the KV cache; not above 0 where nothing is.
    pub kv_cache_gib: f64,
}

impl MemoryPlan {
    /// Memory of `server` under `arguments`; `is_warm` if its compiled code comes from a cache.
    pub(super) fn new(
        server: &ServerModel,
        arguments: &ResolvedEngineArguments,
        is_warm: bool,
    ) -> Self {
        let shard = server.model.shard(arguments.tensor_parallel_size);
        let budget_gib = arguments.gpu_memory_utilization * server.gpu.memory_gib;
        let weights_gib = shard.weights_gib();
        let peak_gib = shard
            .activations_gib(arguments.max_num_batched_tokens)
            // Each GPU gathers the logits of the whole vocabulary.
            .max(server.model.logits_gib(arguments.max_num_seqs));
        let warm_gib = BASE_GIB + peak_gib;
        let overhead_gib =
            if is_warm { warm_gib } else { (warm_gib + COLD_SURPLUS_GIB).max(COLD_LEAST_GIB) };
        let graphs_gib = graphs_gib(arguments);
        let charged_gib = if server.graphs_in_budget { graphs_gib } else { 0.0 };
        let kv_cache_gib = budget_gib - weights_gib - overhead_gib - charged_gib;
        Self { budget_gib, weights_gib, overhead_gib, graphs_gib, kv_cache_gib }
    }
}

/// What the buffers of a step may take: activations of its tokens and logits of its samples.
///
/// An **estimate**; no crash was measured. The profiling run finds the larger of the two, a step
/// holds both, and the allocator more than either. What is over must fit into what
/// `gpu_memory_utilization` leaves of the GPU, so near 1 a server that started dies under load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepMemory {
    /// What there is, GiB: what the profiling run set aside, and what is left beyond the budget.
    pub available_gib: f64,
    /// What a token takes, GiB.
    pub gib_per_token: f64,
    /// What a sample takes, GiB.
    pub gib_per_sample: f64,
    /// Memory of the GPU, GiB.
    pub total_gib: f64,
}

impl StepMemory {
    /// Of a server that started with `left_gib` to spare.
    pub(super) fn new(
        server: &ServerModel,
        arguments: &ResolvedEngineArguments,
        memory: &MemoryPlan,
        left_gib: f64,
    ) -> Self {
        let shard = server.model.shard(arguments.tensor_parallel_size);
        Self {
            available_gib: memory.overhead_gib - BASE_GIB + left_gib,
            gib_per_token: ALLOCATOR_SHARE * shard.activations_gib(1),
            gib_per_sample: ALLOCATOR_SHARE * server.model.logits_gib(1),
            total_gib: server.gpu.memory_gib,
        }
    }

    /// Checks that a step of `tokens` with `samples` fits.
    ///
    /// # Errors
    /// [`OutOfMemory`] at the logits, which come last, where it does not.
    pub fn check(&self, tokens: u32, samples: u32) -> Result<(), OutOfMemory> {
        let wanted_gib = self.gib_per_sample * f64::from(samples);
        let free_gib = self.available_gib - self.gib_per_token * f64::from(tokens);
        if wanted_gib <= free_gib {
            return Ok(());
        }
        let (total_gib, free_gib) = (self.total_gib, free_gib.max(0.0));
        Err(OutOfMemory { wanted_gib, total_gib, free_gib })
    }
}

/// GiB of the pool of CUDA graphs: linear in the number of sequences between measured points, and
/// beyond them up to the 512 of the largest graph.
fn graphs_gib(arguments: &ResolvedEngineArguments) -> f64 {
    let largest = arguments.max_num_seqs.min(arguments.max_cudagraph_capture_size).min(512);
    if largest == 0 {
        return 0.0;
    }
    let sequences = f64::from(largest);
    match arguments.cudagraph_mode {
        CudagraphMode::FullAndPiecewise if sequences > 256.0 => {
            line(sequences, (256.0, 0.54), (512.0, 0.89))
        }
        CudagraphMode::FullAndPiecewise => line(sequences, (128.0, 0.37), (256.0, 0.54)),
        CudagraphMode::FullDecodeOnly => line(sequences, (64.0, 0.11), (512.0, 0.39)),
        CudagraphMode::None => 0.0,
    }
}

/// The line through two points, at `x`.
fn line(x: f64, (x0, y0): (f64, f64), (x1, y1): (f64, f64)) -> f64 {
    y0 + (x - x0) * (y1 - y0) / (x1 - x0)
}
