//! Where the memory of the GPU goes when a server starts.

use slotune_serving::engine_arguments::{CudagraphMode, ResolvedEngineArguments};

use super::OutOfMemory;
use crate::server::ServerModel;

/// What the profiling run finds beside activations, GiB (measured).
const BASE_GIB: f64 = 0.26;
/// A process that compiles, or does not compile at all, needs this much more (measured). In all it needs
/// no less than beside a copy of the output head: 1.27 GiB were measured with Qwen2.5-7B, whose head has
/// 1.02. For other models that is an **estimate**.
const COLD_SURPLUS_GIB: f64 = 0.06;
/// Bytes that the profiling run finds for an entry of the vocabulary and a sequence (measured: 6.06).
const PROFILED_SAMPLING_BYTES: f64 = 6.0;
/// Bytes that sampling takes for an entry of the vocabulary and a sequence: the logits in bf16 and in
/// 32 bits, and a copy. A server that had 7.5 wanted more (measured).
const SAMPLING_BYTES: f64 = 8.0;
/// What the allocator holds over what is in use, so that it can serve buffers of changing sizes: an
/// estimate, 1.01, 1.01 and 1.65 in the logs of servers that ran out of memory.
const ALLOCATOR_SHARE: f64 = 1.1;
/// What the CUDA context and the like take beside any budget: when vLLM looks how much is free, GiB…
pub(super) const CONTEXT_AT_START_GIB: f64 = 0.52;
/// …and once the model is loaded (both measured).
pub(super) const CONTEXT_GIB: f64 = 0.73;

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
    /// Pool of the CUDA graphs; of models but Qwen2.5-7B an estimate.
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
            .max(server.model.logits_gib(arguments.max_num_seqs, PROFILED_SAMPLING_BYTES));
        let warm_gib = BASE_GIB + peak_gib;
        let overhead_gib = if is_warm {
            warm_gib
        } else {
            (warm_gib + COLD_SURPLUS_GIB).max(BASE_GIB + shard.head_gib())
        };
        let graphs_gib = graphs_gib(arguments, server.model.layers);
        let charged_gib = if server.graphs_in_budget { graphs_gib } else { 0.0 };
        let kv_cache_gib = budget_gib - weights_gib - overhead_gib - charged_gib;
        Self { budget_gib, weights_gib, overhead_gib, graphs_gib, kv_cache_gib }
    }

    /// What the budget leaves of each GPU, GiB; graphs taken from the budget are left there.
    pub(super) fn free_before_capture_gib(&self, server: &ServerModel) -> f64 {
        let in_budget_gib = if server.graphs_in_budget { self.graphs_gib } else { 0.0 };
        server.gpu.memory_gib - CONTEXT_GIB - self.budget_gib + in_budget_gib
    }
}

/// What activations and sampling may take: what the profiling run set aside and what is left of the GPU
/// beside the budget.
///
/// An **estimate**; no crash was measured but of requests that are not simulated (`prompt_logprobs`). The
/// profiling run finds the larger of the two, a step may hold both, and the allocator more than
/// either. So with `gpu_memory_utilization` near 1, a server that started may die under load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepMemory {
    /// What there is, GiB.
    pub available_gib: f64,
    /// What the activations of a token take, GiB.
    pub gib_per_token: f64,
    /// What sampling takes for a sequence, GiB.
    pub gib_per_sample: f64,
    /// Memory of the GPU, GiB.
    pub total_gib: f64,
}

impl StepMemory {
    /// Of a server with this plan, once its graphs are captured.
    pub(super) fn new(
        server: &ServerModel,
        arguments: &ResolvedEngineArguments,
        memory: &MemoryPlan,
    ) -> Self {
        let shard = server.model.shard(arguments.tensor_parallel_size);
        let set_aside_gib = memory.overhead_gib - BASE_GIB;
        let left_gib = memory.free_before_capture_gib(server) - memory.graphs_gib;
        Self {
            available_gib: set_aside_gib + left_gib,
            gib_per_token: shard.activations_gib(1),
            gib_per_sample: server.model.logits_gib(1, SAMPLING_BYTES),
            total_gib: server.gpu.memory_gib,
        }
    }

    /// Whether sampling for so many sequences fits, when vLLM tries it at start-up.
    pub(super) fn holds_sampling(&self, sequences: u32) -> bool {
        self.gib_per_sample * f64::from(sequences) <= self.available_gib
    }

    /// Checks that a step of `tokens` with `samples` fits.
    ///
    /// # Errors
    /// [`OutOfMemory`] at the sampling, which comes last, where it does not.
    pub fn check(&self, tokens: u32, samples: u32) -> Result<(), OutOfMemory> {
        let wanted_gib = ALLOCATOR_SHARE * self.gib_per_sample * f64::from(samples);
        let activations_gib = ALLOCATOR_SHARE * self.gib_per_token * f64::from(tokens);
        let free_gib = self.available_gib - activations_gib;
        if wanted_gib <= free_gib {
            return Ok(());
        }
        let (total_gib, free_gib) = (self.total_gib, free_gib.max(0.0));
        Err(OutOfMemory { wanted_gib, total_gib, free_gib })
    }
}

/// Layers of Qwen2.5-7B, whose pools of CUDA graphs were measured.
const MEASURED_LAYERS: f64 = 28.0;

/// GiB of the pool of CUDA graphs: linear in the number of sequences between measured points, and
/// beyond them up to the 512 of the largest graph. For models of another depth an **estimate**: a graph has
/// as many nodes as the model has layers.
fn graphs_gib(arguments: &ResolvedEngineArguments, layers: u32) -> f64 {
    let largest = arguments.max_num_seqs.min(arguments.max_cudagraph_capture_size).min(512);
    if largest == 0 {
        return 0.0;
    }
    let sequences = f64::from(largest);
    let measured_gib = match arguments.cudagraph_mode {
        CudagraphMode::FullAndPiecewise if sequences > 256.0 => {
            line(sequences, (256.0, 0.54), (512.0, 0.89))
        }
        CudagraphMode::FullAndPiecewise => line(sequences, (128.0, 0.37), (256.0, 0.54)),
        CudagraphMode::FullDecodeOnly => line(sequences, (64.0, 0.11), (512.0, 0.39)),
        CudagraphMode::None => 0.0,
    };
    measured_gib * f64::from(layers) / MEASURED_LAYERS
}

/// The line through two points, at `x`.
fn line(x: f64, (x0, y0): (f64, f64), (x1, y1): (f64, f64)) -> f64 {
    y0 + (x - x0) * (y1 - y0) / (x1 - x0)
}
