//! The event loop: front end, engine core and GPU advance together.

use std::collections::VecDeque;

use slotune_serving::RequestRecord;

use crate::{
    InputError,
    cost::{HostCosts, StepMode, StepShape, StepTime, StepTimer},
    front_end::FrontEnd,
    noise::{Factors, Noise},
    scheduler::{Request, Scheduler},
    simulate::EngineDeath,
    start_up::StepMemory,
};

/// One engine at work. Times are seconds.
pub(crate) struct Engine<'a> {
    /// The clock of the engine core.
    now_s: f64,
    /// When the GPU has done all that was launched.
    gpu_free_s: f64,
    /// When the steps are done that were launched and whose tokens were not fetched.
    in_flight: VecDeque<f64>,
    /// How many steps may be in flight: two with asynchronous scheduling.
    depth: usize,
    pub(crate) steps: u64,
    timer: StepTimer,
    host: HostCosts,
    noise: StepNoise,
    /// What its steps may take, where one of them could take more.
    memory: Option<StepMemory>,
    pub(crate) death: Option<EngineDeath>,
    pub(crate) scheduler: Scheduler,
    pub(crate) front_end: FrontEnd<'a>,
}

/// The noise of the steps of one run.
#[derive(Debug)]
pub(crate) struct StepNoise {
    host_factor: f64,
    gpu_factor: f64,
    host: Factors,
    gpu: Factors,
}

impl StepNoise {
    pub(crate) fn new(noise: &Noise, seed: u64, boot_seed: u64) -> Self {
        Self {
            host_factor: noise.host_factor(boot_seed),
            gpu_factor: noise.gpu_factor(boot_seed),
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
        StepTime {
            host_s: time.host_s * host,
            gap_s: time.gap_s * host,
            gpu_s: time.gpu_s * self.gpu_factor * self.gpu.next(),
            ..time
        }
    }
}

impl<'a> Engine<'a> {
    pub(crate) fn new(
        timer: StepTimer,
        host: HostCosts,
        noise: StepNoise,
        is_asynchronous: bool,
        memory: Option<StepMemory>,
        scheduler: Scheduler,
        front_end: FrontEnd<'a>,
    ) -> Self {
        Self {
            now_s: 0.0,
            gpu_free_s: 0.0,
            in_flight: VecDeque::with_capacity(2),
            depth: if is_asynchronous { 2 } else { 1 },
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

    /// Runs until nothing is left to do, or past `end_s`, and hands out the record of each request
    /// that ends.
    pub(crate) fn run(
        &mut self,
        end_s: f64,
        each: &mut dyn FnMut(RequestRecord),
    ) -> Result<(), InputError> {
        while self.now_s <= end_s && self.advance() {
            self.hand_out(each);
        }
        self.front_end.advance(f64::INFINITY);
        self.hand_out(each);
        self.front_end.error().map_or(Ok(()), Err)
    }

    fn hand_out(&mut self, each: &mut dyn FnMut(RequestRecord)) {
        while let Some((slot, client)) = self.front_end.take_ended() {
            let request = self.scheduler.requests.get(slot);
            let was_served = client.refusal.is_none();
            let queue_time_s = request.filter(|_| was_served).and_then(Request::queue_time_s);
            each(client.record(queue_time_s));
        }
    }

    /// One round: take requests, launch a step if one is due, else fetch the oldest one's tokens.
    /// False when nothing is left that could ever be done.
    pub(crate) fn advance(&mut self) -> bool {
        self.front_end.advance(self.now_s);
        while let Some((slot, client)) = self.front_end.take_request(self.now_s) {
            let request = Request::new(client.prompt, client.output, client.index, self.now_s);
            self.scheduler.enqueue(slot, request, &client.shared_prefix);
        }
        if !self.scheduler.is_idle()
            && let Some(shape) = self.scheduler.schedule(self.now_s)
        {
            if self.runs_out_of_memory(&shape) {
                return false;
            }
            self.launch(&shape);
            if self.in_flight.len() < self.depth {
                return true;
            }
        }
        if let Some(done_s) = self.in_flight.pop_front() {
            self.now_s = self.now_s.max(done_s);
            self.fetch();
            return true;
        }
        // Idle, or the head of the queue fits nowhere: only an arrival can change that.
        if let Some(time_s) = self.front_end.at_engine_s() {
            self.now_s = self.now_s.max(time_s);
            return true;
        }
        self.front_end.advance_by_one()
    }

    /// The tokens of the oldest step go through the scheduler to the front end.
    fn fetch(&mut self) {
        let step = self.scheduler.accept().expect("as many steps as are in flight");
        if self.front_end.looks_at_each() {
            self.front_end.post_each(self.now_s, &step.sampled);
        } else {
            self.front_end.post(self.now_s, step.shape.samples, &step.marks);
        }
        self.scheduler.recycle(step);
    }

    /// Dies if the scheduled step takes more memory than there is.
    fn runs_out_of_memory(&mut self, shape: &StepShape) -> bool {
        let Some(memory) = &self.memory else { return false };
        let time_s = self.now_s;
        self.death = memory
            .check(shape.tokens, shape.samples)
            .err()
            .map(|cause| EngineDeath { time_s, cause });
        self.death.is_some()
    }

    /// Launches the scheduled step: the host prepares it, the GPU computes it.
    fn launch(&mut self, shape: &StepShape) {
        let time = self.noise.apply(self.timer.time(shape));
        self.gpu_free_s = done_s(self.now_s, self.gpu_free_s, &time, &self.host);
        self.now_s += time.host_s;
        self.steps += 1;
        self.in_flight.push_back(self.gpu_free_s);
    }
}

/// When a step is done that the host begins to prepare at `begun_s`, on a GPU that is busy until
/// `gpu_free_s`; seconds.
fn done_s(begun_s: f64, gpu_free_s: f64, time: &StepTime, host: &HostCosts) -> f64 {
    let prepared_s = begun_s + time.host_s;
    match time.mode {
        StepMode::Full => gpu_free_s.max(prepared_s) + time.gpu_s,
        StepMode::Piecewise | StepMode::Eager => {
            // Kernels are launched while the host works, so the GPU begins early, and cannot be
            // done before the last launch.
            let first_launch_s = begun_s + time.host_s.min(host.launch_ms / 1e3);
            // What a prefill needs is prepared in part only when the step before is done.
            ((gpu_free_s + time.gap_s).max(first_launch_s) + time.gpu_s)
                .max(prepared_s + host.launch_tail_ms / 1e3)
        }
    }
}

#[cfg(test)]
mod tests;
