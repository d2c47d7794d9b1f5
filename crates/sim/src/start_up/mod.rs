//! Start of a server: how long it takes, how many KV-cache blocks it gets, or why it fails.

mod failure;
mod memory;

use std::collections::{BTreeMap, BTreeSet};

use slotune_serving::engine_arguments::{CudagraphMode, ResolvedEngineArguments};

pub use failure::{OutOfMemory, StartUpCause, StartUpFailure};
pub use memory::{MemoryPlan, StepMemory};

use crate::{cost::GraphPlan, server::ServerModel};
use memory::{CONTEXT_AT_START_GIB, CONTEXT_GIB};

/// Tokens of which a KV-cache block must be a multiple, for each attention kernel of CUDA that serves these
/// models: `get_supported_kernel_block_sizes` in `vllm/v1/attention/backends` of vLLM 0.25.1.
const KERNEL_BLOCK: u32 = 16;

/// Seconds of the stages of a start, from measured ones with dummy weights.
mod stage {
    /// Imports and configuration on a machine whose file cache is warm (20 to 33 s)…
    pub(super) const IMPORTS_S: f64 = 26.0;
    /// …and at the first start (58 s, and 94 s on another machine).
    pub(super) const FIRST_IMPORTS_S: f64 = 58.0;
    /// Compilation from nothing, with the graph cached, and with graph and code cached.
    pub(super) const COMPILE_S: [f64; 3] = [18.5, 10.0, 3.7];
    pub(super) const PROFILE_S: f64 = 0.3;
    pub(super) const FIRST_PROFILE_S: f64 = 3.0;
    pub(super) const CAPTURE_S_PER_GRAPH: f64 = 0.045;
    pub(super) const WARM_UP_S: f64 = 0.5;
    /// Kernels for shapes that the machine never ran.
    pub(super) const FIRST_WARM_UP_S: f64 = 15.0;
    /// What vLLM's own time of the engine's start has beside the stages in it (1.7 to 2.3 s).
    pub(super) const ENGINE_S: f64 = 2.0;
    pub(super) const API_S: f64 = 1.2;
}

/// What earlier starts left behind: compiled code, tuned kernels, cached files.
///
/// It belongs to one model. Because of it the same arguments start faster and get a little more KV
/// cache the second time, as measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheState {
    has_started: bool,
    /// How often each code was compiled or loaded.
    compiled: BTreeMap<Code, usize>,
    /// Code whose kernels ran on this machine.
    warmed: BTreeSet<Code>,
}

/// What code depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Code {
    max_num_batched_tokens: u32,
    is_compiled: bool,
    tensor_parallel_size: u32,
}

impl Code {
    fn of(arguments: &ResolvedEngineArguments) -> Self {
        Self {
            max_num_batched_tokens: arguments.max_num_batched_tokens,
            is_compiled: arguments.cudagraph_mode == CudagraphMode::FullAndPiecewise,
            tensor_parallel_size: arguments.tensor_parallel_size,
        }
    }
}

/// A server that started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StartUp {
    /// Seconds from the start of the process until it serves.
    pub duration_s: f64,
    /// KV-cache blocks, of which vLLM keeps one unused.
    pub kv_blocks: u64,
    /// Where the memory went.
    pub memory: MemoryPlan,
    /// What its steps may take of it.
    pub step_memory: StepMemory,
}

impl CacheState {
    /// A machine on which nothing was started yet.
    pub fn cold() -> Self {
        Self::default()
    }

    /// A machine on which a server was often started with these arguments.
    pub fn warm(arguments: &ResolvedEngineArguments) -> Self {
        let code = Code::of(arguments);
        Self {
            has_started: true,
            compiled: BTreeMap::from([(code, stage::COMPILE_S.len())]),
            warmed: BTreeSet::from([code]),
        }
    }

    /// The same code on a machine that never ran its kernels, as where machines share vLLM's cache
    /// folder.
    #[must_use]
    pub fn without_kernels(self) -> Self {
        Self { warmed: BTreeSet::new(), ..self }
    }

    /// Starts a server and remembers what that leaves behind, also where it fails.
    ///
    /// # Errors
    /// [`StartUpFailure`] with vLLM's text where the arguments are invalid or memory does not
    /// suffice.
    pub fn start(
        &mut self,
        server: &ServerModel,
        arguments: &ResolvedEngineArguments,
    ) -> Result<StartUp, StartUpFailure> {
        let mut cost_s = if self.has_started { stage::IMPORTS_S } else { stage::FIRST_IMPORTS_S };
        self.has_started = true;
        let fail = |cause, cost_s| Err(StartUpFailure { cause, cost_s });
        if let Err(cause) = check_arguments(server, arguments) {
            return fail(cause, cost_s);
        }

        let code = Code::of(arguments);
        let earlier_starts = self.compiled.get(&code).copied().unwrap_or(0);
        let is_known = earlier_starts > 0;
        let memory = MemoryPlan::new(server, arguments, code.is_compiled && is_known);
        if let Err(cause) = check_free_memory(server, arguments, &memory) {
            return fail(cause, cost_s);
        }
        let block_size = arguments.block_size;
        if !block_size.is_multiple_of(KERNEL_BLOCK) {
            return fail(StartUpCause::BlockSize { block_size }, cost_s);
        }
        cost_s += memory.weights_gib / server.load_gib_per_s;
        if let Err(cause) = check_weights(server, arguments, &memory) {
            return fail(cause, cost_s);
        }

        self.compiled.insert(code, earlier_starts + 1);
        if code.is_compiled {
            cost_s += stage::COMPILE_S[earlier_starts.min(stage::COMPILE_S.len() - 1)];
        }
        cost_s += stage::ENGINE_S;
        cost_s += if is_known { stage::PROFILE_S } else { stage::FIRST_PROFILE_S };
        if let Err(cause) = check_cache(server, arguments, &memory) {
            return fail(cause, cost_s);
        }

        let graphs = GraphPlan::new(arguments);
        cost_s += stage::CAPTURE_S_PER_GRAPH * (graphs.full() + graphs.piecewise()) as f64;
        if let Err(cause) = check_capture(server, &memory) {
            return fail(cause, cost_s);
        }
        let is_new = self.warmed.insert(code);
        cost_s += if is_new { stage::FIRST_WARM_UP_S } else { stage::WARM_UP_S };
        let step_memory = StepMemory::new(server, arguments, &memory);
        let sequences = arguments.max_num_seqs;
        if !step_memory.holds_sampling(sequences) {
            return fail(StartUpCause::Sampler { sequences }, cost_s);
        }
        cost_s += stage::API_S;
        let kv_blocks = blocks_in(server, arguments, memory.kv_cache_gib);
        Ok(StartUp { duration_s: cost_s, kv_blocks, memory, step_memory })
    }
}

/// What vLLM checks before it touches the GPU.
fn check_arguments(
    server: &ServerModel,
    arguments: &ResolvedEngineArguments,
) -> Result<(), StartUpCause> {
    let tokens = arguments.max_num_batched_tokens;
    let longest = arguments.max_model_len;
    for (argument, value) in [
        ("max_num_seqs", arguments.max_num_seqs),
        ("max_num_batched_tokens", tokens),
        ("max_model_len", longest),
        ("block_size", arguments.block_size),
        ("stream_interval", arguments.stream_interval),
        ("tensor_parallel_size", arguments.tensor_parallel_size),
    ] {
        if value == 0 {
            let value = value.to_string();
            let requirement = "greater than or equal to 1";
            return Err(StartUpCause::Argument { argument, requirement, value });
        }
    }
    let utilization = arguments.gpu_memory_utilization;
    if !(utilization > 0.0 && utilization <= 1.0) {
        return Err(StartUpCause::Argument {
            argument: "gpu_memory_utilization",
            requirement: "greater than 0 and less than or equal to 1",
            value: format!("{utilization:?}"),
        });
    }
    if longest > server.model.max_len {
        return Err(StartUpCause::ContextLength { asked: longest, longest: server.model.max_len });
    }
    let gpus = arguments.tensor_parallel_size;
    if gpus > server.gpus {
        return Err(StartUpCause::World { gpus, available: server.gpus });
    }
    if tokens < arguments.max_num_seqs {
        let sequences = arguments.max_num_seqs;
        return Err(StartUpCause::TokensBelowSequences { tokens, sequences });
    }
    if !arguments.enable_chunked_prefill && tokens < longest {
        return Err(StartUpCause::TokensBelowContext { tokens, longest });
    }
    let heads = server.model.query_heads;
    if !heads.is_multiple_of(gpus) {
        return Err(StartUpCause::Heads { heads, gpus });
    }
    Ok(())
}

fn check_free_memory(
    server: &ServerModel,
    arguments: &ResolvedEngineArguments,
    memory: &MemoryPlan,
) -> Result<(), StartUpCause> {
    let total_gib = server.gpu.memory_gib;
    let free_gib = total_gib - CONTEXT_AT_START_GIB;
    if free_gib >= memory.budget_gib {
        return Ok(());
    }
    Err(StartUpCause::FreeMemory {
        free_gib,
        total_gib,
        utilization: arguments.gpu_memory_utilization,
        budget_gib: memory.budget_gib,
    })
}

fn check_weights(
    server: &ServerModel,
    arguments: &ResolvedEngineArguments,
    memory: &MemoryPlan,
) -> Result<(), StartUpCause> {
    let (model, gpus) = (&server.model, arguments.tensor_parallel_size);
    // Key-value heads fewer than GPUs are repeated, and must then come out even too.
    let (more, fewer) = (model.kv_heads.max(gpus), model.kv_heads.min(gpus));
    if !more.is_multiple_of(fewer) {
        return Err(StartUpCause::Indivisible { part: model.kv_heads, gpus });
    }
    if !model.intermediate.is_multiple_of(gpus) {
        return Err(StartUpCause::Indivisible { part: model.intermediate, gpus });
    }
    let total_gib = server.gpu.memory_gib;
    if memory.weights_gib <= total_gib {
        return Ok(());
    }
    // A layer at a time: the one that fails is the first that no longer fits.
    let wanted_gib = memory.weights_gib / f64::from(server.model.layers);
    let free_gib = (total_gib - CONTEXT_GIB) % wanted_gib;
    Err(StartUpCause::OutOfMemory(OutOfMemory { wanted_gib, total_gib, free_gib }))
}

fn check_cache(
    server: &ServerModel,
    arguments: &ResolvedEngineArguments,
    memory: &MemoryPlan,
) -> Result<(), StartUpCause> {
    let available_gib = memory.kv_cache_gib;
    if available_gib <= 0.0 {
        return Err(StartUpCause::NoCacheMemory);
    }
    let block_size = u64::from(arguments.block_size);
    let blocks = u64::from(arguments.max_model_len).div_ceil(block_size);
    let shard = server.model.shard(arguments.tensor_parallel_size);
    let needed_gib = shard.kv_gib(blocks * block_size);
    if needed_gib <= available_gib {
        return Ok(());
    }
    Err(StartUpCause::CacheBelowContext {
        longest: arguments.max_model_len,
        needed_gib,
        available_gib,
        possible: blocks_in(server, arguments, available_gib) * block_size,
    })
}

fn check_capture(server: &ServerModel, memory: &MemoryPlan) -> Result<(), StartUpCause> {
    let free_gib = memory.free_before_capture_gib(server);
    if memory.graphs_gib <= free_gib || memory.graphs_gib <= 0.0 {
        return Ok(());
    }
    Err(StartUpCause::OutOfMemory(OutOfMemory {
        wanted_gib: memory.graphs_gib,
        total_gib: server.gpu.memory_gib,
        free_gib: free_gib.max(0.0),
    }))
}

/// Whole blocks in so much KV cache.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest integer in range: negative memory holds no block"
)]
fn blocks_in(server: &ServerModel, arguments: &ResolvedEngineArguments, kv_cache_gib: f64) -> u64 {
    let shard = server.model.shard(arguments.tensor_parallel_size);
    let block_gib = shard.kv_gib(u64::from(arguments.block_size));
    (kv_cache_gib / block_gib).floor() as u64
}

#[cfg(test)]
mod measured;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
