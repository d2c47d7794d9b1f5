//! Whole runs: admission, closed loops, malformed input.

use slotune_serving::{EngineArguments, workload::PromptSegment};

use super::*;

const KV_BLOCKS: u64 = 66_946;

fn spec(arrival_s: f64, prompt_tokens: u32, output_tokens: u32) -> RequestSpec {
    RequestSpec { arrival_s, prompt_tokens, output_tokens, shared_prefix: vec![] }
}

fn open(requests: Vec<RequestSpec>) -> Schedule {
    Schedule { load: Load::Open, requests }
}

fn arguments() -> EngineArguments {
    EngineArguments { max_model_len: Some(1000), ..EngineArguments::default() }
}

fn run(arguments: &EngineArguments, schedule: &Schedule, options: &RunOptions) -> SimulatedRun {
    let server = ServerModel::measured();
    simulate(&server, &server.resolve(arguments), KV_BLOCKS, schedule, options)
        .expect("a well-formed schedule")
}

/// Requests that do not fit are refused in vLLM's words, and hold nobody up.
#[test]
fn impossible_requests_are_rejected() {
    let total = "This model's maximum context length is 1000 tokens. However, you requested 1 output \
                 tokens and your prompt contains 1000 input tokens, for a total of 1001 tokens. \
                 Please reduce the length of the input prompt or the number of requested output \
                 tokens.";
    let prompt = "This model's maximum context length is 1000 tokens. However, your prompt contains \
                  1001 input tokens, which exceeds this limit even without any output tokens. Please \
                  reduce the length of the input prompt.";
    let cases = [
        (999, 1, None),
        (1000, 1, Some(total)),
        (1001, 1, Some(prompt)),
        (10, 0, Some("max_tokens must be at least 1, got 0.")),
        (0, 10, Some("Either prompt or prompt_embeds must be provided and non-empty.")),
    ];
    let requests = cases.iter().map(|&(prompt, output, _)| spec(0.0, prompt, output)).collect();
    let run = run(&arguments(), &open(requests), &RunOptions::default());
    for (record, (prompt, output, text)) in run.records.iter().zip(cases) {
        let status =
            text.map_or(RequestStatus::Completed, |text| RequestStatus::Rejected(text.into()));
        assert_eq!(record.status, status, "{prompt} and {output} tokens");
    }
    let extreme =
        open(vec![spec(0.0, u32::MAX, u32::MAX), spec(0.0, 1, u32::MAX), spec(0.0, 5, 5)]);
    let run = self::run(&arguments(), &extreme, &RunOptions::default());
    assert!(matches!(run.records[0].status, RequestStatus::Rejected(_)));
    assert!(matches!(run.records[1].status, RequestStatus::Rejected(_)));
    assert!(run.records[2].is_completed());
}

#[test]
fn inputs_that_no_run_can_be_made_of_are_named() {
    let server = ServerModel::measured();
    let resolved = server.resolve(&arguments());
    let check = |arguments: &ResolvedEngineArguments, schedule: &Schedule, limit, text: &str| {
        let options = RunOptions { time_limit_s: limit, ..RunOptions::default() };
        let error = simulate(&server, arguments, KV_BLOCKS, schedule, &options);
        assert_eq!(error.expect_err(text).to_string(), text);
    };
    let fine = open(vec![spec(0.0, 5, 5)]);
    for (value, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-1.0, "-1")] {
        let schedule = open(vec![spec(0.0, 5, 5), spec(value, 5, 5)]);
        let text = format!("arrival_s of request 1 is {shown}: it must be finite and at least 0");
        check(&resolved, &schedule, None, &text);
    }
    let nobody = Schedule { load: Load::Closed { concurrency: 0 }, ..fine.clone() };
    check(&resolved, &nobody, None, "concurrency of the closed loop is 0: it must be at least 1");
    check(&resolved, &fine, Some(-2.0), "time_limit_s is -2: it must be at least 0");
    let no_block = ResolvedEngineArguments { block_size: 0, ..resolved };
    let text = "block_size is 0: it must be between 1 and 16777216 to be simulated";
    check(&no_block, &fine, None, text);
}

/// Not a number among the costs once let the clock stand still for ever.
#[test]
fn numbers_that_no_time_can_be_made_of_are_named() {
    let schedule = open(vec![spec(0.0, 5, 5)]);
    let refused = |server: &ServerModel, noise, text: &str| {
        let options = RunOptions { noise, ..RunOptions::default() };
        let arguments = server.resolve(&arguments());
        let error = simulate(server, &arguments, KV_BLOCKS, &schedule, &options);
        assert_eq!(error.expect_err(text).to_string(), text);
    };
    let server = ServerModel::measured();
    for (value, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-0.1, "-0.1")] {
        let noise = Noise { front_end_variation: value, ..Noise::none() };
        let text = format!("noise.front_end_variation is {shown}: it must be from 0 to 10");
        refused(&server, noise, &text);
        let mut slow = server.clone();
        slow.front_end.to_engine_ms = value;
        let text = format!("front_end.to_engine_ms is {shown}: it must be finite and at least 0");
        refused(&slow, Noise::none(), &text);
        let mut gpu = server.clone();
        gpu.gpu.cache_bytes_per_ms = value;
        let text = format!("gpu.cache_bytes_per_ms is {shown}: it must be finite and above 0");
        refused(&gpu, Noise::none(), &text);
    }
    let mut flat = server.clone();
    flat.step.norm = 0.5;
    refused(&flat, Noise::none(), "step.norm is 0.5: it must be at least 1");
    let mut hollow = server;
    hollow.model.kv_heads = 0;
    let text = "model.kv_heads is 0: it must be at least 1";
    refused(&hollow, Noise::none(), text);
}

/// Whoever was given first is served first.
#[test]
fn equal_arrivals_keep_the_order_of_the_schedule() {
    let one = EngineArguments { max_num_seqs: Some(1), ..arguments() };
    let run = run(&one, &open(vec![spec(0.0, 50, 9); 5]), &RunOptions::default());
    assert!(run.records.is_sorted_by(|a, b| a.last_token_s < b.first_token_s));
}

#[test]
fn an_empty_schedule_gives_an_empty_run() {
    for load in [Load::Open, Load::Closed { concurrency: 3 }] {
        let run = run(&arguments(), &Schedule { load, requests: vec![] }, &RunOptions::default());
        assert_eq!((run.records.len(), run.engine_steps), (0, 0));
    }
}

/// As many in flight as asked for; each next one is due when another ended.
#[test]
fn a_closed_loop_sends_the_next_when_one_ends() {
    let requests = (0..20).map(|index| spec(0.0, 50, 1 + 7 * (index % 5))).collect();
    let schedule = Schedule { load: Load::Closed { concurrency: 4 }, requests };
    let run = run(&arguments(), &schedule, &RunOptions::default());
    assert!(run.records.iter().all(RequestRecord::is_completed));
    let mut ends: Vec<f64> = run.records.iter().filter_map(|record| record.last_token_s).collect();
    ends.sort_by(f64::total_cmp);
    for (index, record) in run.records.iter().enumerate() {
        let due_s = if index < 4 { 0.0 } else { ends[index - 4] };
        assert_eq!(
            (record.intended_s.to_bits(), record.sent_s.to_bits()),
            (due_s.to_bits(), due_s.to_bits())
        );
    }
}

#[test]
fn a_rejection_also_lets_the_next_one_in() {
    let requests = vec![spec(0.0, 5000, 1), spec(0.0, 0, 1), spec(0.0, 5, 2)];
    let schedule = Schedule { load: Load::Closed { concurrency: 1 }, requests };
    let run = run(&arguments(), &schedule, &RunOptions::default());
    assert!(run.records[2].is_completed());
    assert!(run.records[2].sent_s > run.records[1].sent_s && run.records[1].sent_s > 0.0);
}

#[test]
fn requests_may_be_given_in_any_order() {
    let sorted = open(vec![spec(0.0, 50, 9), spec(0.5, 60, 9), spec(1.0, 70, 9)]);
    let shuffled = open([2, 0, 1].map(|index| sorted.requests[index].clone()).to_vec());
    let (a, b) = (
        run(&arguments(), &sorted, &RunOptions::default()),
        run(&arguments(), &shuffled, &RunOptions::default()),
    );
    for (sorted_index, record) in [2, 0, 1].into_iter().zip(&b.records) {
        assert_eq!(record.last_token_s, a.records[sorted_index].last_token_s);
    }
}

#[test]
fn the_time_limit_ends_the_run() {
    let requests = (0..30).map(|index| spec(f64::from(index) * 0.1, 100, 100)).collect();
    let schedule = open(requests);
    let options = RunOptions { time_limit_s: Some(1.5), ..RunOptions::default() };
    let run = run(&arguments(), &schedule, &options);
    let count = |status: &RequestStatus| run.records.iter().filter(|r| r.status == *status).count();
    assert!(count(&RequestStatus::Completed) > 3);
    assert!(count(&RequestStatus::Unfinished) > 3);
    assert_eq!(count(&RequestStatus::NotSent), 14, "those of 1.6 s and later");
    assert_eq!(
        count(&RequestStatus::Completed) + count(&RequestStatus::Unfinished),
        30 - count(&RequestStatus::NotSent)
    );
    assert_eq!(run.end_s.to_bits(), 1.5_f64.to_bits());
    assert!(run.records.iter().filter_map(|record| record.last_token_s).all(|end_s| end_s <= 1.5));
    assert!(run.records.iter().any(|record| (1..100).contains(&record.output_tokens)));
    let last = run.records.last().expect("30 records");
    assert_eq!((last.output_tokens, last.first_token_s, last.queue_time_s), (0, None, None));
}

#[test]
fn a_closed_loop_cut_short_says_so() {
    let requests = (0..9).map(|_| spec(0.0, 100, 100)).collect();
    let schedule = Schedule { load: Load::Closed { concurrency: 1 }, requests };
    let options = RunOptions { time_limit_s: Some(1.0), ..RunOptions::default() };
    let run = run(&arguments(), &schedule, &options);
    let last = run.records.last().expect("9 records");
    assert_eq!(
        (last.intended_s.to_bits(), &last.status),
        (1.0_f64.to_bits(), &RequestStatus::NotSent)
    );
}

/// A cache one block too small for a request: it never ends, and neither does the queue behind it,
/// but the simulation does.
#[test]
fn a_request_that_outgrows_the_cache_is_left_unfinished() {
    let server = ServerModel::measured();
    for is_asynchronous in [false, true] {
        let arguments = server
            .resolve(&EngineArguments { async_scheduling: Some(is_asynchronous), ..arguments() });
        let schedule = open(vec![spec(0.0, 20, 5), spec(0.0, 60, 60), spec(9.0, 20, 5)]);
        let run = simulate(&server, &arguments, 8, &schedule, &RunOptions::default());
        let records = run.expect("a well-formed schedule").records;
        assert!(records[0].is_completed());
        assert_eq!(records[1].status, RequestStatus::Unfinished);
        assert!(records[1].output_tokens > 40);
        assert_eq!(records[2].status, RequestStatus::Unfinished);
    }
}

/// The first token, each k-th after it, and the last; the rest of the timing changes little.
#[test]
fn the_stream_interval_merges_tokens_into_chunks() {
    for (interval, output, chunks) in
        [(1, 10, 10), (2, 10, 6), (3, 10, 4), (4, 10, 4), (10, 10, 2), (50, 10, 2), (3, 1, 1)]
    {
        let arguments = EngineArguments { stream_interval: Some(interval), ..arguments() };
        let options = RunOptions { record_chunk_times: true, ..RunOptions::default() };
        let run = run(&arguments, &open(vec![spec(0.0, 50, output)]), &options);
        let record = &run.records[0];
        assert_eq!(record.chunk_times_s.len(), chunks, "interval {interval}, {output} tokens");
        assert!(record.is_completed() && record.output_tokens == output);
        assert_eq!(record.chunk_times_s.first().copied(), record.first_token_s);
        assert_eq!(record.chunk_times_s.last().copied(), record.last_token_s);
    }
}

#[test]
fn chunk_times_are_kept_only_when_asked_for() {
    let schedule = open(vec![spec(0.0, 50, 10), spec(0.1, 50, 10)]);
    let plain = run(&arguments(), &schedule, &RunOptions::default());
    let options = RunOptions { record_chunk_times: true, ..RunOptions::default() };
    let mut kept = run(&arguments(), &schedule, &options);
    assert!(kept.records.iter().all(|record| record.chunk_times_s.len() == 10));
    kept.records.iter_mut().for_each(|record| record.chunk_times_s.clear());
    assert_eq!(plain, kept);
}

#[test]
fn shared_prefixes_are_found_and_save_time() {
    let shared_prefix = vec![PromptSegment { id: 7, tokens: 800 }];
    let requests = (0..10)
        .map(|index| RequestSpec {
            shared_prefix: shared_prefix.clone(),
            ..spec(f64::from(index), 900, 5)
        })
        .collect();
    let schedule = open(requests);
    let caching = |is_on| EngineArguments { enable_prefix_caching: Some(is_on), ..arguments() };
    let with = run(&caching(true), &schedule, &RunOptions::default());
    let without = run(&caching(false), &schedule, &RunOptions::default());
    assert_eq!((with.prefix_cache_queries, with.prefix_cache_hits), (9000, 9 * 800));
    assert_eq!((without.prefix_cache_queries, without.prefix_cache_hits), (0, 0));
    let first_s = |run: &SimulatedRun, index: usize| run.records[index].first_token_s;
    assert_eq!(first_s(&with, 0), first_s(&without, 0));
    assert!(first_s(&with, 1) < first_s(&without, 1));
}

/// Without anything to share, the cache changes nothing.
#[test]
fn distinct_prompts_run_alike_with_and_without_prefix_caching() {
    let requests =
        (0..200).map(|index| spec(f64::from(index) * 0.01, 100 + 3 * index, 40)).collect();
    let schedule = open(requests);
    let caching = |is_on| EngineArguments { enable_prefix_caching: Some(is_on), ..arguments() };
    let with = run(&caching(true), &schedule, &RunOptions::default());
    let without = run(&caching(false), &schedule, &RunOptions::default());
    assert_eq!(with.records, without.records);
}
