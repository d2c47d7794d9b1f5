//! What holds after every step, whatever the requests and arguments.

use std::collections::BTreeSet;

use proptest::{prelude::*, test_runner::RngSeed};

use super::*;

fn situations() -> impl Strategy<Value = Situation> {
    let limits = (1_u32..6, 6_u32..40, 0_u32..9, 1_u32..6, 0_u32..20);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let watermark = prop_oneof![Just(0.0), 0.0..1.0];
    let requests = prop::collection::vec((1_u32..40, 1_u32..20, 0_u32..4), 1..14);
    (limits, switches, requests, 0_u32..30, watermark).prop_map(
        |(
            (seqs, tokens, chunk, block_size, spare),
            (asynchronous, priority, shares, reserves_full_prompt),
            requests,
            shared,
            watermark,
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
            situation.admission = Admission { reserves_full_prompt, watermark };
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
        let mut driver = situation.start(Bookkeeping::Each);
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
