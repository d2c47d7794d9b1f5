//! Scheduler decisions in situations written by hand.

use std::collections::BTreeSet;

use proptest::{prelude::*, test_runner::RngSeed};
use slotune_serving::EngineArguments;

use super::*;
use crate::{blocks::KeyedPool, server::ServerModel};

/// A scheduler in a situation, and how it goes on.
#[derive(Debug)]
struct Situation {
    arguments: ResolvedEngineArguments,
    usable_blocks: u32,
    /// Prompt, output and rank of each request, in order of arrival.
    requests: Vec<(u32, u32, u32)>,
    /// Tokens that all prompts share; turns prefix caching on.
    shared: Option<u32>,
}

impl Situation {
    /// Blocks of 4 tokens, 100 of them; steps of 8 tokens and 8 sequences.
    fn new(requests: &[(u32, u32)]) -> Self {
        let arguments = ServerModel::measured().resolve(&EngineArguments {
            max_num_seqs: Some(8),
            max_num_batched_tokens: Some(8),
            max_model_len: Some(64),
            block_size: Some(4),
            async_scheduling: Some(false),
            ..EngineArguments::default()
        });
        let requests =
            (0..).zip(requests).map(|(rank, &(prompt, output))| (prompt, output, rank)).collect();
        Self { arguments, usable_blocks: 100, requests, shared: None }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn scheduler(&self) -> Scheduler {
        let blocks = match self.shared {
            None => BlockPool::Counted { free: self.usable_blocks },
            Some(_) => {
                BlockPool::Keyed(KeyedPool::new(self.usable_blocks, self.arguments.block_size))
            }
        };
        Scheduler::new(&self.arguments, blocks, Bookkeeping::Each)
    }

    fn enqueue(&self, scheduler: &mut Scheduler, id: usize) {
        let (prompt, output, rank) = self.requests[id];
        let shared = self.shared.map(|tokens| PromptSegment { id: 1, tokens });
        let request = Request::new(prompt, output, rank, 0.0);
        scheduler.enqueue(id, request, shared.as_slice());
    }

    /// The scheduler with all requests waiting.
    fn loaded(&self) -> Scheduler {
        let mut scheduler = self.scheduler();
        (0..self.requests.len()).for_each(|id| self.enqueue(&mut scheduler, id));
        scheduler
    }

    /// The batches of the first steps, all requests waiting from the start.
    fn check(&self, expected: &[&[(usize, u32)]]) {
        let mut driver = Driver::new(self.loaded(), &self.arguments);
        for (number, &batch) in expected.iter().enumerate() {
            assert_eq!(driver.next_batch().expect("a step"), batch, "step {number}");
        }
    }
}

/// Runs a scheduler as the engine does, without clocks.
struct Driver {
    scheduler: Scheduler,
    depth: usize,
}

impl Driver {
    fn new(scheduler: Scheduler, arguments: &ResolvedEngineArguments) -> Self {
        Self { scheduler, depth: if arguments.async_scheduling { 2 } else { 1 } }
    }

    /// The next non-empty batch, or none if nothing is left that can be computed.
    fn next_batch(&mut self) -> Option<Vec<(usize, u32)>> {
        loop {
            if self.scheduler.in_flight.len() < self.depth && self.scheduler.schedule(0.0).is_some()
            {
                return self.scheduler.in_flight.back().map(|step| step.entries.clone());
            }
            let step = self.scheduler.accept()?;
            self.scheduler.recycle(step);
        }
    }
}

#[test]
fn a_prompt_is_split_by_the_budget_and_samples_at_its_end() {
    Situation::new(&[(20, 3)]).check(&[&[(0, 8)], &[(0, 8)], &[(0, 4)], &[(0, 1)], &[(0, 1)]]);
}

#[test]
fn running_requests_come_before_waiting_ones() {
    Situation::new(&[(4, 3), (10, 1)]).check(&[&[(0, 4), (1, 4)], &[(0, 1), (1, 6)], &[(0, 1)]]);
}

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
fn the_threshold_caps_each_chunk() {
    Situation::new(&[(8, 1), (3, 1)])
        .with(|situation| situation.arguments.long_prefill_token_threshold = 3)
        .check(&[&[(0, 3), (1, 3)], &[(0, 3)], &[(0, 2)]]);
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
    let mut driver = Driver::new(situation.loaded(), &situation.arguments);
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
    let mut scheduler = situation.scheduler();
    situation.enqueue(&mut scheduler, 0);
    let mut driver = Driver::new(scheduler, &situation.arguments);
    assert_eq!(driver.next_batch(), Some(vec![(0, 3)]));
    situation.enqueue(&mut driver.scheduler, 1);
    assert_eq!(driver.next_batch(), Some(vec![(0, 1), (1, 4)]));
    assert_eq!(driver.next_batch(), Some(vec![(1, 1)]));
    assert_eq!(driver.scheduler.counts.preemptions, 1);
    assert_eq!(driver.scheduler.waiting, [0]);
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

#[test]
fn asynchronous_steps_do_not_run_past_the_last_token() {
    let asynchronous = |situation: &mut Situation| situation.arguments.async_scheduling = true;
    for output in 1..5 {
        let situation = Situation::new(&[(4, output)]).with(asynchronous);
        let mut driver = Driver::new(situation.loaded(), &situation.arguments);
        let mut batches = Vec::new();
        while let Some(batch) = driver.next_batch() {
            batches.push(batch[0].1);
        }
        let decodes = output as usize - 1;
        assert_eq!(batches, [vec![4], vec![1; decodes]].concat(), "output {output}");
    }
}

/// The second step is scheduled while the first computes, so a request that ends with it still
/// holds its sequence.
#[test]
fn an_asynchronous_slot_is_free_one_step_later() {
    let one = |situation: &mut Situation| situation.arguments.max_num_seqs = 1;
    Situation::new(&[(4, 1), (4, 1)]).with(one).check(&[&[(0, 4)], &[(1, 4)]]);
    let both = Situation::new(&[(4, 2), (4, 1)]).with(one).with(|situation| {
        situation.arguments.async_scheduling = true;
    });
    both.check(&[&[(0, 4)], &[(0, 1)], &[(1, 4)]]);
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

fn situations() -> impl Strategy<Value = Situation> {
    let limits = (1_u32..6, 6_u32..40, 0_u32..9, 1_u32..6, 0_u32..20);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    let requests = prop::collection::vec((1_u32..40, 1_u32..20, 0_u32..4), 1..14);
    (limits, switches, requests, 0_u32..30).prop_map(
        |(
            (seqs, tokens, chunk, block_size, spare),
            (asynchronous, priority, shares),
            requests,
            shared,
        )| {
            let mut situation = Situation::new(&[]);
            let arguments = &mut situation.arguments;
            arguments.max_num_seqs = seqs;
            arguments.max_num_batched_tokens = tokens;
            arguments.long_prefill_token_threshold = chunk;
            arguments.block_size = block_size;
            arguments.async_scheduling = asynchronous;
            if priority {
                arguments.scheduling_policy = SchedulingPolicy::Priority;
            }
            // Just enough for the longest context, or a little more.
            situation.usable_blocks = arguments.max_model_len.div_ceil(block_size) + spare;
            situation.shared = shares.then_some(shared);
            situation.requests = requests;
            situation
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_step_keeps_the_invariants(situation in situations()) {
        let arguments = &situation.arguments;
        let mut driver = Driver::new(situation.loaded(), arguments);
        let (mut scheduled, mut cached, mut lost, mut spared) = (0_u64, 0_u64, 0_u64, 0_u64);
        let mut admitted = Vec::new();
        loop {
            let before: Vec<u32> = driver.scheduler.requests.iter().map(|r| r.computed).collect();
            let unfinished = |scheduler: &Scheduler| -> Vec<bool> {
                scheduler.requests.iter().map(|r| r.emitted < r.output).collect()
            };
            let unfinished_before = unfinished(&driver.scheduler);
            let batch = driver.next_batch();
            for (id, request) in driver.scheduler.requests.iter().enumerate() {
                let has_finished = unfinished_before[id] && request.emitted == request.output;
                if has_finished && request.computed == 0 {
                    spared += u64::from(request.prompt + request.output - 1);
                }
            }
            let Some(batch) = batch else { break };
            prop_assert!(scheduled < 1_000_000, "it ends");
            check_step(&situation, &driver.scheduler, &batch)?;
            for (id, request) in driver.scheduler.requests.iter().enumerate() {
                let now = batch.iter().find(|&&(other, _)| other == id).map_or(0, |&(_, n)| n);
                scheduled += u64::from(now);
                // It began at other tokens than it had come to: admitted or preempted or both.
                let begun = request.computed - now;
                if begun != before[id] {
                    lost += u64::from(before[id]);
                    cached += u64::from(begun);
                }
            }
            let is_new = |&&(id, _): &&(usize, u32)| !admitted.contains(&id);
            let new: Vec<usize> = batch.iter().filter(is_new).map(|&(id, _)| id).collect();
            admitted.extend(new);
        }
        let scheduler = &driver.scheduler;
        prop_assert!(scheduler.is_idle());
        prop_assert_eq!(scheduler.blocks.free(), situation.usable_blocks);
        for request in &scheduler.requests {
            prop_assert_eq!((request.emitted, request.placeholders), (request.output, 0));
        }
        if arguments.scheduling_policy == SchedulingPolicy::Fcfs {
            prop_assert!(admitted.is_sorted(), "first admissions are first come, first served");
        }
        // Every token but the last sampled is computed once or found, and again if it was lost; not
        // so in a request that ended in the queue, its last token having been on the way.
        let needed: u64 =
            situation.requests.iter().map(|&(prompt, output, _)| u64::from(prompt + output - 1)).sum();
        prop_assert_eq!(scheduled + cached + spared, needed + lost);
    }
}

fn check_step(
    situation: &Situation,
    scheduler: &Scheduler,
    batch: &[(usize, u32)],
) -> Result<(), TestCaseError> {
    let arguments = &situation.arguments;
    let ids: BTreeSet<usize> = batch.iter().map(|&(id, _)| id).collect();
    prop_assert_eq!(ids.len(), batch.len(), "a request is scheduled at most once");
    let tokens: u32 = batch.iter().map(|&(_, tokens)| tokens).sum();
    prop_assert!(tokens <= arguments.max_num_batched_tokens);
    prop_assert!(scheduler.running.len() <= arguments.max_num_seqs as usize);
    for &id in &scheduler.running {
        let request = &scheduler.requests[id];
        prop_assert!(request.computed <= request.known_tokens());
        prop_assert!(request.placeholders <= 2);
        prop_assert_eq!(request.blocks, request.computed.div_ceil(arguments.block_size));
    }
    for &id in &scheduler.waiting {
        let request = &scheduler.requests[id];
        prop_assert_eq!((request.computed, request.blocks), (0, 0));
    }
    let held = match &scheduler.blocks {
        BlockPool::Counted { .. } => scheduler.requests.iter().map(|r| r.blocks).sum(),
        BlockPool::Keyed(pool) => u32::try_from(pool.held_blocks()).expect("few blocks"),
    };
    prop_assert_eq!(scheduler.blocks.free() + held, situation.usable_blocks);
    Ok(())
}
