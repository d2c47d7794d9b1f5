//! The engine arguments as a running server resolved them.
//!
//! A server in development mode (`VLLM_SERVER_DEV_MODE=1`, which a managed server gets) answers
//! `GET /server_info?config_format=json` with its whole configuration (`vllm/entrypoints/serve/`,
//! since 0.11). Only what is listed here is read of it: it also holds tokens and variables that are
//! nobody's business. Any other server tells the little that stands in `/metrics` and `/v1/models`.

use serde_json::Value;
use slotune_serving::{
    EngineArguments,
    engine_arguments::{CudagraphMode, SchedulingPolicy},
};

use crate::telemetry::Exposition;

/// What the answer of `/server_info` says; all `None` for one that is something else.
pub(crate) fn from_server_info(info: &Value) -> EngineArguments {
    let of = |section: &str, field: &str| &info["vllm_config"][section][field];
    let count = |section, field| u32::try_from(of(section, field).as_u64()?).ok();
    let policy = match of("scheduler_config", "policy").as_str() {
        Some("fcfs") => Some(SchedulingPolicy::Fcfs),
        Some("priority") => Some(SchedulingPolicy::Priority),
        _ => None,
    };
    EngineArguments {
        max_num_seqs: count("scheduler_config", "max_num_seqs"),
        max_num_batched_tokens: count("scheduler_config", "max_num_batched_tokens"),
        gpu_memory_utilization: of("cache_config", "gpu_memory_utilization").as_f64(),
        max_model_len: count("model_config", "max_model_len"),
        block_size: count("cache_config", "block_size"),
        enable_chunked_prefill: of("scheduler_config", "enable_chunked_prefill").as_bool(),
        long_prefill_token_threshold: count("scheduler_config", "long_prefill_token_threshold"),
        enable_prefix_caching: of("cache_config", "enable_prefix_caching").as_bool(),
        async_scheduling: of("scheduler_config", "async_scheduling").as_bool(),
        scheduling_policy: policy,
        stream_interval: count("scheduler_config", "stream_interval"),
        cudagraph_mode: cudagraph_mode(of("compilation_config", "cudagraph_mode")),
        max_cudagraph_capture_size: count("compilation_config", "max_cudagraph_capture_size")
            .filter(|&size| size > 0),
        tensor_parallel_size: count("parallel_config", "tensor_parallel_size"),
    }
}

/// vLLM writes the values of its enumeration `CUDAGraphMode` (`vllm/config/compilation.py`): a
/// number, or a pair for decode steps and others; 0 is none, 1 piecewise, 2 full. Modes that have
/// no name here are `None`.
fn cudagraph_mode(value: &Value) -> Option<CudagraphMode> {
    let pair = value.as_array().map(|pair| pair.iter().map(Value::as_u64).collect::<Vec<_>>());
    match (value.as_u64(), pair.as_deref()) {
        (Some(0), _) => Some(CudagraphMode::None),
        (_, Some([Some(2), Some(1)])) => Some(CudagraphMode::FullAndPiecewise),
        (_, Some([Some(2), Some(0)])) => Some(CudagraphMode::FullDecodeOnly),
        _ => None,
    }
}

/// What `/metrics` says of the cache, and `/v1/models` of the longest context.
pub(crate) fn from_metrics(exposition: &Exposition, max_model_len: Option<u32>) -> EngineArguments {
    let label = |name| exposition.label("vllm:cache_config_info", name);
    EngineArguments {
        max_model_len,
        block_size: label("block_size").and_then(|size| size.parse().ok()),
        gpu_memory_utilization: label("gpu_memory_utilization")
            .and_then(|share| share.parse().ok()),
        enable_prefix_caching: label("enable_prefix_caching").map(|is_on| is_on == "True"),
        ..EngineArguments::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(name: &str) -> String {
        let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).expect("captured")
    }

    /// Captured from a server with `--max-model-len 2048 --max-num-seqs 16 --enforce-eager`.
    #[test]
    fn a_captured_configuration_is_read() {
        let info = serde_json::from_str(&data("server_info/cpu-0.32.0.json")).expect("JSON");
        let expected = EngineArguments {
            max_num_seqs: Some(16),
            max_num_batched_tokens: Some(2048),
            gpu_memory_utilization: Some(0.92),
            max_model_len: Some(2048),
            block_size: Some(128),
            enable_chunked_prefill: Some(true),
            long_prefill_token_threshold: Some(0),
            enable_prefix_caching: Some(true),
            async_scheduling: Some(false),
            scheduling_policy: Some(SchedulingPolicy::Fcfs),
            stream_interval: Some(1),
            cudagraph_mode: Some(CudagraphMode::None),
            max_cudagraph_capture_size: None,
            tensor_parallel_size: Some(1),
        };
        assert_eq!(from_server_info(&info), expected);
    }

    #[test]
    fn modes_of_graphs_are_told_apart() {
        let mode = |json: &str| cudagraph_mode(&serde_json::from_str(json).expect("JSON"));
        assert_eq!(mode("[2, 1]"), Some(CudagraphMode::FullAndPiecewise));
        assert_eq!(mode("[2, 0]"), Some(CudagraphMode::FullDecodeOnly));
        assert_eq!(mode("0"), Some(CudagraphMode::None));
        for other in ["1", "2", "[1]", "\"FULL\"", "null", "[]"] {
            assert_eq!(mode(other), None, "{other}");
        }
    }

    #[test]
    fn any_other_answer_tells_nothing() {
        for json in [
            "null",
            "[]",
            "{\"vllm_config\": \"a text\"}",
            "{\"vllm_config\": {\"cache_config\": 3}}",
        ] {
            let info = serde_json::from_str(json).expect("JSON");
            assert_eq!(from_server_info(&info), EngineArguments::default(), "{json}");
        }
    }

    #[test]
    fn a_server_that_is_not_in_development_mode_tells_of_its_cache() {
        let exposition = Exposition::parse(&data("metrics/before-load.txt"));
        let arguments = from_metrics(&exposition, Some(2048));
        assert_eq!(arguments.block_size, Some(128));
        assert_eq!(arguments.gpu_memory_utilization, Some(0.92));
        assert_eq!(arguments.enable_prefix_caching, Some(true));
        assert_eq!(arguments.max_num_seqs, None);
    }
}
