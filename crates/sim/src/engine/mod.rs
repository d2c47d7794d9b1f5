//! The event loop: front end, engine core and GPU advance together.

use std::collections::VecDeque;

use crate::{
    cost::{HostCosts, StepMode, StepTime, StepTimer},
    front_end::FrontEnd,
    noise::{Factors, Noise},
    scheduler::{Scheduler, Step},
    simulate::EngineDeath,
    start_up::StepMemory,
};

/// One engine at work. Times are seconds.
#[derive(Debug)]
pub(crate) struct Engine {
    /// The clock of the engine core.
    now_s: f64,
    /// When the GPU has done all that was launched.
    gpu_free_s: f64,
    /// Steps launched whose tokens were not fetched, with the time they are done.
    in_flight: VecDeque<(f64, Vec<usize>)>,
    /// How many steps may be in flight: two with asynchronous scheduling.
    depth: usize,
    step: Step,
    pub(crate) steps: u64,
    timer: StepTimer,
    host: HostCosts,
    noise: StepNoise,
    /// What its steps may take, where one of them could take more.
    memory: Option<StepMemory>,
    pub(crate) death: Option<EngineDeath>,
    pub(crate) scheduler: Scheduler,
    pub(crate) front_end: FrontEnd,
}

/// The noise of the steps of one run.
#[derive(Debug)]
pub(crate) struct StepNoise {
    host_factor: f64,
    host: Factors,
    gpu: Factors,
}

impl StepNoise {
    pub(crate) fn new(noise: &Noise, seed: u64, boot_seed: u64) -> Self {
        Self {
            host_factor: noise.host_factor(boot_seed),
            host: noise.host_steps(seed),
            gpu: noise.gpu_steps(seed),
        }
    }

    /// The time with its noise; the host's varies only where it launches kernels one by one.
    fn apply(&mut self, time: StepTime) -> StepTime {
        let host = match time.mode {
            StepMode::Full => 1.0,
            StepMode::Piecewise | StepMode::Eager => self.host_factor * self.host.next(),
        };
        StepTime { host_s: time.host_s * host, gpu_s: time.gpu_s * self.gpu.next(), ..time }
    }
}

impl Engine {
    pub(crate) fn new(
        timer: StepTimer,
        host: HostCosts,
        noise: StepNoise,
        is_asynchronous: bool,
        memory: Option<StepMemory>,
        scheduler: Scheduler,
        front_end: FrontEnd,
    ) -> Self {
        Self {
            now_s: 0.0,
            gpu_free_s: 0.0,
            in_flight: VecDeque::with_capacity(2),
            depth: if is_asynchronous { 2 } else { 1 },
            step: Step::default(),
            steps: 0,
            timer,
            host,
            noise,
            memory,
            death: None,
            scheduler,
            front_end,
        }
    }

    /// The time that the engine core has come to.
    pub(crate) fn now_s(&self) -> f64 {
        self.now_s
    }

    /// Runs until nothing is left to do, or past `end_s`.
    pub(crate) fn run(&mut self, end_s: f64) {
        while self.now_s <= end_s && self.advance() {}
        self.front_end.advance(f64::INFINITY);
    }

    /// One round: take requests, launch a step if one is due, else fetch the oldest one's tokens.
    /// False when nothing is left that could ever be done.
    pub(crate) fn advance(&mut self) -> bool {
        self.front_end.advance(self.now_s);
        while let Some(request) = self.front_end.take_request(self.now_s) {
            self.scheduler.enqueue(request, self.now_s);
        }
        if !self.scheduler.is_idle() && self.scheduler.schedule(self.now_s, &mut self.step) {
            if self.runs_out_of_memory() {
                return false;
            }
            self.launch();
            if self.in_flight.len() < self.depth {
                return true;
            }
        }
        if let Some((done_s, sampled)) = self.in_flight.pop_front() {
            self.now_s = self.now_s.max(done_s);
            self.scheduler.accept(&sampled);
            self.front_end.post(self.now_s, sampled);
            return true;
        }
        // Idle, or the head of the queue fits nowhere: only an arrival can change that.
        match self.front_end.next_at_engine_s() {
            Some(time_s) => {
                self.now_s = self.now_s.max(time_s);
                true
            }
            None => false,
        }
    }

    /// Dies if the scheduled step takes more memory than there is.
    fn runs_out_of_memory(&mut self) -> bool {
        let Some(memory) = &self.memory else { return false };
        let (shape, time_s) = (&self.step.shape, self.now_s);
        self.death = memory
            .check(shape.tokens, shape.samples)
            .err()
            .map(|cause| EngineDeath { time_s, cause });
        self.death.is_some()
    }

    /// Launches the scheduled step: the host prepares it, the GPU computes it.
    fn launch(&mut self) {
        let time = self.noise.apply(self.timer.time(&self.step.shape));
        let begun_s = self.now_s;
        self.now_s += time.host_s;
        self.gpu_free_s = match time.mode {
            StepMode::Full => self.gpu_free_s.max(self.now_s) + time.gpu_s,
            StepMode::Piecewise | StepMode::Eager => {
                // Kernels are launched while the host works, so the GPU begins early, and cannot
                // be done before the last launch.
                let first_launch_s = begun_s + time.host_s.min(self.host.launch_ms / 1e3);
                (self.gpu_free_s.max(first_launch_s) + time.gpu_s)
                    .max(self.now_s + self.host.launch_tail_ms / 1e3)
            }
        };
        self.steps += 1;
        let spare = self.front_end.spare_list();
        let sampled = std::mem::replace(&mut self.step.sampled, spare);
        self.in_flight.push_back((self.gpu_free_s, sampled));
    }
}

#[cfg(test)]
mod tests;
