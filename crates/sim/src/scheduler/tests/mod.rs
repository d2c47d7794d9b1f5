//! Scheduler decisions in situations written by hand.

mod admission;
mod invariants;
mod preemption;
mod steps;

use slotune_serving::EngineArguments;

use super::*;
use crate::{blocks::KeyedPool, server::ServerModel};

/// A scheduler in a situation, and how it goes on.
#[derive(Debug)]
struct Situation {
    arguments: ResolvedEngineArguments,
    usable_blocks: u32,
    admission: Admission,
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
        Self {
            arguments,
            usable_blocks: 100,
            admission: Admission::default(),
            requests,
            shared: None,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn scheduler(&self, bookkeeping: Bookkeeping) -> Scheduler {
        let blocks = match self.shared {
            None => BlockPool::Counted { free: self.usable_blocks },
            Some(_) => {
                BlockPool::Keyed(KeyedPool::new(self.usable_blocks, self.arguments.block_size))
            }
        };
        Scheduler::new(&self.arguments, &self.admission, blocks, bookkeeping)
    }

    fn enqueue(&self, scheduler: &mut Scheduler, id: usize) {
        let (prompt, output, rank) = self.requests[id];
        let shared = self.shared.map(|tokens| PromptSegment { id: 1, tokens });
        let request = Request::new(prompt, output, rank, 0.0);
        scheduler.enqueue(id, request, shared.as_slice());
    }

    /// A scheduler at work with all requests waiting.
    fn start(&self, bookkeeping: Bookkeeping) -> Driver {
        let mut scheduler = self.scheduler(bookkeeping);
        (0..self.requests.len()).for_each(|id| self.enqueue(&mut scheduler, id));
        Driver::new(scheduler, &self.arguments)
    }

    /// The batches of the first steps, all requests waiting from the start. Where decoding requests
    /// are counted together, the same ones sample.
    fn check(&self, expected: &[&[(usize, u32)]]) -> Driver {
        let mut driver = self.start(Bookkeeping::Each);
        let mut counting = self.start(Bookkeeping::Lists);
        for (number, &batch) in expected.iter().enumerate() {
            assert_eq!(driver.next_batch().expect("a step"), batch, "step {number}");
            counting.next_batch().expect("the same step");
            let sampled = |driver: &Driver| driver.scheduler.latest().sampled.clone();
            assert_eq!(sampled(&counting), sampled(&driver), "step {number}");
        }
        driver
    }
}

/// Runs a scheduler as the engine does, without clocks.
struct Driver {
    scheduler: Scheduler,
    depth: usize,
    /// One second a step.
    clock_s: f64,
}

impl Driver {
    fn new(scheduler: Scheduler, arguments: &ResolvedEngineArguments) -> Self {
        let depth = if arguments.async_scheduling { 2 } else { 1 };
        Self { scheduler, depth, clock_s: 0.0 }
    }

    /// The next non-empty batch, or none if nothing is left that can be computed.
    fn next_batch(&mut self) -> Option<Vec<(usize, u32)>> {
        loop {
            if self.scheduler.in_flight.len() < self.depth
                && self.scheduler.schedule(self.clock_s).is_some()
            {
                self.clock_s += 1.0;
                return Some(self.scheduler.latest().entries.clone());
            }
            let step = self.scheduler.accept()?;
            self.scheduler.recycle(step);
        }
    }
}
