//! Who loses its blocks, and what becomes of it.

use super::*;

/// Both hold 2 of 4 blocks when the first needs a third.
#[test]
fn the_latest_request_is_preempted_and_computes_again() {
    let situation = Situation::new(&[(4, 6), (4, 6)]).with(|situation| situation.usable_blocks = 4);
    situation.check(&[
        &[(0, 4), (1, 4)],
        &[(0, 1), (1, 1)],
        &[(0, 1), (1, 1)],
        &[(0, 1), (1, 1)],
        &[(0, 1), (1, 1)],
        &[(0, 1)],
        // Prompt and five tokens of output, in steps of 8.
        &[(1, 8)],
        &[(1, 1)],
    ]);
}

#[test]
fn a_preempted_request_goes_to_the_head_of_the_queue() {
    let situation = Situation::new(&[(4, 6), (4, 6), (4, 1)]).with(|situation| {
        situation.usable_blocks = 4;
        situation.arguments.max_num_seqs = 2;
    });
    let mut driver = situation.start(Bookkeeping::Each);
    (0..6).for_each(|_| drop(driver.next_batch()));
    assert_eq!(driver.scheduler.waiting, [1, 2]);
    assert_eq!(driver.scheduler.requests[1].emitted, 5, "its output stays");
    assert_eq!(driver.scheduler.counts.preemptions, 1);
}

/// The last one is its own victim: the step goes on without it.
#[test]
fn a_request_may_preempt_itself() {
    Situation::new(&[(3, 9), (4, 4)]).with(|situation| situation.usable_blocks = 2).check(&[
        &[(0, 3), (1, 4)],
        &[(0, 1)],
        &[(0, 1)],
    ]);
}

/// The first to be scheduled has the last rank: it loses its place in the step to the second.
#[test]
fn by_priority_the_last_rank_is_preempted_out_of_the_step() {
    let situation = Situation::new(&[(3, 9), (4, 4)]).with(|situation| {
        situation.usable_blocks = 2;
        situation.arguments.scheduling_policy = SchedulingPolicy::Priority;
        situation.requests[0].2 = 9;
    });
    let mut scheduler = situation.scheduler(Bookkeeping::Each);
    situation.enqueue(&mut scheduler, 0);
    let mut driver = Driver::new(scheduler, &situation.arguments);
    assert_eq!(driver.next_batch(), Some(vec![(0, 3)]));
    situation.enqueue(&mut driver.scheduler, 1);
    assert_eq!(driver.next_batch(), Some(vec![(0, 1), (1, 4)]));
    assert_eq!(driver.next_batch(), Some(vec![(1, 1)]));
    assert_eq!(driver.scheduler.counts.preemptions, 1);
    assert_eq!(driver.scheduler.waiting, [0]);
}

/// The chunk of 8 tokens needs two blocks, and the others hold one each.
#[test]
fn as_many_are_preempted_as_must_be() {
    let situation = Situation::new(&[(16, 1), (4, 9), (4, 9)]).with(|situation| {
        situation.usable_blocks = 4;
        situation.arguments.max_num_batched_tokens = 32;
        situation.arguments.long_prefill_token_threshold = 8;
        situation.admission.reserves_full_prompt = false;
    });
    let driver = situation.check(&[&[(0, 8), (1, 4), (2, 4)], &[(0, 8)], &[(1, 5), (2, 5)]]);
    assert_eq!(driver.scheduler.counts.preemptions, 2);
}

/// The first, which ranks last, had 4 of 9 tokens already when the second took its blocks: the
/// third gets 4 of them, of which only 2 were left otherwise.
#[test]
fn tokens_of_a_victim_return_to_the_budget() {
    let situation = Situation::new(&[(20, 1), (7, 1), (12, 1)]).with(|situation| {
        situation.usable_blocks = 5;
        situation.arguments.max_num_batched_tokens = 9;
        situation.arguments.long_prefill_token_threshold = 4;
        situation.arguments.scheduling_policy = SchedulingPolicy::Priority;
        situation.admission.reserves_full_prompt = false;
        situation.requests[0].2 = 9;
    });
    let mut scheduler = situation.scheduler(Bookkeeping::Each);
    situation.enqueue(&mut scheduler, 0);
    let mut driver = Driver::new(scheduler, &situation.arguments);
    assert_eq!(driver.next_batch(), Some(vec![(0, 4)]));
    (1..3).for_each(|id| situation.enqueue(&mut driver.scheduler, id));
    assert_eq!(driver.next_batch(), Some(vec![(0, 4), (1, 4), (2, 1)]));
    assert_eq!(driver.next_batch(), Some(vec![(1, 3), (2, 4)]));
    assert_eq!(driver.scheduler.waiting, [0]);
}

/// Between those that rank before and after it.
#[test]
fn by_priority_a_preempted_request_waits_by_its_rank() {
    let situation = Situation::new(&[(3, 9), (4, 4), (1, 1), (1, 1)]).with(|situation| {
        situation.usable_blocks = 2;
        situation.arguments.max_num_seqs = 2;
        situation.arguments.scheduling_policy = SchedulingPolicy::Priority;
        for (request, rank) in situation.requests.iter_mut().zip([9, 1, 12, 5]) {
            request.2 = rank;
        }
    });
    let mut scheduler = situation.scheduler(Bookkeeping::Each);
    situation.enqueue(&mut scheduler, 0);
    let mut driver = Driver::new(scheduler, &situation.arguments);
    assert_eq!(driver.next_batch(), Some(vec![(0, 3)]));
    (1..4).for_each(|id| situation.enqueue(&mut driver.scheduler, id));
    assert_eq!(driver.scheduler.waiting, [1, 3, 2]);
    assert_eq!(driver.next_batch(), Some(vec![(0, 1), (1, 4)]));
    assert_eq!(driver.next_batch(), Some(vec![(1, 1)]));
    assert_eq!(driver.scheduler.waiting, [3, 0, 2]);
}

/// The second must give way to itself; the third would fit where it was.
#[test]
fn a_step_that_preempts_admits_nobody() {
    let situation = Situation::new(&[(3, 9), (4, 9), (1, 1)]).with(|situation| {
        situation.usable_blocks = 2;
        situation.arguments.max_num_seqs = 2;
        situation.arguments.scheduling_policy = SchedulingPolicy::Priority;
        for (request, rank) in situation.requests.iter_mut().zip([0, 5, 1]) {
            request.2 = rank;
        }
    });
    let mut scheduler = situation.scheduler(Bookkeeping::Each);
    (0..2).for_each(|id| situation.enqueue(&mut scheduler, id));
    let mut driver = Driver::new(scheduler, &situation.arguments);
    assert_eq!(driver.next_batch(), Some(vec![(0, 3), (1, 4)]));
    situation.enqueue(&mut driver.scheduler, 2);
    assert_eq!(driver.next_batch(), Some(vec![(0, 1)]));
    assert_eq!((&driver.scheduler.waiting, driver.scheduler.blocks.free()), (&[2, 1].into(), 1));
}

/// Preempted with a token on the way, it is taken when it comes, and computed again as well.
#[test]
fn the_token_on_the_way_of_a_preempted_request_is_taken() {
    let situation = Situation::new(&[(4, 6), (4, 6)]).with(|situation| {
        situation.usable_blocks = 4;
        situation.arguments.async_scheduling = true;
    });
    let mut driver = situation.start(Bookkeeping::Each);
    while driver.scheduler.counts.preemptions == 0 {
        driver.next_batch().expect("they need more blocks than there are");
    }
    let state = |driver: &Driver| {
        let request = &driver.scheduler.requests[1];
        (request.emitted, request.placeholders, request.computed, request.blocks)
    };
    assert_eq!(state(&driver), (4, 1, 0, 0));
    driver.scheduler.accept().expect("a step in flight");
    assert_eq!(state(&driver), (5, 0, 0, 0));
    while driver.scheduler.waiting.len() == 1 {
        driver.next_batch().expect("the other ends");
    }
    assert_eq!(driver.scheduler.latest().entries, [(1, 8)]);
}

/// The second has its last token on the way when the first takes its blocks: it ends in the queue.
#[test]
fn a_request_preempted_before_its_last_token_comes_is_not_computed_again() {
    let situation = Situation::new(&[(7, 6), (4, 2)]).with(|situation| {
        situation.usable_blocks = 4;
        situation.arguments.max_num_batched_tokens = 16;
        situation.arguments.async_scheduling = true;
    });
    let one: &[(usize, u32)] = &[(0, 1)];
    let driver = situation.check(&[&[(0, 7), (1, 4)], &[(0, 1), (1, 1)], one, one, one]);
    assert_eq!(driver.scheduler.counts.preemptions, 1);
    assert_eq!((driver.scheduler.requests[1].emitted, driver.scheduler.waiting.len()), (2, 0));
    assert_eq!(driver.scheduler.blocks.free(), 1);
}

/// Its two full blocks of prompt are still there, so 5 of 13 tokens are computed again. The queue
/// time ended, and the cache was asked, when it was first admitted.
#[test]
fn a_preempted_request_finds_its_own_blocks_again() {
    let situation = Situation::new(&[(9, 6), (9, 6)]).with(|situation| {
        situation.usable_blocks = 6;
        situation.arguments.max_num_batched_tokens = 32;
        situation.shared = Some(0);
    });
    let (both, one): (&[_], &[_]) = (&[(0, 1), (1, 1)], &[(0, 1)]);
    let driver =
        situation.check(&[&[(0, 9), (1, 9)], both, both, both, one, one, &[(1, 5)], &[(1, 1)]]);
    let Counts { preemptions, prefix_queries, prefix_hits } = driver.scheduler.counts;
    assert_eq!((preemptions, prefix_queries, prefix_hits), (1, 18, 0));
    assert_eq!(driver.scheduler.requests[1].first_scheduled_s, Some(0.0));
}
