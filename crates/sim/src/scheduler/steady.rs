//! Requests that decode, counted together.
//!
//! Between its first and its last token a request computes one token a step, and so does every
//! other. As long as all running requests do, none needs to be looked at: how far each has come
//! follows from the number of steps since it joined. Looked at are only requests that need a block,
//! one step in `block_size` each, and those that begin or end. Whatever else is to happen, a
//! preemption above all, first [settles](Scheduler::settle) every account.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{Scheduler, Step};
use crate::front_end::Mark;

/// Largest block that is worth a list for each of its tokens.
const MOST_PHASES: u32 = 4096;

/// The account of all requests that decode.
#[derive(Clone, Debug)]
pub(super) struct Steady {
    /// Whether every running request is in the account, or has its last token on the way.
    is_open: bool,
    /// Whether one is running that has more of its prompt to compute, so that the account must be
    /// settled before the next step.
    must_close: bool,
    /// How many requests are in it.
    members: u32,
    /// Steps that it was part of.
    steps: u64,
    /// Tokens of context that the members attend to in the next step.
    context: u64,
    /// Members by the step, modulo the size of a block, in which each needs a block.
    by_phase: Vec<Vec<usize>>,
    /// `steps` modulo the size of a block.
    phase: usize,
    /// The numbers of steps after which members have sampled all their tokens.
    ends: BinaryHeap<Reverse<u64>>,
}

/// The place of one request in the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Membership {
    /// Steps of the account when it joined.
    joined: u64,
    /// Steps of the account after which it has sampled all its tokens.
    ends: u64,
}

impl Steady {
    /// An account without members, or none at all where blocks are too large.
    pub(super) fn new(block_size: u32) -> Option<Self> {
        (block_size <= MOST_PHASES).then(|| Self {
            is_open: true,
            must_close: false,
            members: 0,
            steps: 0,
            context: 0,
            phase: 0,
            by_phase: vec![Vec::new(); block_size as usize],
            ends: BinaryHeap::new(),
        })
    }

    /// The list for one that has computed so many tokens: it needs a block when they fill the last.
    fn phase_of(&self, computed: u32) -> usize {
        let size = self.by_phase.len();
        (self.phase + size - computed as usize % size) % size
    }
}

impl Scheduler {
    /// Schedules a step of the account and of what waits; false if that cannot be done, with
    /// nothing changed.
    pub(super) fn schedule_steady(&mut self, now_s: f64, step: &mut Step) -> bool {
        let can_count = |steady: &mut Steady| steady.is_open && !steady.must_close;
        let Some(mut steady) = self.steady.take_if(can_count) else { return false };
        let due = &steady.by_phase[steady.phase];
        let blocks = u32::try_from(due.len()).expect("at most max_num_seqs");
        let fits = blocks <= self.blocks.free() && steady.members <= self.limits.step_tokens;
        if fits {
            for &slot in due {
                self.blocks.allocate(slot, 1);
                self.requests[slot].blocks += 1;
            }
            let mut budget = self.limits.step_tokens - steady.members;
            self.schedule_waiting(&mut budget, step, now_s);
            step.shape.add_decodes(steady.members, steady.context);
            self.advance(&mut steady, step);
            let counted = step.sampled.len();
            self.commit(step);
            // One may have more of its prompt to compute.
            steady.must_close = step.sampled.len() - counted < step.entries.len();
            self.join(&mut steady, &step.sampled[counted..]);
            if !self.keeps_lists {
                step.sampled.clear();
            }
        }
        self.steady = Some(steady);
        fits
    }

    /// Counts the step, and takes those out whose last token it samples.
    fn advance(&mut self, steady: &mut Steady, step: &mut Step) {
        steady.steps += 1;
        steady.phase = (steady.phase + 1) % steady.by_phase.len();
        steady.context += u64::from(steady.members);
        let some_end = steady.ends.peek().is_some_and(|&Reverse(end)| end == steady.steps);
        if !(some_end || self.keeps_lists) {
            return;
        }
        while steady.ends.peek().is_some_and(|&Reverse(end)| end == steady.steps) {
            steady.ends.pop();
        }
        let mut place = 0;
        for &slot in &self.running {
            let request = &mut self.requests[slot];
            let Some(membership) = request.membership else { continue };
            if membership.ends < steady.steps {
                continue;
            }
            if self.keeps_lists {
                step.sampled.push(slot);
            }
            if membership.ends == steady.steps {
                request.has_last_token_in_flight();
                let is_first = false;
                step.marks.push(Mark { place, slot, is_first, is_last: true });
                steady.members -= 1;
                steady.context -= u64::from(request.computed) + 1;
                let phase = steady.phase_of(request.computed);
                steady.by_phase[phase].retain(|&other| other != slot);
            }
            place += 1;
        }
    }

    /// Takes requests into the account that sampled a token in this step.
    fn join(&mut self, steady: &mut Steady, sampled: &[usize]) {
        for &slot in sampled {
            let request = &mut self.requests[slot];
            let left = request.output - request.sampled();
            let ends = steady.steps + u64::from(left);
            request.membership = Some(Membership { joined: steady.steps, ends });
            if left > 0 {
                steady.members += 1;
                steady.context += u64::from(request.computed) + 1;
                steady.ends.push(Reverse(ends));
                let phase = steady.phase_of(request.computed);
                steady.by_phase[phase].push(slot);
            } else {
                request.has_last_token_in_flight();
            }
        }
    }

    /// Opens the account again after a step that was scheduled request by request, if all running
    /// requests decode.
    pub(super) fn reopen(&mut self, step: &Step) {
        let Some(mut steady) = self.steady.take() else { return };
        let sampled_all = |slot: usize| self.requests[slot].sampled() == self.requests[slot].output;
        let ending = self.running.iter().filter(|&&slot| sampled_all(slot)).count();
        let going_on = step.sampled.iter().filter(|&&slot| !sampled_all(slot)).count();
        if ending + going_on == self.running.len() {
            steady.is_open = true;
            self.join(&mut steady, &step.sampled);
        }
        self.steady = Some(steady);
    }

    /// Closes the account: every request is told how far it has come.
    pub(super) fn settle(&mut self) {
        let Some(steady) = self.steady.as_mut().filter(|steady| steady.is_open) else { return };
        (steady.is_open, steady.must_close) = (false, false);
        steady.members = 0;
        steady.context = 0;
        steady.ends.clear();
        steady.by_phase.iter_mut().for_each(Vec::clear);
        // Every member is in every step since it joined.
        let in_flight = u32::try_from(self.in_flight.len()).expect("at most two");
        for &slot in &self.running {
            let request = &mut self.requests[slot];
            let Some(Membership { joined, ends }) = request.membership.take() else {
                continue;
            };
            if ends > steady.steps {
                let steps = u32::try_from(steady.steps - joined).expect("fewer than its tokens");
                let sampled = request.sampled() + steps;
                request.computed += steps;
                request.placeholders = in_flight;
                request.emitted = sampled - request.placeholders;
            }
        }
        // The step in flight was counted: now it matters whose its tokens are.
        if let Some(step) = self.in_flight.back_mut().filter(|step| step.sampled.is_empty()) {
            let requests = &self.requests;
            let samples = |slot: &usize| requests[*slot].placeholders > 0;
            step.sampled.extend(self.running.iter().copied().filter(samples));
        }
    }
}
