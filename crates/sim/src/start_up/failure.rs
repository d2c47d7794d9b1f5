//! Why a server did not start, worded as vLLM words it.

use slotune_serving::InfeasibleClass;

/// A start that failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{cause}")]
pub struct StartUpFailure {
    /// Why.
    pub cause: StartUpCause,
    /// Seconds from the start of the process until it gave up.
    pub cost_s: f64,
}

impl StartUpFailure {
    /// The log of the failed start as far as it tells the cause.
    pub fn log(&self) -> String {
        format!(
            "EngineCore failed to start.\n{}\nEngine core initialization failed. See root cause above.",
            self.cause
        )
    }
}

/// Why a server did not start. Texts are those of vLLM 0.25.1.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartUpCause {
    /// An argument is outside its range.
    #[error("{argument}: Input should be {requirement}, got {value}")]
    Argument {
        /// Its name.
        argument: &'static str,
        /// What it must be.
        requirement: &'static str,
        /// What it is.
        value: String,
    },
    /// More GPUs than the machine has.
    #[error(
        "World size ({gpus}) is larger than the number of available GPUs ({available}) in this \
         node. If this is intentional and you are using: ray, set '--distributed-executor-backend \
         ray'."
    )]
    World {
        /// GPUs asked for.
        gpus: u32,
        /// GPUs of the machine.
        available: u32,
    },
    /// Query heads that cannot be dealt out evenly.
    #[error(
        "Total number of attention heads ({heads}) must be divisible by tensor parallel size \
         ({gpus})."
    )]
    Heads {
        /// Query heads of the model.
        heads: u32,
        /// `tensor_parallel_size`.
        gpus: u32,
    },
    /// Another part of the model that cannot be dealt out evenly, found while it is loaded.
    #[error("{part} is not divisible by {gpus}")]
    Indivisible {
        /// Key-value heads, or the width of the MLP.
        part: u32,
        /// `tensor_parallel_size`.
        gpus: u32,
    },
    /// Blocks of the KV cache that no attention kernel takes: `vllm/platforms/cuda.py`, whose text names
    /// more of the layer.
    #[error(
        "No valid attention backend found for cuda with AttentionSelectorConfig(block_size={block_size}). \
         Reasons: {{FLASH_ATTN: [block_size not supported], FLASHINFER: [block_size not supported], \
         TRITON_ATTN: [block_size not supported], FLEX_ATTENTION: [block_size not supported]}}."
    )]
    BlockSize {
        /// `block_size`, tokens.
        block_size: u32,
    },
    /// A longer context than the model has.
    #[error(
        "User-specified max_model_len ({asked}) is greater than the derived max_model_len \
         (max_position_embeddings={longest}.0 or model_max_length=None in model's config.json)."
    )]
    ContextLength {
        /// Tokens asked for.
        asked: u32,
        /// Tokens that the model allows.
        longest: u32,
    },
    /// A step cannot hold one token of each sequence.
    #[error(
        "max_num_batched_tokens ({tokens}) must be greater than or equal to max_num_seqs ({sequences})."
    )]
    TokensBelowSequences {
        /// `max_num_batched_tokens`.
        tokens: u32,
        /// `max_num_seqs`.
        sequences: u32,
    },
    /// A step cannot hold the longest prompt, and prompts may not be split.
    #[error(
        "max_num_batched_tokens ({tokens}) is smaller than max_model_len ({longest}). This \
         effectively limits the maximum sequence length to max_num_batched_tokens and makes vLLM \
         reject longer sequences. Please increase max_num_batched_tokens or decrease max_model_len."
    )]
    TokensBelowContext {
        /// `max_num_batched_tokens`.
        tokens: u32,
        /// `max_model_len`.
        longest: u32,
    },
    /// The budget is more than what is free.
    #[error(
        "Free memory on device cuda:0 ({free_gib:.2}/{total_gib:.2} GiB) on startup is less than \
         desired GPU memory utilization ({utilization:?}, {budget_gib:.2} GiB). Decrease GPU memory \
         utilization or reduce GPU memory used by other processes."
    )]
    FreeMemory {
        /// Free, GiB.
        free_gib: f64,
        /// Of the GPU, GiB.
        total_gib: f64,
        /// `gpu_memory_utilization`.
        utilization: f64,
        /// Share of the GPU that this is, GiB.
        budget_gib: f64,
    },
    /// An allocation failed while weights were loaded or graphs captured.
    #[error(transparent)]
    OutOfMemory(OutOfMemory),
    /// Nothing is left for the KV cache.
    #[error(
        "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when \
         initializing the engine."
    )]
    NoCacheMemory,
    /// The KV cache cannot hold one request of the longest length.
    #[error(
        "To serve at least one request with the model's max seq len ({longest}), ({needed_gib:.2} \
         GiB KV cache is needed, which is larger than the available KV cache memory \
         ({available_gib:.2} GiB). Based on the available memory, the estimated maximum model \
         length is {possible}. Try increasing `gpu_memory_utilization` or decreasing \
         `max_model_len` when initializing the engine."
    )]
    CacheBelowContext {
        /// `max_model_len`.
        longest: u32,
        /// Cache that it needs, GiB.
        needed_gib: f64,
        /// Cache that there is, GiB.
        available_gib: f64,
        /// Longest context that would fit, tokens.
        possible: u64,
    },
    /// The sampler's buffers do not fit. vLLM's V2 model runner then says no more than PyTorch does.
    #[error(
        "CUDA out of memory occurred when warming up sampler with {sequences} dummy requests. \
         Please try lowering `max_num_seqs` or `gpu_memory_utilization` when initializing the engine."
    )]
    Sampler {
        /// `max_num_seqs`.
        sequences: u32,
    },
}

impl StartUpCause {
    /// What kind of impossibility it is.
    pub fn class(&self) -> InfeasibleClass {
        match self {
            Self::Argument { .. }
            | Self::World { .. }
            | Self::Heads { .. }
            | Self::Indivisible { .. }
            | Self::BlockSize { .. }
            | Self::ContextLength { .. }
            | Self::TokensBelowSequences { .. }
            | Self::TokensBelowContext { .. } => InfeasibleClass::Invalid,
            Self::FreeMemory { .. }
            | Self::OutOfMemory(_)
            | Self::NoCacheMemory
            | Self::CacheBelowContext { .. }
            | Self::Sampler { .. } => InfeasibleClass::Memory,
        }
    }
}

/// An allocation that failed, in PyTorch's words.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "CUDA out of memory. Tried to allocate {}. GPU 0 has a total capacity of {} of which {} is free.",
    size(*wanted_gib),
    size(*total_gib),
    size(*free_gib)
)]
pub struct OutOfMemory {
    /// What was to be allocated, GiB.
    pub wanted_gib: f64,
    /// Of the GPU, GiB.
    pub total_gib: f64,
    /// Free, GiB.
    pub free_gib: f64,
}

/// GiB as PyTorch writes them: `c10/core/CachingDeviceAllocator.cpp`, `format_size`.
fn size(gib: f64) -> String {
    if gib > 1.0 { format!("{gib:.2} GiB") } else { format!("{:.2} MiB", 1024.0 * gib) }
}
