//! Engine arguments as a user types them.

use slotune_core::{Configuration, Value};
use slotune_results::StoredTrial;
use slotune_serving::engine_arguments::{CudagraphMode, ResolvedEngineArguments, SchedulingPolicy};

/// A Python program that makes the engine.
pub(super) fn python(model: &str, configuration: &Configuration) -> String {
    let argument = |(name, value): (&str, &Value)| {
        let value = match value {
            Value::Boolean(true) => "True".to_owned(),
            Value::Boolean(false) => "False".to_owned(),
            Value::Text(text) => format!("{text:?}"),
            number => number.to_string(),
        };
        format!("    {name}={value},\n")
    };
    let arguments: String = configuration.iter().map(argument).collect();
    format!(
        "from vllm import LLM, SamplingParams\n\nllm = LLM(\n    model={model:?},\n{arguments})"
    )
}

/// A shell command that starts the server.
pub(super) fn vllm_serve(model: &str, configuration: &Configuration) -> String {
    let argument = |(name, value): (&str, &Value)| {
        let flag = name.replace('_', "-");
        match value {
            Value::Boolean(true) => format!("--{flag}"),
            Value::Boolean(false) => format!("--no-{flag}"),
            value => format!("--{flag} {value}"),
        }
    };
    let command = std::iter::once(format!("vllm serve {model}"));
    command.chain(configuration.iter().map(argument)).collect::<Vec<_>>().join(" \\\n    ")
}

/// The value that a trial's server had for an argument: as it was set, else as the server resolved
/// it.
pub(super) fn in_effect(trial: &StoredTrial, name: &str) -> Option<Value> {
    let set = trial.entry.trial.configuration.get(name).cloned();
    set.or_else(|| resolved(&trial.server.as_ref()?.arguments, name))
}

fn resolved(arguments: &ResolvedEngineArguments, name: &str) -> Option<Value> {
    let a = arguments;
    Some(match name {
        "max_num_seqs" => a.max_num_seqs.into(),
        "max_num_batched_tokens" => a.max_num_batched_tokens.into(),
        "gpu_memory_utilization" => a.gpu_memory_utilization.into(),
        "max_model_len" => a.max_model_len.into(),
        "block_size" => a.block_size.into(),
        "enable_chunked_prefill" => a.enable_chunked_prefill.into(),
        "long_prefill_token_threshold" => a.long_prefill_token_threshold.into(),
        "enable_prefix_caching" => a.enable_prefix_caching.into(),
        "async_scheduling" => a.async_scheduling.into(),
        "scheduling_policy" => match a.scheduling_policy {
            SchedulingPolicy::Fcfs => "fcfs".into(),
            SchedulingPolicy::Priority => "priority".into(),
        },
        "stream_interval" => a.stream_interval.into(),
        "cudagraph_mode" => match a.cudagraph_mode {
            CudagraphMode::FullAndPiecewise => "full_and_piecewise".into(),
            CudagraphMode::FullDecodeOnly => "full_decode_only".into(),
            CudagraphMode::None => "none".into(),
        },
        "max_cudagraph_capture_size" => a.max_cudagraph_capture_size.into(),
        "tensor_parallel_size" => a.tensor_parallel_size.into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_written_in_both_languages() {
        let configuration = Configuration::new()
            .with("async_scheduling", true)
            .with("enable_chunked_prefill", false)
            .with("gpu_memory_utilization", 0.9)
            .with("kv_cache_dtype", "fp8")
            .with("max_num_seqs", 512);
        assert_eq!(
            python("org/model", &configuration),
            "from vllm import LLM, SamplingParams\n\nllm = LLM(\n    model=\"org/model\",\n    \
             async_scheduling=True,\n    enable_chunked_prefill=False,\n    \
             gpu_memory_utilization=0.9,\n    kv_cache_dtype=\"fp8\",\n    max_num_seqs=512,\n)"
        );
        assert_eq!(
            vllm_serve("org/model", &configuration),
            "vllm serve org/model \\\n    --async-scheduling \\\n    --no-enable-chunked-prefill \\\n    \
             --gpu-memory-utilization 0.9 \\\n    --kv-cache-dtype fp8 \\\n    --max-num-seqs 512"
        );
    }
}
