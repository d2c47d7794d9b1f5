//! What the server told, as columns that begin with `server_`.
//!
//! All are null where there was no server. `server_start_up_s` is always told, so it says whether
//! there was one. Counts are signed, so that differences of them cannot wrap.

use slotune_serving::{EngineArguments, ServerFacts};

use super::{read_name, write_name};
use crate::{
    PartProblem, WriteError,
    table::{Columns, Table},
};

pub(super) fn write(table: &mut Table, server: Option<&ServerFacts>) -> Result<(), WriteError> {
    let fact = |of: fn(&ServerFacts) -> Option<u64>| server.and_then(of);
    table.set("server_start_up_s", server.map(|facts| facts.start_up_s));
    set_count(table, "server_kv_blocks", fact(|facts| facts.kv_blocks))?;
    set_count(table, "server_preemptions", fact(|facts| facts.preemptions))?;
    set_count(table, "server_engine_steps", fact(|facts| facts.engine_steps))?;
    table.set("server_queue_time_sum_s", server.and_then(|facts| facts.queue_time_sum_s));
    set_count(table, "server_prefix_cache_queries", fact(|facts| facts.prefix_cache_queries))?;
    set_count(table, "server_prefix_cache_hits", fact(|facts| facts.prefix_cache_hits))?;
    set_count(table, "server_prompt_tokens", fact(|facts| facts.prompt_tokens))?;
    set_count(table, "server_output_tokens", fact(|facts| facts.output_tokens))?;
    set_count(table, "server_completed_requests", fact(|facts| facts.completed_requests))?;
    table.set("server_vllm_version", server.and_then(|facts| facts.vllm_version.clone()));
    let none = EngineArguments::default();
    let arguments = server.map_or(&none, |server| &server.arguments);
    table.set("server_max_num_seqs", arguments.max_num_seqs.map(i64::from));
    table.set("server_max_num_batched_tokens", arguments.max_num_batched_tokens.map(i64::from));
    table.set("server_gpu_memory_utilization", arguments.gpu_memory_utilization);
    table.set("server_max_model_len", arguments.max_model_len.map(i64::from));
    table.set("server_block_size", arguments.block_size.map(i64::from));
    table.set("server_enable_chunked_prefill", arguments.enable_chunked_prefill);
    table.set(
        "server_long_prefill_token_threshold",
        arguments.long_prefill_token_threshold.map(i64::from),
    );
    table.set("server_enable_prefix_caching", arguments.enable_prefix_caching);
    table.set("server_async_scheduling", arguments.async_scheduling);
    table.set("server_scheduling_policy", arguments.scheduling_policy.and_then(write_name));
    table.set("server_stream_interval", arguments.stream_interval.map(i64::from));
    table.set("server_cudagraph_mode", arguments.cudagraph_mode.and_then(write_name));
    table.set(
        "server_max_cudagraph_capture_size",
        arguments.max_cudagraph_capture_size.map(i64::from),
    );
    table.set("server_tensor_parallel_size", arguments.tensor_parallel_size.map(i64::from));
    Ok(())
}

pub(super) fn read(columns: &mut Columns) -> Result<Option<ServerFacts>, PartProblem> {
    let Some(start_up_s) = columns.get("server_start_up_s")? else {
        columns.discard("server_");
        return Ok(None);
    };
    let policy = columns.get("server_scheduling_policy")?;
    let graphs = columns.get("server_cudagraph_mode")?;
    Ok(Some(ServerFacts {
        start_up_s,
        kv_blocks: columns.get_count("server_kv_blocks")?,
        preemptions: columns.get_count("server_preemptions")?,
        engine_steps: columns.get_count("server_engine_steps")?,
        queue_time_sum_s: columns.get("server_queue_time_sum_s")?,
        prefix_cache_queries: columns.get_count("server_prefix_cache_queries")?,
        prefix_cache_hits: columns.get_count("server_prefix_cache_hits")?,
        prompt_tokens: columns.get_count("server_prompt_tokens")?,
        output_tokens: columns.get_count("server_output_tokens")?,
        completed_requests: columns.get_count("server_completed_requests")?,
        vllm_version: columns.get("server_vllm_version")?,
        arguments: EngineArguments {
            max_num_seqs: columns.get_count("server_max_num_seqs")?,
            max_num_batched_tokens: columns.get_count("server_max_num_batched_tokens")?,
            gpu_memory_utilization: columns.get("server_gpu_memory_utilization")?,
            max_model_len: columns.get_count("server_max_model_len")?,
            block_size: columns.get_count("server_block_size")?,
            enable_chunked_prefill: columns.get("server_enable_chunked_prefill")?,
            long_prefill_token_threshold: columns
                .get_count("server_long_prefill_token_threshold")?,
            enable_prefix_caching: columns.get("server_enable_prefix_caching")?,
            async_scheduling: columns.get("server_async_scheduling")?,
            scheduling_policy: policy
                .map(|name| read_name("server_scheduling_policy", name))
                .transpose()?,
            stream_interval: columns.get_count("server_stream_interval")?,
            cudagraph_mode: graphs
                .map(|name| read_name("server_cudagraph_mode", name))
                .transpose()?,
            max_cudagraph_capture_size: columns.get_count("server_max_cudagraph_capture_size")?,
            tensor_parallel_size: columns.get_count("server_tensor_parallel_size")?,
        },
    }))
}

fn set_count(
    table: &mut Table,
    column: &'static str,
    count: Option<u64>,
) -> Result<(), WriteError> {
    let too_large = |value| move |_| WriteError::TooLarge { column, value };
    let count = count.map(|value| i64::try_from(value).map_err(too_large(value))).transpose()?;
    table.set(column, count);
    Ok(())
}
