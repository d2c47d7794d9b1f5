//! Who joins the running requests, and when.

use super::*;

#[test]
fn unsplit_prompts_block_the_queue_at_its_head() {
    Situation::new(&[(4, 3), (6, 1), (2, 1)])
        .with(|situation| {
            situation.arguments.enable_chunked_prefill = false;
            situation.arguments.max_model_len = 8;
        })
        .check(&[&[(0, 4)], &[(0, 1), (1, 6)], &[(0, 1), (2, 2)]]);
}

#[test]
fn no_more_sequences_run_than_allowed() {
    Situation::new(&[(2, 2), (2, 2), (2, 1)])
        .with(|situation| situation.arguments.max_num_seqs = 2)
        .check(&[&[(0, 2), (1, 2)], &[(0, 1), (1, 1)], &[(2, 2)]]);
}

/// A chunk of 2 tokens would fit, the whole prompt of 12 would not.
#[test]
fn a_request_is_admitted_only_if_all_its_tokens_fit() {
    Situation::new(&[(6, 2), (12, 1)]).with(|situation| situation.usable_blocks = 4).check(&[
        &[(0, 6)],
        &[(0, 1)],
        &[(1, 8)],
        &[(1, 4)],
    ]);
}

#[test]
fn the_queue_is_ordered_by_rank_under_priority() {
    let situation = Situation::new(&[(1, 1); 4]).with(|situation| {
        situation.arguments.scheduling_policy = SchedulingPolicy::Priority;
        for (request, rank) in situation.requests.iter_mut().zip([3, 1, 2, 0]) {
            request.2 = rank;
        }
    });
    situation.check(&[&[(3, 1), (1, 1), (2, 1), (0, 1)]]);
}

/// Blocks count as cached as soon as the step that fills them is scheduled.
#[test]
fn a_shared_prefix_is_computed_once() {
    let situation = Situation::new(&[(7, 1), (7, 1)]).with(|situation| {
        situation.shared = Some(7);
        situation.arguments.max_num_batched_tokens = 16;
    });
    situation.check(&[&[(0, 7), (1, 3)]]);
    // At least one token is computed even if all are cached.
    let whole = Situation::new(&[(8, 1), (8, 1)]).with(|situation| {
        situation.shared = Some(8);
        situation.arguments.max_num_batched_tokens = 16;
    });
    whole.check(&[&[(0, 8), (1, 4)]]);
}

/// The head does not fit beside the first; the last would.
#[test]
fn none_overtakes_the_head_of_the_queue() {
    Situation::new(&[(6, 4), (12, 1), (2, 1)])
        .with(|situation| situation.usable_blocks = 4)
        .check(&[&[(0, 6)], &[(0, 1)], &[(0, 1)], &[(0, 1)], &[(1, 8)], &[(1, 4), (2, 2)]]);
}

/// Without the reservation the first chunk is enough to be admitted, and to be preempted.
#[test]
fn without_reservation_only_the_chunk_must_fit() {
    let situation = Situation::new(&[(6, 2), (12, 1)]).with(|situation| {
        situation.usable_blocks = 4;
        situation.admission.reserves_full_prompt = false;
    });
    let driver = situation.check(&[&[(0, 6), (1, 2)], &[(0, 1)], &[(1, 8)], &[(1, 4)]]);
    assert_eq!(driver.scheduler.counts.preemptions, 1);
}

/// A quarter of 12 blocks stays free, unless nothing else runs: beside a request of 2 blocks one of
/// 6 is admitted, one of 7 is not.
#[test]
fn the_watermark_is_left_free_beside_others() {
    for (requests, first) in [
        (&[(8, 2), (24, 1)][..], &[(0, 8), (1, 24)][..]),
        (&[(8, 2), (25, 1)], &[(0, 8)]),
        (&[(44, 1)], &[(0, 44)]),
    ] {
        for reserves_full_prompt in [true, false] {
            let situation = Situation::new(requests).with(|situation| {
                situation.usable_blocks = 11;
                situation.arguments.max_num_batched_tokens = 64;
                situation.admission = Admission { reserves_full_prompt, watermark: 0.25 };
            });
            situation.check(&[first]);
        }
    }
}

/// Two cached blocks and two others are free. To take the cached ones uses them up, so that of a
/// longer prompt 2 blocks more fit, but not 3.
#[test]
fn cached_blocks_that_none_holds_count_as_used() {
    for (prompt, second) in [(16, Some(vec![(1, 8)])), (17, None)] {
        let situation = Situation::new(&[(9, 1), (prompt, 1)]).with(|situation| {
            situation.usable_blocks = 4;
            situation.arguments.max_num_batched_tokens = 9;
            situation.shared = Some(8);
        });
        let mut driver = situation.check(&[&[(0, 9)]]);
        assert_eq!(driver.next_batch(), second, "{prompt}");
    }
}

/// Of the first chunk of 6 tokens one block is full, and found; half a block is not.
#[test]
fn only_full_blocks_are_cached() {
    let situation = Situation::new(&[(12, 1), (12, 1)]).with(|situation| {
        situation.arguments.max_num_batched_tokens = 16;
        situation.arguments.long_prefill_token_threshold = 6;
        situation.shared = Some(12);
    });
    situation.check(&[&[(0, 6), (1, 6)]]);
}
