//! Random workloads and arguments, for tests.

use proptest::prelude::*;
use slotune_serving::{
    EngineArguments, Load, RequestSpec,
    engine_arguments::{CudagraphMode, SchedulingPolicy},
    workload::PromptSegment,
};

use crate::Admission;

/// Longest context of the servers, tokens.
const CONTEXT: u32 = 600;

/// A workload and a server that it fits.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) arguments: EngineArguments,
    pub(crate) kv_blocks: u64,
    pub(crate) admission: Admission,
    pub(crate) load: Load,
    /// In the order of their arrival.
    pub(crate) requests: Vec<RequestSpec>,
}

/// Workloads of up to 80 requests, on servers from the tightest that start to roomy ones.
pub(crate) fn cases() -> impl Strategy<Value = Case> {
    let request = (0.0_f64..4.0, 1_u32..400, 1_u32..150, 0_u64..3, 0_u32..300).prop_map(
        |(arrival_s, prompt_tokens, output_tokens, id, tokens)| RequestSpec {
            arrival_s,
            prompt_tokens,
            output_tokens,
            shared_prefix: vec![PromptSegment { id, tokens }],
        },
    );
    let load = prop_oneof![
        2 => Just(Load::Open),
        1 => (1_u32..30).prop_map(|concurrency| Load::Closed { concurrency })
    ];
    // Just enough blocks for the longest request, or more.
    let spare = prop_oneof![Just(0_u64), 0_u64..200];
    let numbers = (1_u32..60, 60_u32..900, 0_u32..200, 1_u32..40, spare);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), 0..3, 0..3);
    let admission = (any::<bool>(), prop_oneof![Just(0.0), 0.0..1.0]);
    (prop::collection::vec(request, 1..80), load, numbers, switches, admission).prop_map(
        |(
            mut requests,
            load,
            (seqs, tokens, chunk, block_size, spare),
            (caching, asynchronous, priority, splits_prompts, burst, graphs),
            (reserves_full_prompt, watermark),
        )| {
            // All at once, in bursts, or scattered.
            for spec in &mut requests {
                spec.arrival_s = match burst {
                    0 => 0.0,
                    1 => spec.arrival_s.floor(),
                    _ => spec.arrival_s,
                };
            }
            requests.sort_by(|a, b| a.arrival_s.total_cmp(&b.arrival_s));
            // A prompt that may not be split must fit into a step.
            let tokens = if splits_prompts { tokens } else { tokens.max(CONTEXT) };
            let arguments = EngineArguments {
                enable_chunked_prefill: Some(splits_prompts),
                cudagraph_mode: Some(match graphs {
                    0 => CudagraphMode::FullAndPiecewise,
                    1 => CudagraphMode::FullDecodeOnly,
                    _ => CudagraphMode::None,
                }),
                max_num_seqs: Some(seqs),
                max_num_batched_tokens: Some(tokens),
                long_prefill_token_threshold: Some(chunk),
                block_size: Some(block_size),
                enable_prefix_caching: Some(caching),
                async_scheduling: Some(asynchronous),
                scheduling_policy: priority.then_some(SchedulingPolicy::Priority),
                max_model_len: Some(CONTEXT),
                ..EngineArguments::default()
            };
            let kv_blocks = 1 + u64::from(CONTEXT.div_ceil(block_size)) + spare;
            let admission = Admission { reserves_full_prompt, watermark };
            Case { arguments, kv_blocks, admission, load, requests }
        },
    )
}
