//! Whole runs: order, closed loops, streaming, prefix caching.

mod input;
mod limits;
mod quick;

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
        assert_eq!((run.records.len(), run.totals.engine_steps), (0, 0));
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
    assert_eq!((with.totals.prefix_cache_queries, with.totals.prefix_cache_hits), (9000, 9 * 800));
    assert_eq!((without.totals.prefix_cache_queries, without.totals.prefix_cache_hits), (0, 0));
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

/// Short requests come back before long ones that were sent earlier.
#[test]
fn records_are_handed_out_as_requests_end() {
    let server = ServerModel::measured();
    let requests = (0..200).map(|index| spec(f64::from(index) * 0.01, 50, 1 + 40 * (index % 7)));
    let resolved = server.resolve(&arguments());
    let (mut ends_s, mut indices) = (Vec::new(), Vec::new());
    let options = RunOptions::default();
    let totals =
        simulate_each(&server, &resolved, KV_BLOCKS, Load::Open, requests, &options, |record| {
            ends_s.push(record.last_token_s.expect("it ends"));
            indices.push(record.index);
        });
    assert!(ends_s.is_sorted() && !indices.is_sorted());
    assert_eq!(totals.expect("well-formed requests").end_s.to_bits(), ends_s[199].to_bits());
    indices.sort_unstable();
    assert!(indices.into_iter().eq(0..200));
}
