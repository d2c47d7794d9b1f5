//! What the server told, as columns that begin with `server_`.
//!
//! All are null where there was no server. `server_start_up_s` is always told, so it says whether
//! there was one. Counts are signed, so that differences of them cannot wrap.

use slotune_serving::{ServerFacts, engine_arguments::ResolvedEngineArguments};

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
    let arguments = server.map(|server| &server.arguments);
    let integer = |of: fn(&ResolvedEngineArguments) -> u32| arguments.map(of).map(i64::from);
    let boolean = |of: fn(&ResolvedEngineArguments) -> bool| arguments.map(of);
    let policy = arguments.and_then(|args| write_name(args.scheduling_policy));
    let graphs = arguments.and_then(|args| write_name(args.cudagraph_mode));
    table.set("server_max_num_seqs", integer(|args| args.max_num_seqs));
    table.set("server_max_num_batched_tokens", integer(|args| args.max_num_batched_tokens));
    table.set("server_gpu_memory_utilization", arguments.map(|args| args.gpu_memory_utilization));
    table.set("server_max_model_len", integer(|args| args.max_model_len));
    table.set("server_block_size", integer(|args| args.block_size));
    table.set("server_enable_chunked_prefill", boolean(|args| args.enable_chunked_prefill));
    table.set(
        "server_long_prefill_token_threshold",
        integer(|args| args.long_prefill_token_threshold),
    );
    table.set("server_enable_prefix_caching", boolean(|args| args.enable_prefix_caching));
    table.set("server_async_scheduling", boolean(|args| args.async_scheduling));
    table.set("server_scheduling_policy", policy);
    table.set("server_stream_interval", integer(|args| args.stream_interval));
    table.set("server_cudagraph_mode", graphs);
    table.set("server_max_cudagraph_capture_size", integer(|args| args.max_cudagraph_capture_size));
    table.set("server_tensor_parallel_size", integer(|args| args.tensor_parallel_size));
    Ok(())
}

pub(super) fn read(columns: &mut Columns) -> Result<Option<ServerFacts>, PartProblem> {
    let Some(start_up_s) = columns.get("server_start_up_s")? else {
        columns.discard("server_");
        return Ok(None);
    };
    Ok(Some(ServerFacts {
        start_up_s,
        kv_blocks: columns.get_count("server_kv_blocks")?,
        preemptions: columns.get_count("server_preemptions")?,
        engine_steps: columns.get_count("server_engine_steps")?,
        queue_time_sum_s: columns.get("server_queue_time_sum_s")?,
        prefix_cache_queries: columns.get_count("server_prefix_cache_queries")?,
        prefix_cache_hits: columns.get_count("server_prefix_cache_hits")?,
        arguments: ResolvedEngineArguments {
            max_num_seqs: columns.get_count_full("server_max_num_seqs")?,
            max_num_batched_tokens: columns.get_count_full("server_max_num_batched_tokens")?,
            gpu_memory_utilization: columns.get_full("server_gpu_memory_utilization")?,
            max_model_len: columns.get_count_full("server_max_model_len")?,
            block_size: columns.get_count_full("server_block_size")?,
            enable_chunked_prefill: columns.get_full("server_enable_chunked_prefill")?,
            long_prefill_token_threshold: columns
                .get_count_full("server_long_prefill_token_threshold")?,
            enable_prefix_caching: columns.get_full("server_enable_prefix_caching")?,
            async_scheduling: columns.get_full("server_async_scheduling")?,
            scheduling_policy: read_name(
                "server_scheduling_policy",
                columns.get_full("server_scheduling_policy")?,
            )?,
            stream_interval: columns.get_count_full("server_stream_interval")?,
            cudagraph_mode: read_name(
                "server_cudagraph_mode",
                columns.get_full("server_cudagraph_mode")?,
            )?,
            max_cudagraph_capture_size: columns
                .get_count_full("server_max_cudagraph_capture_size")?,
            tensor_parallel_size: columns.get_count_full("server_tensor_parallel_size")?,
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
