//! Which test holds which rule of the simulator. Rules are those of vLLM V1 (`v1/core/sched`,
//! `v1/core/block_pool.py`, `v1/engine`) and of the fitted cost model; the modules under `src` say
//! them in full.
//!
//! | part | rule | file | test |
//! |---|---|---|---|
//! | loop | arrivals are done before outputs of the same time | `src/front_end/tests.rs` | `arrivals_come_before_outputs_of_the_same_time` |
//! | loop | fcfs appends to the queue, in the order of the input | `src/simulate/tests/mod.rs` | `equal_arrivals_keep_the_order_of_the_schedule` |
//! | loop | priority inserts before the first larger rank | `src/scheduler/tests/admission.rs` | `the_queue_is_ordered_by_rank_under_priority` |
//! | loop | a request is queued when the engine next looks | `src/engine/tests.rs` | `queue_time_is_from_the_engine_to_the_first_step` |
//! | loop | a full graph begins when host and GPU are ready | `src/engine/tests.rs` | `steps_end_when_host_and_gpu_have_done_their_parts` |
//! | loop | other steps last at least as long as their launches | `src/engine/tests.rs` | `steps_end_when_host_and_gpu_have_done_their_parts` |
//! | loop | one step in flight, or two with asynchronous scheduling | `src/engine/tests.rs` | `a_lone_request_takes_what_its_steps_take` |
//! | loop | asynchronous scheduling hides the host | `src/engine/tests.rs` | `asynchronous_scheduling_hides_the_host` |
//! | loop | the engine rests only when it can do nothing | `src/engine/tests.rs` | `every_round_keeps_the_invariants` |
//! | loop | a request that ends frees its sequence and its blocks | `src/scheduler/tests/steps.rs` | `an_asynchronous_slot_is_free_one_step_later` |
//! | loop | one that ends in the queue leaves it | `src/scheduler/tests/preemption.rs` | `a_request_preempted_before_its_last_token_comes_is_not_computed_again` |
//! | front end | an arrival costs by request and prompt token, then has a latency | `src/front_end/tests.rs` | `arrivals_wait_for_one_another` |
//! | front end | a turn takes one request in, and each on its way one stage further | `src/front_end/tests.rs` | `requests_come_in_stage_by_stage` |
//! | front end | a request waits for as many turns as it has stages | `src/front_end/tests.rs` | `a_request_waits_for_as_many_turns_as_it_has_stages` |
//! | front end | small outputs that wait are merged | `src/front_end/tests.rs` | `outputs_that_wait_are_merged` |
//! | front end | large outputs are processed 128 tokens at a time | `src/front_end/tests.rs` | `large_outputs_are_processed_in_stretches` |
//! | front end | an output costs by step and token, in batch order | `src/front_end/tests.rs` | `tokens_are_streamed_in_the_order_of_the_batch` |
//! | front end | the first token, each k-th and the last are sent | `src/simulate/tests/mod.rs` | `the_stream_interval_merges_tokens_into_chunks` |
//! | front end | looking at fewer tokens changes no time | `src/front_end/tests.rs` | `marks_need_no_look_at_each_token` |
//! | front end | a closed loop sends the next when one ends | `src/simulate/tests/mod.rs` | `a_closed_loop_sends_the_next_when_one_ends` |
//! | refusal | prompts and outputs beyond the context are refused | `src/simulate/tests/input.rs` | `impossible_requests_are_rejected` |
//! | refusal | a request larger than the cache stays unfinished | `src/simulate/tests/limits.rs` | `a_request_that_outgrows_the_cache_is_left_unfinished` |
//! | refusal | one block is never used | `src/simulate/tests/limits.rs` | `a_request_may_fill_the_whole_cache` |
//! | running | they come before waiting ones, in order | `src/scheduler/tests/steps.rs` | `running_requests_come_before_waiting_ones` |
//! | running | one with its last token on the way is skipped | `src/scheduler/tests/steps.rs` | `asynchronous_steps_do_not_run_past_the_last_token` |
//! | running | a skipped one is no barrier | `src/scheduler/tests/steps.rs` | `a_request_with_its_last_token_on_the_way_is_skipped` |
//! | running | a chunk is at most the budget | `src/scheduler/tests/steps.rs` | `a_prompt_is_split_by_the_budget_and_samples_at_its_end` |
//! | running | a chunk is at most the threshold | `src/scheduler/tests/steps.rs` | `the_threshold_caps_each_chunk` |
//! | running | the budget is shared in the order of admission | `src/scheduler/tests/steps.rs` | `prompts_share_the_budget_in_the_order_of_admission` |
//! | running | nothing is computed beyond the context | `src/scheduler/tests/steps.rs` | `nothing_is_computed_beyond_the_context` |
//! | preemption | fcfs takes the latest | `src/scheduler/tests/preemption.rs` | `the_latest_request_is_preempted_and_computes_again` |
//! | preemption | as many as must be | `src/scheduler/tests/preemption.rs` | `as_many_are_preempted_as_must_be` |
//! | preemption | fcfs puts it at the head, with its output | `src/scheduler/tests/preemption.rs` | `a_preempted_request_goes_to_the_head_of_the_queue` |
//! | preemption | priority takes the last rank, even out of the step | `src/scheduler/tests/preemption.rs` | `by_priority_the_last_rank_is_preempted_out_of_the_step` |
//! | preemption | priority returns its tokens to the budget | `src/scheduler/tests/preemption.rs` | `tokens_of_a_victim_return_to_the_budget` |
//! | preemption | priority puts it back by rank | `src/scheduler/tests/preemption.rs` | `by_priority_a_preempted_request_waits_by_its_rank` |
//! | preemption | its token on the way is taken | `src/scheduler/tests/preemption.rs` | `the_token_on_the_way_of_a_preempted_request_is_taken` |
//! | preemption | one that preempts itself stops the running pass | `src/scheduler/tests/preemption.rs` | `a_request_may_preempt_itself` |
//! | waiting | none is admitted in a step that preempted | `src/scheduler/tests/preemption.rs` | `a_step_that_preempts_admits_nobody` |
//! | waiting | no more sequences than allowed | `src/scheduler/tests/admission.rs` | `no_more_sequences_run_than_allowed` |
//! | waiting | none overtakes the head | `src/scheduler/tests/admission.rs` | `none_overtakes_the_head_of_the_queue` |
//! | waiting | an unsplit prompt must fit the budget | `src/scheduler/tests/admission.rs` | `unsplit_prompts_block_the_queue_at_its_head` |
//! | waiting | the reservation is of all known tokens | `src/scheduler/tests/admission.rs` | `a_request_is_admitted_only_if_all_its_tokens_fit` |
//! | waiting | without it the chunk must fit | `src/scheduler/tests/admission.rs` | `without_reservation_only_the_chunk_must_fit` |
//! | waiting | the watermark is left free beside others | `src/scheduler/tests/admission.rs` | `the_watermark_is_left_free_beside_others` |
//! | waiting | idle hit blocks count as used | `src/scheduler/tests/admission.rs` | `cached_blocks_that_none_holds_count_as_used` |
//! | waiting | the first step is noted once | `src/scheduler/tests/preemption.rs` | `a_preempted_request_finds_its_own_blocks_again` |
//! | scheduler | budget, sequences, blocks and order after every step | `src/scheduler/tests/invariants.rs` | `every_step_keeps_the_invariants` |
//! | scheduler | counting decodes together changes nothing | `src/simulate/tests/quick.rs` | `the_quick_ways_give_what_the_plain_loop_gives` |
//! | cache | keys are chains: equal keys are equal prefixes | `src/blocks/tests.rs` | `prompts_share_blocks_as_far_as_their_segments_agree` |
//! | cache | at least one token is computed | `src/scheduler/tests/admission.rs` | `a_shared_prefix_is_computed_once` |
//! | cache | recomputed requests look up too | `src/scheduler/tests/preemption.rs` | `a_preempted_request_finds_its_own_blocks_again` |
//! | cache | blocks are held by count | `src/blocks/tests.rs` | `shared_blocks_are_free_when_their_last_holder_leaves` |
//! | cache | a hit takes idle blocks out of the queue | `src/blocks/tests.rs` | `cached_blocks_are_found_held_or_idle` |
//! | cache | least recently used first, last block of a request first | `src/blocks/tests.rs` | `the_least_recently_used_block_is_evicted_first` |
//! | cache | a hit makes recently used | `src/blocks/tests.rs` | `a_hit_makes_a_block_recently_used` |
//! | cache | of equal blocks the first is found | `src/blocks/tests.rs` | `of_equal_blocks_the_first_is_found` |
//! | cache | only full blocks are found | `src/scheduler/tests/admission.rs` | `only_full_blocks_are_cached` |
//! | cache | queries and hits count at first admission | `src/simulate/tests/mod.rs` | `shared_prefixes_are_found_and_save_time` |
//! | step time | capture sizes, and full graphs up to max_num_seqs | `src/cost/tests.rs` | `captured_graphs_are_as_many_as_measured` |
//! | step time | sizes stop at max_num_batched_tokens | `src/cost/tests.rs` | `graphs_stop_at_what_a_step_can_hold` |
//! | step time | tokens are padded to the next size | `src/cost/tests.rs` | `sizes_are_padded_to_the_next_graph` |
//! | step time | full, piecewise or eager by mode, tokens and prefill | `src/cost/tests.rs` | `steps_run_as_the_table_says` |
//! | step time | the GPU needs the stated sum | `src/cost/tests.rs` | `the_gpu_needs_the_stated_sum` |
//! | step time | weights and products are joined by a norm | `src/cost/tests.rs` | `the_norm_reaches_from_a_sum_to_a_roofline` |
//! | step time | pairs do not depend on the chunks | `src/cost/tests.rs` | `chunks_attend_to_as_many_pairs_as_the_whole` |
//! | step time | the host's time follows the mode | `src/cost/tests.rs` | `host_times_follow_the_mode` |
//! | step time | the host factor is of piecewise and eager steps | `src/engine/tests.rs` | `the_host_factor_is_of_steps_that_are_no_full_graph` |
//! | step time | alone, a token takes what the GPU needs | `src/engine/tests.rs` | `a_lone_request_decodes_at_the_speed_of_the_gpu` |
//! | step time | a large budget equals whole prompts | `tests/properties.rs` | `chunked_prefill_with_a_large_budget_equals_whole_prompts` |
//! | invariant | 1, 2, 3: tokens and blocks are conserved, budgets kept | `src/scheduler/tests/invariants.rs` | `every_step_keeps_the_invariants` |
//! | invariant | 1: each request gets exactly its output | `tests/properties.rs` | `every_request_ends_with_its_output_and_times_in_order` |
//! | invariant | 4, 6, 8: order of service and of times, no idling | `src/engine/tests.rs` | `every_round_keeps_the_invariants` |
//! | invariant | 5: Little's law | `tests/properties.rs` | `littles_law_holds` |
//! | invariant | 7: determinism | `tests/properties.rs` | `equal_inputs_give_equal_runs_and_without_noise_the_seed_is_ignored` |
//! | invariant | 9: monotone in expectation | `tests/properties.rs` | `faster_servers_larger_caches_and_lower_rates_are_no_worse` |
//! | invariant | 10: alone | `src/engine/tests.rs` | `a_lone_request_takes_what_its_steps_take` |

use std::{collections::BTreeMap, fs, path::Path};

/// The table names tests that exist, and no rule twice.
#[test]
fn every_rule_has_its_test() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = BTreeMap::new();
    let mut rules = Vec::new();
    for row in include_str!("rules.rs").lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [part, rule, file, test, _] = cells[..] else { panic!("not four cells: {row}") };
        if (part, rule) == ("part", "rule") {
            continue;
        }
        let text = files.entry(file).or_insert_with(|| {
            fs::read_to_string(package.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
        });
        let declaration = text.find(&format!("fn {test}("));
        let before = declaration.map(|place| text[..place].trim_end());
        assert!(
            before.is_some_and(|before| before.ends_with("#[test]")),
            "{part}, {rule}: {file} has no test `{test}`"
        );
        assert!(!rules.contains(&(part, rule)), "twice: {part}, {rule}");
        rules.push((part, rule));
    }
    assert!(rules.len() > 60, "{}", rules.len());
}
