//! vLLM's defaults, by version and GPU, and the rules that it enforces at start-up.
//!
//! Read from the source of the releases 0.11.1 to 0.33.0 for `vllm serve`
//! (`UsageContext.OPENAI_API_SERVER`) on NVIDIA GPUs. What changed in between:
//!
//! | since | change | file |
//! |---|---|---|
//! | 0.14.0 | asynchronous scheduling is on | `vllm/config/vllm.py` |
//! | 0.20.0 | `gpu_memory_utilization` is 0.92, was 0.9 | `vllm/config/cache.py` |
//! | 0.21.0 | `max_num_batched_tokens` is itself captured as a CUDA graph where it is small enough | `vllm/config/vllm.py` |
//! | 0.28.0 | a tier of its own for GPUs of 160 GiB and more | `vllm/engine/arg_utils.py` |
//! | 0.28.0 | CUDA graphs up to 1024 tokens, was 512, on data-centre Blackwell | `vllm/config/vllm.py` |

use serde::{Deserialize, Serialize};
use slotune_core::{Operand, Parameter, Rule};

use super::{
    CudagraphMode, EngineArguments, ResolvedEngineArguments, SchedulingPolicy, VllmVersion,
};

/// What vLLM's defaults depend on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The release that runs. Before [`VllmVersion::OLDEST_KNOWN`] and after
    /// [`VllmVersion::NEWEST_KNOWN`] the nearest known one is assumed.
    pub version: VllmVersion,
    /// Memory of one GPU as its driver reports it, GiB.
    pub gpu_memory_gib: f64,
    /// Whether the GPU is an A100, which vLLM keeps on the defaults of smaller GPUs.
    pub gpu_is_a100: bool,
    /// Longest context of the model, tokens: vLLM's default for `max_model_len`.
    pub model_max_len: u32,
}

impl Environment {
    /// Defaults for the batch: sequences, then tokens in one step. From `get_batch_defaults` in
    /// `vllm/engine/arg_utils.py`.
    fn batch_defaults(&self) -> (u32, u32) {
        if self.has_160_gib() {
            (1024, 16_384)
        } else if self.gpu_memory_gib >= 70.0 && !self.gpu_is_a100 {
            (1024, 8192)
        } else {
            (256, 2048)
        }
    }

    /// Whether the tier of GPUs of 160 GiB and more exists and this is one. vLLM gives it larger
    /// batches by memory and larger CUDA graphs by architecture (compute capability 10.x); memory
    /// stands for both here.
    fn has_160_gib(&self) -> bool {
        self.version >= VllmVersion::new(0, 28, 0) && self.gpu_memory_gib >= 160.0
    }
}

impl EngineArguments {
    /// All arguments as vLLM would resolve them: what is set, and its defaults for the rest.
    ///
    /// Nothing is checked: vLLM refuses some of what comes out, such as more sequences than
    /// tokens in a step.
    pub fn resolve(&self, environment: &Environment) -> ResolvedEngineArguments {
        let version = environment.version;
        let max_model_len = self.max_model_len.unwrap_or(environment.model_max_len);
        let enable_chunked_prefill = self.enable_chunked_prefill.unwrap_or(true);
        let (max_num_seqs, max_num_batched_tokens) =
            self.resolve_batch(environment, max_model_len, enable_chunked_prefill);
        let cudagraph_mode = self.cudagraph_mode.unwrap_or(CudagraphMode::FullAndPiecewise);
        ResolvedEngineArguments {
            max_num_seqs,
            max_num_batched_tokens,
            gpu_memory_utilization: self
                .gpu_memory_utilization
                .unwrap_or(if version >= VllmVersion::new(0, 20, 0) { 0.92 } else { 0.9 }),
            max_model_len,
            block_size: self.block_size.unwrap_or(16),
            enable_chunked_prefill,
            long_prefill_token_threshold: self.long_prefill_token_threshold.unwrap_or(0),
            enable_prefix_caching: self.enable_prefix_caching.unwrap_or(true),
            async_scheduling: self
                .async_scheduling
                .unwrap_or(version >= VllmVersion::new(0, 14, 0)),
            scheduling_policy: self.scheduling_policy.unwrap_or(SchedulingPolicy::Fcfs),
            stream_interval: self.stream_interval.unwrap_or(1),
            cudagraph_mode,
            max_cudagraph_capture_size: if cudagraph_mode == CudagraphMode::None {
                0
            } else {
                self.largest_graph(environment, max_num_seqs, max_num_batched_tokens)
            },
            tensor_parallel_size: self.tensor_parallel_size.unwrap_or(1),
        }
    }

    /// Sequences and tokens in one step, whose defaults depend on each other. From
    /// `_set_default_max_num_seqs_and_batched_tokens_args` in `vllm/engine/arg_utils.py`.
    fn resolve_batch(
        &self,
        environment: &Environment,
        max_model_len: u32,
        chunked: bool,
    ) -> (u32, u32) {
        let (default_seqs, default_tokens) = environment.batch_defaults();
        let seqs = self.max_num_seqs.unwrap_or(default_seqs);
        let tokens = self.max_num_batched_tokens.unwrap_or_else(|| {
            // A prompt that may not be cut must fit into one step.
            let least = if chunked { 0 } else { max_model_len };
            default_tokens.max(least).min(seqs.saturating_mul(max_model_len))
        });
        (self.max_num_seqs.unwrap_or_else(|| seqs.min(tokens)), tokens)
    }

    /// The largest batch captured as a CUDA graph. From `_set_cudagraph_sizes` in
    /// `vllm/config/vllm.py`: 1, 2, 4, then steps of 8 up to 256 and of 16 above.
    fn largest_graph(&self, environment: &Environment, max_num_seqs: u32, tokens: u32) -> u32 {
        let ceiling = if environment.has_160_gib() { 1024 } else { 512 };
        let wanted = self
            .max_cudagraph_capture_size
            .unwrap_or_else(|| max_num_seqs.saturating_mul(2).min(ceiling));
        if tokens <= wanted && environment.version >= VllmVersion::new(0, 21, 0) {
            return tokens;
        }
        match wanted.min(tokens) {
            size @ 256.. => size - size % 16,
            size @ 8.. => size - size % 8,
            size @ 4.. => size - size % 4,
            3 => 2,
            size => size,
        }
    }

    /// The rules that vLLM enforces at start-up, for a search over `parameters` in which every
    /// trial has these arguments besides:
    ///
    /// - `max_num_batched_tokens >= max_num_seqs`;
    /// - without chunked prefill, `max_num_batched_tokens >= max_model_len`.
    ///
    /// An argument that is no parameter enters as the number it has in every trial. Rules that
    /// hold in every trial are left out. From `SchedulerConfig.verify_max_model_len` in
    /// `vllm/config/scheduler.py`.
    ///
    /// ```
    /// # use slotune_core::Parameter;
    /// # use slotune_serving::engine_arguments::{EngineArguments, Environment, VllmVersion};
    /// let environment = Environment {
    ///     version: VllmVersion::NEWEST_KNOWN,
    ///     gpu_memory_gib: 79.2,
    ///     gpu_is_a100: false,
    ///     model_max_len: 32_768,
    /// };
    /// let parameters = [
    ///     Parameter::integer("max_num_batched_tokens", 512, 65_536).log(),
    ///     Parameter::integer("max_num_seqs", 32, 4096).log(),
    /// ];
    /// let rules = EngineArguments::default().rules(&parameters, &environment);
    /// assert_eq!(rules[0].to_string(), "max_num_batched_tokens >= max_num_seqs");
    /// ```
    pub fn rules(&self, parameters: &[Parameter], environment: &Environment) -> Vec<Rule> {
        let searched = |name: &str| parameters.iter().any(|parameter| parameter.name() == name);
        let resolved = self.resolve(environment);
        let operand = |name: &str, otherwise: u32| {
            if searched(name) { Operand::from(name) } else { Operand::from(f64::from(otherwise)) }
        };
        let tokens = || operand("max_num_batched_tokens", resolved.max_num_batched_tokens);
        let tokens_can_vary_or_are_set =
            searched("max_num_batched_tokens") || self.max_num_batched_tokens.is_some();
        let mut rules = Vec::new();
        // A default number of sequences is lowered to the tokens, so it cannot break the rule.
        let seqs_are_searched = searched("max_num_seqs");
        if seqs_are_searched || (self.max_num_seqs.is_some() && searched("max_num_batched_tokens"))
        {
            rules.push(Rule::at_least(tokens(), operand("max_num_seqs", resolved.max_num_seqs)));
        }
        // Likewise a default number of tokens is raised to the longest context.
        let chunking = "enable_chunked_prefill";
        let prompts_may_be_whole = searched(chunking) || !resolved.enable_chunked_prefill;
        let something_varies =
            [chunking, "max_num_batched_tokens", "max_model_len"].into_iter().any(searched);
        if tokens_can_vary_or_are_set && prompts_may_be_whole && something_varies {
            let rule = Rule::at_least(tokens(), operand("max_model_len", resolved.max_model_len));
            rules.push(if searched(chunking) { rule.when(chunking, false) } else { rule });
        }
        rules
    }
}
