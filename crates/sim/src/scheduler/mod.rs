//! The scheduler: which requests compute how many tokens in the next step, after vLLM V1's
//! `v1/core/sched/scheduler.py`.
//!
//! There is no prefill or decode phase. Each request catches up from its computed tokens to its
//! prompt, its output so far, and the tokens it is known to be sampling. Running requests come
//! first, in the order of their admission; then waiting ones, the head of the queue only, so that
//! none overtakes. A running request that needs a block when none is free takes them from the
//! latest one. A waiting request is admitted only if all its known tokens would fit; its blocks are
//! nevertheless allocated chunk by chunk. [`Admission`] changes that.

mod admission;
mod request;
mod steady;
mod step;

use std::collections::VecDeque;

use slotune_serving::{
    engine_arguments::{ResolvedEngineArguments, SchedulingPolicy},
    workload::PromptSegment,
};

pub use admission::Admission;
pub(crate) use request::Request;
use steady::Steady;
pub(crate) use step::{Bookkeeping, Step};

use crate::{
    blocks::{BlockPool, PrefixHit},
    cost::StepShape,
    front_end::Mark,
};

/// Counts over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) preemptions: u64,
    pub(crate) prefix_queries: u64,
    pub(crate) prefix_hits: u64,
}

/// The scheduler of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Scheduler {
    limits: Limits,
    /// By slot. A slot that is free holds the request that had it last.
    pub(crate) requests: Vec<Request>,
    pub(crate) waiting: VecDeque<usize>,
    /// In order of admission.
    pub(crate) running: Vec<usize>,
    pub(crate) blocks: BlockPool,
    pub(crate) counts: Counts,
    /// Steps scheduled whose tokens did not arrive, oldest first: at most two.
    in_flight: VecDeque<Step>,
    /// Steps to be filled again.
    spare: Vec<Step>,
    /// The account of requests that decode, if one is kept.
    steady: Option<Steady>,
    /// Whether steps of that account list who samples.
    keeps_lists: bool,
}

/// The arguments that the scheduler obeys.
#[derive(Clone, Copy, Debug)]
struct Limits {
    sequences: usize,
    step_tokens: u32,
    context: u32,
    block_size: u32,
    /// Most tokens of one request in a step, 0 for no limit.
    chunk: u32,
    splits_prompts: bool,
    policy: SchedulingPolicy,
    /// Whether a request is admitted only if all its known tokens fit.
    reserves_full_prompt: bool,
    /// Blocks that an admission leaves free, where something runs.
    watermark_blocks: u32,
}

impl Scheduler {
    pub(crate) fn new(
        arguments: &ResolvedEngineArguments,
        admission: &Admission,
        blocks: BlockPool,
        bookkeeping: Bookkeeping,
    ) -> Self {
        let limits = Limits {
            sequences: arguments.max_num_seqs as usize,
            step_tokens: arguments.max_num_batched_tokens,
            context: arguments.max_model_len,
            block_size: arguments.block_size,
            chunk: arguments.long_prefill_token_threshold,
            splits_prompts: arguments.enable_chunked_prefill,
            policy: arguments.scheduling_policy,
            reserves_full_prompt: admission.reserves_full_prompt,
            watermark_blocks: admission.watermark_blocks(blocks.free()),
        };
        Self {
            limits,
            requests: Vec::new(),
            waiting: VecDeque::new(),
            running: Vec::with_capacity(limits.sequences.min(4096)),
            blocks,
            counts: Counts::default(),
            in_flight: VecDeque::new(),
            spare: Vec::new(),
            steady: match bookkeeping {
                Bookkeeping::Each => None,
                Bookkeeping::Lists | Bookkeeping::Marks => Steady::new(limits.block_size),
            },
            keeps_lists: bookkeeping == Bookkeeping::Lists,
        }
    }

    /// A request reaches the queue, with these parts of its prompt shared by others. It takes
    /// `slot`, which is new or that of a request that ended.
    pub(crate) fn enqueue(&mut self, slot: usize, request: Request, shared: &[PromptSegment]) {
        self.blocks.register(slot, request.rank, request.prompt, shared);
        if slot >= self.requests.len() {
            self.requests.resize(slot + 1, Request::absent());
        }
        self.requests[slot] = request;
        match self.limits.policy {
            SchedulingPolicy::Fcfs => self.waiting.push_back(slot),
            SchedulingPolicy::Priority => self.insert_by_rank(slot),
        }
    }

    /// Whether nothing waits or runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Schedules the next step and tells what it computes; `None` if nothing can be computed.
    pub(crate) fn schedule(&mut self, now_s: f64) -> Option<StepShape> {
        let mut step = self.spare.pop().unwrap_or_default();
        step.clear();
        if !self.schedule_steady(now_s, &mut step) {
            self.settle();
            self.schedule_each(now_s, &mut step);
            self.commit(&mut step);
            self.reopen(&step);
        }
        let shape = step.shape;
        if shape.requests == 0 {
            self.spare.push(step);
            return None;
        }
        self.in_flight.push_back(step);
        Some(shape)
    }

    /// The sampled tokens of the oldest step arrive. Give the step [back](Self::recycle).
    pub(crate) fn accept(&mut self) -> Option<Step> {
        let step = self.in_flight.pop_front()?;
        for &slot in &step.sampled {
            let request = &mut self.requests[slot];
            if request.membership.is_none() {
                request.placeholders -= 1;
                request.emitted += 1;
            }
        }
        let mut some_finished = false;
        for mark in step.marks.iter().filter(|mark| mark.is_last) {
            self.finish(mark.slot);
            some_finished = true;
        }
        if some_finished {
            let requests = &self.requests;
            self.running.retain(|&slot| requests[slot].emitted < requests[slot].output);
        }
        Some(step)
    }

    /// Takes a step back, to use its lists again.
    pub(crate) fn recycle(&mut self, step: Step) {
        self.spare.push(step);
    }

    /// The step scheduled last.
    #[cfg(test)]
    pub(crate) fn latest(&self) -> &Step {
        self.in_flight.back().or(self.spare.last()).expect("a step was scheduled")
    }

    /// Schedules a step request by request.
    fn schedule_each(&mut self, now_s: f64, step: &mut Step) {
        loop {
            let mut budget = self.limits.step_tokens;
            let has_preempted = self.schedule_running(&mut budget, step);
            if !has_preempted {
                self.schedule_waiting(&mut budget, step, now_s);
            }
            // Where the first request had to preempt itself the step is empty, but the next is not.
            if !(has_preempted && step.entries.is_empty()) {
                break;
            }
        }
    }

    /// Running requests first. Returns whether any was preempted.
    fn schedule_running(&mut self, budget: &mut u32, step: &mut Step) -> bool {
        let mut has_preempted = false;
        let mut index = 0;
        while index < self.running.len() && *budget > 0 {
            let slot = self.running[index];
            let request = &self.requests[slot];
            let tokens = if request.samples_its_last_token() {
                0
            } else {
                self.limits
                    .chunk_of(request.pending_tokens())
                    .min(*budget)
                    .min((self.limits.context - 1).saturating_sub(request.computed))
            };
            if tokens == 0 {
                index += 1;
                continue;
            }
            let needed = request.blocks_needed(tokens, self.limits.block_size);
            while needed > self.blocks.free() {
                let victim_index = self.victim();
                let victim = self.running.remove(victim_index);
                self.preempt(victim);
                has_preempted = true;
                if victim == slot {
                    return true;
                }
                if let Some(entry) = step.entries.iter().position(|&(other, _)| other == victim) {
                    *budget += step.entries.remove(entry).1;
                    index -= 1;
                }
            }
            self.allocate(slot, tokens, needed);
            *budget -= tokens;
            step.entries.push((slot, tokens));
            index += 1;
        }
        has_preempted
    }

    /// Then the head of the queue, as long as it can be admitted.
    fn schedule_waiting(&mut self, budget: &mut u32, step: &mut Step, now_s: f64) {
        while *budget > 0
            && self.running.len() < self.limits.sequences
            && let Some(&slot) = self.waiting.front()
        {
            let block_size = self.limits.block_size;
            let request = &self.requests[slot];
            let known = request.prompt + request.emitted;
            // At least one token must be computed, or nothing could be sampled.
            let hit = self.blocks.prefix_hit(slot, (known - 1) / block_size);
            let cached = hit.blocks * block_size;
            let mut tokens = self.limits.chunk_of(known - cached);
            if tokens > *budget && !self.limits.splits_prompts {
                return;
            }
            tokens = tokens.min(*budget);
            let needed = (cached + tokens).div_ceil(block_size) - hit.blocks;
            let reserved = if self.limits.reserves_full_prompt {
                known.min(self.limits.context).div_ceil(block_size) - hit.blocks
            } else {
                needed
            };
            let spared = if self.running.is_empty() { 0 } else { self.limits.watermark_blocks };
            if reserved.max(needed) + hit.idle + spared > self.blocks.free() {
                return;
            }
            self.waiting.pop_front();
            self.running.push(slot);
            self.admit(slot, hit, cached, now_s);
            self.allocate(slot, tokens, needed);
            *budget -= tokens;
            step.entries.push((slot, tokens));
        }
    }

    fn admit(&mut self, slot: usize, hit: PrefixHit, cached: u32, now_s: f64) {
        self.blocks.take_hit(slot, hit);
        let request = &mut self.requests[slot];
        request.computed = cached;
        request.blocks = hit.blocks;
        if request.first_scheduled_s.is_none() {
            request.first_scheduled_s = Some(now_s);
            if let BlockPool::Keyed(_) = self.blocks {
                self.counts.prefix_queries += u64::from(request.prompt);
                self.counts.prefix_hits += u64::from(cached);
            }
        }
    }

    fn allocate(&mut self, slot: usize, tokens: u32, blocks: u32) {
        self.blocks.allocate(slot, blocks);
        let request = &mut self.requests[slot];
        request.blocks += blocks;
        self.blocks.publish(slot, (request.computed + tokens) / self.limits.block_size);
    }

    /// Counts the tokens as computed, and who samples: those that reach their last known token.
    fn commit(&mut self, step: &mut Step) {
        for &(slot, tokens) in &step.entries {
            let request = &mut self.requests[slot];
            step.shape.add(tokens, request.computed, request.prompt);
            request.computed += tokens;
            if request.computed >= request.known_tokens() {
                request.placeholders += 1;
                step.sampled.push(slot);
                let is_first = request.sampled() == 1;
                let is_last = request.sampled() == request.output;
                if is_first || is_last {
                    step.marks.push(Mark { place: step.shape.samples, slot, is_first, is_last });
                }
                step.shape.samples += 1;
            }
        }
    }

    /// Position in `running` of the request to preempt.
    fn victim(&self) -> usize {
        match self.limits.policy {
            SchedulingPolicy::Fcfs => self.running.len() - 1,
            SchedulingPolicy::Priority => {
                let rank = |&index: &usize| self.requests[self.running[index]].rank;
                (0..self.running.len()).max_by_key(rank).expect("the asking request runs")
            }
        }
    }

    /// Its blocks go, its output stays: it will compute both again.
    fn preempt(&mut self, slot: usize) {
        let request = &mut self.requests[slot];
        self.blocks.preempt(slot, request.blocks);
        self.counts.preemptions += 1;
        request.blocks = 0;
        request.computed = 0;
        match self.limits.policy {
            SchedulingPolicy::Fcfs => self.waiting.push_front(slot),
            SchedulingPolicy::Priority => self.insert_by_rank(slot),
        }
    }

    fn insert_by_rank(&mut self, slot: usize) {
        let rank = self.requests[slot].rank;
        let place = self.waiting.partition_point(|&other| self.requests[other].rank <= rank);
        self.waiting.insert(place, slot);
    }

    /// Frees the blocks of a request that has all its output. One that was preempted while its last
    /// token was on the way leaves the queue; the caller clears the running ones.
    fn finish(&mut self, slot: usize) {
        let request = &mut self.requests[slot];
        (request.emitted, request.placeholders) = (request.output, 0);
        if request.blocks > 0 {
            self.blocks.release(slot, request.blocks);
            request.blocks = 0;
        } else if let Some(place) = self.waiting.iter().position(|&other| other == slot) {
            self.waiting.remove(place);
        }
    }
}

impl Limits {
    fn chunk_of(&self, tokens: u32) -> u32 {
        if self.chunk == 0 { tokens } else { tokens.min(self.chunk) }
    }
}

#[cfg(test)]
mod tests;
