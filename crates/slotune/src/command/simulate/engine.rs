//! vLLM's engine arguments as flags, spelt as `vllm serve` spells them.

use clap::Args;
use slotune::{core::Configuration, serving::EngineArguments, sim::Admission};

use crate::command::Error;

/// What is not given stays at vLLM's default. Values are not checked here: what vLLM refuses, the
/// simulated one refuses in its words.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Debug, Args)]
#[command(next_help_heading = "Engine arguments, as of `vllm serve`")]
pub(super) struct EngineFlags {
    /// Most sequences in one step
    #[arg(long, value_name = "N")]
    max_num_seqs: Option<u32>,
    /// Most tokens in one step
    #[arg(long, value_name = "TOKENS")]
    max_num_batched_tokens: Option<u32>,
    /// Share of GPU memory for weights, activations and KV cache, above 0 up to 1
    #[arg(long, value_name = "SHARE")]
    gpu_memory_utilization: Option<f64>,
    /// Most tokens of prompt and output of one request
    #[arg(long, value_name = "TOKENS")]
    max_model_len: Option<u32>,
    /// Tokens in a KV-cache block
    #[arg(long, value_name = "TOKENS")]
    block_size: Option<u32>,
    /// GPUs that the model is split over: 1, 2, 4 or 8, an estimate above 1
    #[arg(long, value_name = "GPUS")]
    tensor_parallel_size: Option<u32>,
    /// Most prompt tokens of one request in one step; 0 means no limit
    #[arg(long, value_name = "TOKENS")]
    long_prefill_token_threshold: Option<u32>,
    /// Order in which waiting requests are admitted
    #[arg(long, value_name = "POLICY", value_parser = ["fcfs", "priority"])]
    scheduling_policy: Option<String>,
    /// Tokens sent to the client at once
    #[arg(long, value_name = "TOKENS")]
    stream_interval: Option<u32>,
    /// Which steps run as CUDA graphs (in vLLM a field of `--compilation-config`)
    #[arg(
        long,
        value_name = "MODE",
        ignore_case = true,
        value_parser = ["full_and_piecewise", "full_decode_only", "none"]
    )]
    cudagraph_mode: Option<String>,
    /// No CUDA graphs and no compilation: as `--cudagraph-mode none`
    #[arg(long, conflicts_with_all = ["cudagraph_mode", "max_cudagraph_capture_size"])]
    enforce_eager: bool,
    /// Largest batch captured as a CUDA graph (in vLLM also a field of `--compilation-config`)
    #[arg(long, value_name = "TOKENS")]
    max_cudagraph_capture_size: Option<u32>,
    /// Lets a prompt be computed over several steps; `--no-…` forbids it
    #[arg(long, overrides_with = "no_enable_chunked_prefill")]
    enable_chunked_prefill: bool,
    #[arg(long, hide = true)]
    no_enable_chunked_prefill: bool,
    /// Shares blocks between prompts with equal beginnings; `--no-…` does not
    #[arg(long, overrides_with = "no_enable_prefix_caching")]
    enable_prefix_caching: bool,
    #[arg(long, hide = true)]
    no_enable_prefix_caching: bool,
    /// Admits a request only if all of its prompt fits into the KV cache; `--no-…` only its first step
    #[arg(long, overrides_with = "no_scheduler_reserve_full_isl")]
    scheduler_reserve_full_isl: bool,
    #[arg(long, hide = true)]
    no_scheduler_reserve_full_isl: bool,
    /// Share of the KV cache that an admitted request must leave free, from 0 to below 1
    #[arg(long, value_name = "SHARE")]
    watermark: Option<f64>,
    /// Schedules the next step while the GPU computes; `--no-…` does not
    #[arg(long, overrides_with = "no_async_scheduling")]
    async_scheduling: bool,
    #[arg(long, hide = true)]
    no_async_scheduling: bool,
}

impl EngineFlags {
    pub(super) fn arguments(&self) -> Result<EngineArguments, Error> {
        let eager = self.enforce_eager.then(|| "none".to_owned());
        let names = [
            ("scheduling_policy", &self.scheduling_policy),
            ("cudagraph_mode", if self.enforce_eager { &eager } else { &self.cudagraph_mode }),
        ];
        let named = names.into_iter().fold(Configuration::new(), |named, (name, value)| {
            value.as_ref().map_or(named.clone(), |value| named.with(name, value.to_lowercase()))
        });
        Ok(EngineArguments {
            max_num_seqs: self.max_num_seqs,
            max_num_batched_tokens: self.max_num_batched_tokens,
            gpu_memory_utilization: self.gpu_memory_utilization,
            max_model_len: self.max_model_len,
            block_size: self.block_size,
            tensor_parallel_size: self.tensor_parallel_size,
            long_prefill_token_threshold: self.long_prefill_token_threshold,
            stream_interval: self.stream_interval,
            max_cudagraph_capture_size: self.max_cudagraph_capture_size,
            enable_chunked_prefill: switch(
                self.enable_chunked_prefill,
                self.no_enable_chunked_prefill,
            ),
            enable_prefix_caching: switch(
                self.enable_prefix_caching,
                self.no_enable_prefix_caching,
            ),
            async_scheduling: switch(self.async_scheduling, self.no_async_scheduling),
            ..EngineArguments::from_configuration(&named)?
        })
    }

    /// When the server admits a request.
    pub(super) fn admission(&self) -> Admission {
        let reserves = switch(self.scheduler_reserve_full_isl, self.no_scheduler_reserve_full_isl);
        let vllm = Admission::default();
        Admission {
            reserves_full_prompt: reserves.unwrap_or(vllm.reserves_full_prompt),
            watermark: self.watermark.unwrap_or(vllm.watermark),
        }
    }
}

/// `--name`, `--no-name` or neither; of both, the last counts.
fn switch(is_on: bool, is_off: bool) -> Option<bool> {
    (is_on || is_off).then_some(is_on)
}
