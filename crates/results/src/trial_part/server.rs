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
    table.set("server_start_up_s", server.map(|server| server.start_up_s));
    set_count(table, "server_kv_blocks", server.and_then(|server| server.kv_blocks))?;
    set_count(table, "server_preemptions", server.and_then(|server| server.preemptions))?;
    set_count(table, "server_engine_steps", server.and_then(|server| server.engine_steps))?;
    table.set("server_queue_time_sum_s", server.and_then(|server| server.queue_time_sum_s));
    set_count(
        table,
        "server_prefix_cache_queries",
        server.and_then(|server| server.prefix_cache_queries),
    )?;
    set_count(
        table,
        "server_prefix_cache_hits",
        server.and_then(|server| server.prefix_cache_hits),
    )?;
    let arguments = server.map(|server| &server.arguments);
    table.set("server_max_num_seqs", arguments.map(|arguments| i64::from(arguments.max_num_seqs)));
    table.set(
        "server_max_num_batched_tokens",
        arguments.map(|arguments| i64::from(arguments.max_num_batched_tokens)),
    );
    table.set(
        "server_gpu_memory_utilization",
        arguments.map(|arguments| arguments.gpu_memory_utilization),
    );
    table
        .set("server_max_model_len", arguments.map(|arguments| i64::from(arguments.max_model_len)));
    table.set("server_block_size", arguments.map(|arguments| i64::from(arguments.block_size)));
    table.set(
        "server_enable_chunked_prefill",
        arguments.map(|arguments| arguments.enable_chunked_prefill),
    );
    table.set(
        "server_long_prefill_token_threshold",
        arguments.map(|arguments| i64::from(arguments.long_prefill_token_threshold)),
    );
    table.set(
        "server_enable_prefix_caching",
        arguments.map(|arguments| arguments.enable_prefix_caching),
    );
    table.set("server_async_scheduling", arguments.map(|arguments| arguments.async_scheduling));
    table.set(
        "server_scheduling_policy",
        arguments.and_then(|arguments| write_name(arguments.scheduling_policy)),
    );
    table.set(
        "server_stream_interval",
        arguments.map(|arguments| i64::from(arguments.stream_interval)),
    );
    table.set(
        "server_cudagraph_mode",
        arguments.and_then(|arguments| write_name(arguments.cudagraph_mode)),
    );
    table.set(
        "server_max_cudagraph_capture_size",
        arguments.map(|arguments| i64::from(arguments.max_cudagraph_capture_size)),
    );
    table.set(
        "server_tensor_parallel_size",
        arguments.map(|arguments| i64::from(arguments.tensor_parallel_size)),
    );
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
