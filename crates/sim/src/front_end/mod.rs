//! The API server and its clients: one event loop that takes requests in and streams tokens out.
//!
//! The loop goes in turns, as asyncio's does. In one turn every request on its way in comes one stage
//! further, what the turn before processed is sent, the outputs that wait are processed, and one
//! connection is accepted. So where the loop has much to send, a request waits for as many turns as it
//! has stages, each as long as a step's tokens take: that, not the engine's queue, is where requests wait when
//! the rate is high.
//!
//! As in vLLM, the tokens of an output are processed, up to [`STRETCH_TOKENS`] at a time, and then
//! each goes to its client in a chunk. Outputs that queue up while the front end is busy are processed in
//! one go if they are small, and then a client gets all its tokens in one chunk: a busy front end
//! merges chunks, which is what lets it catch up. (vLLM 0.25.1, `output_handler` in
//! `vllm/v1/engine/async_llm.py`; measured servers merged chunks in steps of up to 128 requests, and not
//! in larger ones.)
//!
//! A token is visible after the costs of those before it, so of most tokens nothing needs to be known: only
//! the first and the last of a request are looked at, unless the time of each is asked for.

mod arrivals;
mod client;
mod outputs;
mod refusal;

use std::collections::VecDeque;

use crate::{cost::FrontEndCosts, noise::Factors};
use outputs::{Chunks, Slice};
use refusal::refusal;

use arrivals::Due;
pub(crate) use arrivals::{Arrivals, check_arrival};
pub(crate) use client::Client;
pub(crate) use outputs::Mark;

/// Most tokens that are processed before the streams get to send theirs
/// (`VLLM_V1_OUTPUT_PROC_CHUNK_SIZE`).
const STRETCH_TOKENS: u32 = 128;

/// Turns from the one after a connection is accepted to the one in which its request goes to the engine:
/// one makes the connection and reads from it, two bring the request to vLLM's handler, and twelve take it
/// through. Counted in the time stamps of a server of vLLM 0.25.1 with uvicorn 0.54 under load, of
/// completions whose prompts are token ids (docs/SIMULATOR.md).
const STAGES: u32 = 15;

/// In which order the front end does what there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventLoop {
    /// In turns, as vLLM's API server does.
    #[default]
    Turns,
    /// One thing after the other, each done to its end, as the prototype did that the first coefficients
    /// were fitted with.
    Serial,
}

/// How the front end and its clients behave in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrontEndSettings {
    /// Tokens sent to the client at once.
    pub(crate) stream_interval: u32,
    pub(crate) keeps_chunk_times: bool,
    /// Nothing is sent or received after this time, s.
    pub(crate) end_s: f64,
    /// Longest context, tokens.
    pub(crate) longest: u32,
    pub(crate) event_loop: EventLoop,
    /// Whether the time of each token is needed, not only of the first and last of a request.
    pub(crate) looks_at_each: bool,
}

/// A request on its way in.
#[derive(Debug)]
struct Intake {
    slot: usize,
    /// Stages before it.
    stages: u32,
    stage_s: f64,
}

/// The front end and its queues. Times are seconds. Requests under way have slots, whose numbers
/// are used again.
pub(crate) struct FrontEnd<'a> {
    costs: FrontEndCosts,
    settings: FrontEndSettings,
    factors: Factors,
    busy_until_s: f64,
    arrivals: Arrivals<'a>,
    /// Requests that were accepted, in that order.
    intake: VecDeque<Intake>,
    /// Requests on the way to the engine.
    to_engine: VecDeque<(f64, usize)>,
    /// Sampled tokens that were not processed.
    outputs: VecDeque<Slice>,
    /// Those that were, and are to be sent in the next turn.
    processed: Vec<Slice>,
    /// The marks of all outputs, in order.
    marks: VecDeque<Mark>,
    /// Emptied lists of outputs, to be used again.
    spare: Vec<Vec<usize>>,
    clients: Vec<Client>,
    free_slots: Vec<usize>,
    /// Requests that end in the present turn, and when.
    ending: Vec<(f64, usize)>,
    /// Requests that ended and were not handed out.
    ended: VecDeque<usize>,
    /// How often it sent chunks.
    sendings: u64,
}

impl<'a> FrontEnd<'a> {
    pub(crate) fn new(
        costs: FrontEndCosts,
        settings: FrontEndSettings,
        factors: Factors,
        arrivals: Arrivals<'a>,
    ) -> Self {
        Self {
            costs,
            settings,
            factors,
            busy_until_s: 0.0,
            arrivals,
            intake: VecDeque::new(),
            to_engine: VecDeque::new(),
            outputs: VecDeque::new(),
            processed: Vec::new(),
            marks: VecDeque::new(),
            spare: Vec::new(),
            clients: Vec::new(),
            free_slots: Vec::new(),
            ending: Vec::new(),
            ended: VecDeque::new(),
            sendings: 0,
        }
    }

    /// Does every turn that starts by `now_s`.
    pub(crate) fn advance(&mut self, now_s: f64) {
        while let Some(start_s) = self.next_start_s().filter(|&start_s| start_s <= now_s) {
            self.turn(start_s);
        }
    }

    /// Does one turn, if there is anything to do.
    pub(crate) fn advance_by_one(&mut self) -> bool {
        let Some(start_s) = self.next_start_s() else { return false };
        self.turn(start_s);
        true
    }

    /// When the next request reaches the engine, of those that the front end took in.
    pub(crate) fn at_engine_s(&self) -> Option<f64> {
        self.to_engine.front().map(|&(time_s, _)| time_s)
    }

    /// A request that has reached the engine by `now_s`.
    pub(crate) fn take_request(&mut self, now_s: f64) -> Option<(usize, &Client)> {
        let (_, slot) = self.to_engine.pop_front_if(|&mut (time_s, _)| time_s <= now_s)?;
        Some((slot, &self.clients[slot]))
    }

    /// Whether outputs are posted with whose each token is.
    pub(crate) fn looks_at_each(&self) -> bool {
        self.settings.looks_at_each
    }

    /// Takes the tokens that a step sampled, `marks` of which begin or end a stream.
    pub(crate) fn post(&mut self, now_s: f64, tokens: u32, marks: &[Mark]) {
        self.marks.extend(marks);
        let mut marks = marks;
        for (begin, tokens, is_last) in Slice::cut(tokens, self.stretch()) {
            let own = marks.partition_point(|mark| mark.place < begin + tokens);
            marks = &marks[own..];
            let each = Vec::new();
            self.outputs.push_back(Slice {
                time_s: now_s,
                begin,
                tokens,
                is_last,
                marks: own,
                each,
            });
        }
    }

    /// The same where each token is looked at: whose they are.
    pub(crate) fn post_each(&mut self, now_s: f64, sampled: &[usize]) {
        let tokens = u32::try_from(sampled.len()).expect("as many as requests run at most");
        for (begin, tokens, is_last) in Slice::cut(tokens, self.stretch()) {
            let mut each = self.spare.pop().unwrap_or_default();
            each.extend(&sampled[begin as usize..(begin + tokens) as usize]);
            self.outputs.push_back(Slice { time_s: now_s, begin, tokens, is_last, marks: 0, each });
        }
    }

    /// Most tokens that are processed in one go.
    fn stretch(&self) -> u32 {
        match self.settings.event_loop {
            EventLoop::Turns => STRETCH_TOKENS,
            EventLoop::Serial => u32::MAX,
        }
    }

    /// A request that ended, and its client; the slot may be given to another from now on.
    pub(crate) fn take_ended(&mut self) -> Option<(usize, &mut Client)> {
        let slot = self.ended.pop_front()?;
        self.free_slots.push(slot);
        Some((slot, &mut self.clients[slot]))
    }

    /// Requests under way and those due by the end of the run, in order of arrival, once no job is
    /// left.
    pub(crate) fn unfinished(mut self) -> (Vec<(usize, Client)>, Arrivals<'a>) {
        let mut is_free = vec![false; self.clients.len()];
        self.free_slots.iter().for_each(|&slot| is_free[slot] = true);
        let mut under_way: Vec<(usize, Client)> = std::mem::take(&mut self.clients)
            .into_iter()
            .enumerate()
            .filter(|&(slot, _)| !is_free[slot])
            .collect();
        under_way.sort_by_key(|(_, client)| client.index);
        (under_way, self.arrivals)
    }

    /// What was wrong with the last request that was to be sent, if anything was.
    pub(crate) fn error(&mut self) -> Option<crate::InputError> {
        self.arrivals.error()
    }

    /// When the next turn starts, if one does before the run ends.
    fn next_start_s(&self) -> Option<f64> {
        let start_s = if self.is_under_way() {
            self.busy_until_s
        } else {
            self.arrivals.next_s().min(self.next_output_s()).max(self.busy_until_s)
        };
        (start_s <= self.settings.end_s && start_s < f64::INFINITY).then_some(start_s)
    }

    /// Whether something was begun that the next turn goes on with.
    fn is_under_way(&self) -> bool {
        let is_cut = self.outputs.front().is_some_and(|slice| slice.begin > 0);
        is_cut || !self.processed.is_empty() || !self.intake.is_empty()
    }

    fn next_output_s(&self) -> f64 {
        self.outputs.front().map_or(f64::INFINITY, |slice| slice.time_s)
    }

    /// Does what is to be done from `start_s` on.
    fn turn(&mut self, start_s: f64) {
        self.busy_until_s = start_s;
        let factor = self.factors.next();
        match self.settings.event_loop {
            EventLoop::Turns => {
                self.take_in(factor);
                self.send(factor);
                while self.next_output_s() <= start_s && self.process(factor) {}
                if let Some(due) = self.arrivals.pop(self.busy_until_s.min(self.settings.end_s)) {
                    self.accept(due, STAGES, self.costs.per_request_ms);
                }
            }
            EventLoop::Serial => {
                if let Some(due) = self.arrivals.pop(self.next_output_s()) {
                    let read = f64::from(due.spec.prompt_tokens.min(self.settings.longest));
                    let prompt_ms = self.costs.per_prompt_token_ms * read;
                    self.accept(due, 1, self.costs.per_request_ms + prompt_ms);
                    self.take_in(factor);
                } else {
                    self.process(factor);
                    self.send(factor);
                }
            }
        }
    }

    fn accept(&mut self, due: Due, stages: u32, cost_ms: f64) {
        let Due { index, time_s, spec } = due;
        let refusal = refusal(&spec, self.settings.longest);
        let slot = self.seat(Client::new(index, time_s, spec, refusal));
        let stage_s = cost_ms / 1e3 / f64::from(stages);
        self.intake.push_back(Intake { slot, stages, stage_s });
    }

    /// Brings each request on its way in one stage further.
    fn take_in(&mut self, factor: f64) {
        let mut taken_s = None;
        for intake in &mut self.intake {
            self.busy_until_s += intake.stage_s * factor;
            intake.stages -= 1;
            if intake.stages == 0 {
                taken_s = Some(self.busy_until_s);
            }
        }
        // One was accepted in a turn, so that one at most has no stage left.
        if let Some(taken_s) = taken_s {
            let Intake { slot, .. } = self.intake.pop_front().expect("one has no stage left");
            if self.clients[slot].refusal.is_some() {
                self.end(slot, taken_s + self.costs.to_client_ms / 1e3);
            } else {
                self.to_engine.push_back((taken_s + self.costs.to_engine_ms / 1e3, slot));
            }
        }
    }

    fn seat(&mut self, client: Client) -> usize {
        if let Some(slot) = self.free_slots.pop() {
            self.clients[slot] = client;
            slot
        } else {
            self.clients.push(client);
            self.clients.len() - 1
        }
    }

    /// Processes the tokens that wait longest, and says whether their output ends with them. If not, the
    /// streams get to send.
    fn process(&mut self, factor: f64) -> bool {
        let Some(slice) = self.outputs.pop_front() else { return false };
        let per_step_ms = if slice.begin == 0 { self.costs.per_step_ms } else { 0.0 };
        let cost_ms = per_step_ms
            + self.costs.per_token_ms * f64::from(slice.tokens)
            + match self.settings.event_loop {
                EventLoop::Turns => self.costs.per_prompt_token_ms * self.decode_prompts(&slice),
                EventLoop::Serial => 0.0,
            };
        self.busy_until_s += cost_ms / 1e3 * factor;
        let is_last = slice.is_last;
        self.processed.push(slice);
        is_last
    }

    /// Decodes the prompts of the requests whose first token is in this slice, as vLLM does to detokenize it, and
    /// says how many tokens they have.
    fn decode_prompts(&mut self, slice: &Slice) -> f64 {
        let mut tokens = 0;
        let mut decode = |client: &mut Client| {
            if !client.is_prompt_decoded {
                client.is_prompt_decoded = true;
                tokens += u64::from(client.prompt);
            }
        };
        let before = self.processed.iter().map(|slice| slice.marks).sum();
        for mark in self.marks.iter().skip(before).take(slice.marks) {
            decode(&mut self.clients[mark.slot]);
        }
        slice.each.iter().for_each(|&slot| decode(&mut self.clients[slot]));
        tokens as f64
    }

    /// Sends what was processed.
    fn send(&mut self, factor: f64) {
        if self.processed.is_empty() {
            return;
        }
        self.sendings += 1;
        let mut timer = SendTimer {
            begun_s: self.busy_until_s,
            chunk_s: self.costs.per_chunk_ms / 1e3 * factor,
            latency_s: self.costs.to_client_ms / 1e3,
            chunks: Chunks::default(),
        };
        let mut processed = std::mem::take(&mut self.processed);
        for slice in processed.drain(..) {
            self.send_slice(slice, &mut timer);
        }
        self.processed = processed;
        self.busy_until_s = timer.done_s();
        // Of two slices the later may end a stream before the earlier does.
        let mut ending = std::mem::take(&mut self.ending);
        ending.sort_by(|(a_s, _), (b_s, _)| a_s.total_cmp(b_s));
        for (time_s, slot) in ending.drain(..) {
            self.end(slot, time_s);
        }
        self.ending = ending;
    }

    fn send_slice(&mut self, mut slice: Slice, timer: &mut SendTimer) {
        if !self.settings.looks_at_each {
            timer.chunks = timer.chunks.with(slice.begin, slice.tokens);
            for _ in 0..slice.marks {
                let mark = self.marks.pop_front().expect("every output posted its own");
                let time_s = timer.received_s(mark.place);
                let client = &mut self.clients[mark.slot];
                client.processed += 1;
                if mark.is_first {
                    client.receive(time_s, self.sendings, false);
                }
                if mark.is_last {
                    client.receive(time_s, self.sendings, false);
                    client.received = client.output;
                    self.ending.push((client.last_s.unwrap_or(time_s), mark.slot));
                }
            }
            return;
        }
        let interval = self.settings.stream_interval;
        slice.each.retain(|&slot| !self.clients[slot].counts_into_chunk(interval));
        let sent = u32::try_from(slice.each.len()).expect("as many as there are tokens at most");
        timer.chunks = timer.chunks.with(slice.begin, sent);
        for (place, slot) in (slice.begin..).zip(slice.each.drain(..)) {
            let time_s = timer.received_s(place);
            if time_s <= self.settings.end_s {
                let client = &mut self.clients[slot];
                client.receive(time_s, self.sendings, self.settings.keeps_chunk_times);
                if client.received == client.output {
                    self.ending.push((client.last_s.unwrap_or(time_s), slot));
                }
            }
        }
        self.spare.push(slice.each);
    }

    /// A request ended at its client.
    fn end(&mut self, slot: usize, time_s: f64) {
        self.arrivals.release(time_s);
        self.ended.push_back(slot);
    }
}

/// When the chunks of a turn reach their clients.
struct SendTimer {
    begun_s: f64,
    chunk_s: f64,
    latency_s: f64,
    chunks: Chunks,
}

impl SendTimer {
    /// When the chunk of the token of this place does.
    fn received_s(&self, place: u32) -> f64 {
        self.begun_s + self.chunk_s * f64::from(self.chunks.up_to(place)) + self.latency_s
    }

    /// When all are sent.
    fn done_s(&self) -> f64 {
        self.begun_s + self.chunk_s * f64::from(self.chunks.count())
    }
}

#[cfg(test)]
mod tests;
