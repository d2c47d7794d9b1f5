//! vLLM's engine arguments: names, defaults, rules, and the flags that set them.

mod command;
mod resolve;
mod table;
mod version;

use serde::{Deserialize, Serialize};
use slotune_core::{Configuration, Value};

use crate::nearest::{did_you_mean, nearest};
use table::ARGUMENTS;

pub use command::shell_word;
pub use resolve::Environment;
pub use version::{VersionError, VllmVersion};

/// Engine arguments of a vLLM server as a user sets them; `None` leaves vLLM's default.
///
/// Names and meanings are vLLM's. Only arguments worth tuning, or needed to resolve those, are
/// here; anything else goes into the server's command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineArguments {
    /// Most sequences in one step.
    pub max_num_seqs: Option<u32>,
    /// Most tokens in one step.
    pub max_num_batched_tokens: Option<u32>,
    /// Share of GPU memory for weights, activations and KV cache, above 0 up to 1.
    pub gpu_memory_utilization: Option<f64>,
    /// Most tokens of prompt and output of one request.
    pub max_model_len: Option<u32>,
    /// Tokens in a KV-cache block.
    pub block_size: Option<u32>,
    /// Whether a prompt may be computed over several steps.
    pub enable_chunked_prefill: Option<bool>,
    /// Most prompt tokens of one request in one step; 0 means no limit.
    pub long_prefill_token_threshold: Option<u32>,
    /// Whether blocks are shared between prompts with equal beginnings.
    pub enable_prefix_caching: Option<bool>,
    /// Whether the next step is scheduled while the GPU computes.
    pub async_scheduling: Option<bool>,
    /// Order in which waiting requests are admitted.
    pub scheduling_policy: Option<SchedulingPolicy>,
    /// Tokens sent to the client at once.
    pub stream_interval: Option<u32>,
    /// Which steps run as CUDA graphs.
    pub cudagraph_mode: Option<CudagraphMode>,
    /// Largest batch captured as a CUDA graph.
    pub max_cudagraph_capture_size: Option<u32>,
    /// GPUs that one replica is split over.
    pub tensor_parallel_size: Option<u32>,
}

/// Engine arguments with every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResolvedEngineArguments {
    /// See [`EngineArguments::max_num_seqs`].
    pub max_num_seqs: u32,
    /// See [`EngineArguments::max_num_batched_tokens`].
    pub max_num_batched_tokens: u32,
    /// See [`EngineArguments::gpu_memory_utilization`].
    pub gpu_memory_utilization: f64,
    /// See [`EngineArguments::max_model_len`].
    pub max_model_len: u32,
    /// See [`EngineArguments::block_size`].
    pub block_size: u32,
    /// See [`EngineArguments::enable_chunked_prefill`].
    pub enable_chunked_prefill: bool,
    /// See [`EngineArguments::long_prefill_token_threshold`].
    pub long_prefill_token_threshold: u32,
    /// See [`EngineArguments::enable_prefix_caching`].
    pub enable_prefix_caching: bool,
    /// See [`EngineArguments::async_scheduling`].
    pub async_scheduling: bool,
    /// See [`EngineArguments::scheduling_policy`].
    pub scheduling_policy: SchedulingPolicy,
    /// See [`EngineArguments::stream_interval`].
    pub stream_interval: u32,
    /// See [`EngineArguments::cudagraph_mode`].
    pub cudagraph_mode: CudagraphMode,
    /// See [`EngineArguments::max_cudagraph_capture_size`].
    pub max_cudagraph_capture_size: u32,
    /// See [`EngineArguments::tensor_parallel_size`].
    pub tensor_parallel_size: u32,
}

/// Order in which waiting requests are admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulingPolicy {
    /// First come, first served.
    Fcfs,
    /// By priority, then by arrival.
    Priority,
}

/// Which steps run as CUDA graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CudagraphMode {
    /// Decode steps as full graphs, others piecewise: vLLM's default.
    FullAndPiecewise,
    /// Decode steps as full graphs, others eager.
    FullDecodeOnly,
    /// All steps eager.
    None,
}

impl EngineArguments {
    /// The arguments that a trial's configuration sets; all others stay at vLLM's defaults.
    ///
    /// ```
    /// use slotune_core::Configuration;
    /// use slotune_serving::EngineArguments;
    /// let configuration = Configuration::new().with("max_num_seqs", 512);
    /// let arguments = EngineArguments::from_configuration(&configuration)?;
    /// assert_eq!(arguments.flags(), ["--max-num-seqs", "512"]);
    /// # Ok::<(), slotune_serving::engine_arguments::ArgumentError>(())
    /// ```
    ///
    /// # Errors
    /// When a name is no argument, or a value is of the wrong type or out of range.
    pub fn from_configuration(configuration: &Configuration) -> Result<Self, ArgumentError> {
        Self::default().updated(configuration)
    }

    /// These arguments, with those that the configuration sets replaced.
    ///
    /// # Errors
    /// As [`from_configuration`](Self::from_configuration).
    pub fn updated(&self, configuration: &Configuration) -> Result<Self, ArgumentError> {
        let mut arguments = self.clone();
        for (name, value) in configuration.iter() {
            let Some(argument) = ARGUMENTS.iter().find(|argument| argument.name == name) else {
                return Err(ArgumentError::unknown(name));
            };
            let set = argument.allowed.holds(value).then(|| (argument.set)(&mut arguments, value));
            if set.flatten().is_none() {
                return Err(ArgumentError::not_allowed(argument, value));
            }
        }
        Ok(arguments)
    }

    /// The arguments that are set, as a configuration.
    pub fn to_configuration(&self) -> Configuration {
        ARGUMENTS.iter().fold(Configuration::new(), |configuration, argument| {
            match (argument.get)(self) {
                Some(value) => configuration.with(argument.name, value),
                None => configuration,
            }
        })
    }

    /// Checks arguments that did not come from a configuration, such as those of a file.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn check(&self) -> Result<(), ArgumentError> {
        self.updated(&self.to_configuration()).map(drop)
    }

    /// Names of all arguments known here.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ARGUMENTS.iter().map(|argument| argument.name)
    }
}

impl ResolvedEngineArguments {
    /// The same arguments, all of them set: what resolves to these whatever the defaults are.
    pub fn to_arguments(&self) -> EngineArguments {
        EngineArguments {
            max_num_seqs: Some(self.max_num_seqs),
            max_num_batched_tokens: Some(self.max_num_batched_tokens),
            gpu_memory_utilization: Some(self.gpu_memory_utilization),
            max_model_len: Some(self.max_model_len),
            block_size: Some(self.block_size),
            enable_chunked_prefill: Some(self.enable_chunked_prefill),
            long_prefill_token_threshold: Some(self.long_prefill_token_threshold),
            enable_prefix_caching: Some(self.enable_prefix_caching),
            async_scheduling: Some(self.async_scheduling),
            scheduling_policy: Some(self.scheduling_policy),
            stream_interval: Some(self.stream_interval),
            cudagraph_mode: Some(self.cudagraph_mode),
            // 0 tells that there are no graphs, which the mode says.
            max_cudagraph_capture_size: Some(self.max_cudagraph_capture_size)
                .filter(|&size| size > 0),
            tensor_parallel_size: Some(self.tensor_parallel_size),
        }
    }
}

impl SchedulingPolicy {
    const ALL: [Self; 2] = [Self::Fcfs, Self::Priority];
    const NAMES: [&'static str; 2] = [Self::Fcfs.name(), Self::Priority.name()];

    /// Its name in configurations, and in vLLM.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fcfs => "fcfs",
            Self::Priority => "priority",
        }
    }
}

impl CudagraphMode {
    const ALL: [Self; 3] = [Self::FullAndPiecewise, Self::FullDecodeOnly, Self::None];
    const NAMES: [&'static str; 3] =
        [Self::FullAndPiecewise.name(), Self::FullDecodeOnly.name(), Self::None.name()];

    /// Its name in configurations; in vLLM, the same in capitals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FullAndPiecewise => "full_and_piecewise",
            Self::FullDecodeOnly => "full_decode_only",
            Self::None => "none",
        }
    }
}

/// Why a configuration is no set of engine arguments.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// No argument has that name.
    #[error("unknown engine argument `{name}`{}; known are: {}", did_you_mean(*nearest), known.join(", "))]
    Unknown {
        /// The name seen.
        name: String,
        /// The known name that is most like it, if one is.
        nearest: Option<&'static str>,
        /// All names.
        known: Vec<&'static str>,
    },
    /// The value is of the wrong type or out of range.
    #[error("engine argument `{name}` is {value}, but must be {allowed}")]
    NotAllowed {
        /// The argument.
        name: &'static str,
        /// The value seen, as text.
        value: String,
        /// What it may be.
        allowed: String,
    },
}

impl ArgumentError {
    fn unknown(name: &str) -> Self {
        Self::Unknown {
            name: name.to_owned(),
            nearest: nearest(name, EngineArguments::names()),
            known: EngineArguments::names().collect(),
        }
    }

    fn not_allowed(argument: &table::Argument, value: &Value) -> Self {
        let value = match value {
            // As Rust writes it, so that 256.0 does not look like the integer that is asked for.
            Value::Float(number) => format!("{number:?}"),
            Value::Text(text) => format!("`{text}`"),
            value => value.to_string(),
        };
        Self::NotAllowed { name: argument.name, value, allowed: argument.allowed.to_string() }
    }
}

#[cfg(test)]
mod tests;
