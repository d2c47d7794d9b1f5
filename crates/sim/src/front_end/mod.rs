//! The API server and its clients: one serial resource that takes requests in and streams tokens
//! out.
//!
//! Its jobs are arrivals and outputs of steps, done in the order of their times, arrivals first
//! among equals. A busy front end delays both, which is what limits a server at high rates.
//!
//! As in vLLM, the tokens of an output are processed, up to [`STRETCH_TOKENS`] at a time, and then
//! each goes to its client in a chunk. Outputs that queue up while the front end is busy are processed in
//! one go if they are small, and then a client gets all its tokens in one chunk: a busy front end
//! merges chunks, which is what lets it catch up. (vLLM 0.25.1, `output_handler` in
//! `vllm/v1/engine/async_llm.py`; measured servers merged chunks in steps of up to 128 requests, and not
//! in larger ones.)
//!
//! A token is visible after the costs of those before it in its output, so of most tokens nothing
//! needs to be known: only the first and the last of a request are looked at, unless the time of
//! each is asked for.

mod arrivals;
mod client;
mod refusal;

use std::collections::VecDeque;

use crate::{cost::FrontEndCosts, noise::Factors};
use refusal::refusal;

use arrivals::Due;
pub(crate) use arrivals::{Arrivals, check_arrival};
pub(crate) use client::Client;

/// Most tokens that are processed before the streams get to send theirs
/// (`VLLM_V1_OUTPUT_PROC_CHUNK_SIZE`).
const STRETCH_TOKENS: u32 = 128;

/// How the front end sends outputs that queued up while it was busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Streaming {
    /// Small ones together, each client's tokens in one chunk, as vLLM does.
    #[default]
    Merged,
    /// Each on its own, as the prototype did that the first coefficients were fitted with.
    Apart,
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
    /// How outputs that wait are sent.
    pub(crate) streaming: Streaming,
    /// Whether the time of each token is needed, not only of the first and last of a request.
    pub(crate) looks_at_each: bool,
}

/// A token of an output that begins or ends the stream of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Place among the tokens of the output, from 0.
    pub(crate) place: u32,
    pub(crate) slot: usize,
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

/// What a step sampled.
#[derive(Debug)]
struct Output {
    time_s: f64,
    tokens: u32,
    /// How many of the marks are its own.
    marks: usize,
    /// Whose each token is, where each is looked at.
    each: Vec<usize>,
}

/// The front end and its queues. Times are seconds. Requests under way have slots, whose numbers
/// are used again.
pub(crate) struct FrontEnd<'a> {
    costs: FrontEndCosts,
    settings: FrontEndSettings,
    factors: Factors,
    busy_until_s: f64,
    arrivals: Arrivals<'a>,
    /// Requests on the way to the engine.
    to_engine: VecDeque<(f64, usize)>,
    /// Sampled tokens on the way to the clients.
    outputs: VecDeque<Output>,
    /// The marks of all outputs, in order.
    marks: VecDeque<Mark>,
    /// Emptied lists of outputs, to be used again.
    spare: Vec<Vec<usize>>,
    clients: Vec<Client>,
    free_slots: Vec<usize>,
    /// Requests that end in the present round, and when.
    ending: Vec<(f64, usize)>,
    /// Requests that ended and were not handed out.
    ended: VecDeque<usize>,
    /// How often it sent chunks.
    rounds: u64,
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
            to_engine: VecDeque::new(),
            outputs: VecDeque::new(),
            marks: VecDeque::new(),
            spare: Vec::new(),
            clients: Vec::new(),
            free_slots: Vec::new(),
            ending: Vec::new(),
            ended: VecDeque::new(),
            rounds: 0,
        }
    }

    /// Does every job that starts by `now_s`.
    pub(crate) fn advance(&mut self, now_s: f64) {
        while self.next_start_s().is_some_and(|start_s| start_s <= now_s) {
            self.do_next();
        }
    }

    /// Does one job, if there is any.
    pub(crate) fn advance_by_one(&mut self) -> bool {
        let has_job = self.next_start_s().is_some();
        if has_job {
            self.do_next();
        }
        has_job
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
        let marks = marks.len();
        self.outputs.push_back(Output { time_s: now_s, tokens, marks, each: Vec::new() });
    }

    /// The same where each token is looked at: whose they are.
    pub(crate) fn post_each(&mut self, now_s: f64, sampled: &[usize]) {
        let mut each = self.spare.pop().unwrap_or_default();
        each.extend(sampled);
        let tokens = u32::try_from(sampled.len()).expect("as many as requests run at most");
        self.outputs.push_back(Output { time_s: now_s, tokens, marks: 0, each });
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

    /// When the next job starts, if one does before the run ends.
    fn next_start_s(&self) -> Option<f64> {
        let output_s = self.next_output_s();
        let start_s = self.arrivals.next_s().min(output_s).max(self.busy_until_s);
        (start_s <= self.settings.end_s && start_s < f64::INFINITY).then_some(start_s)
    }

    fn next_output_s(&self) -> f64 {
        self.outputs.front().map_or(f64::INFINITY, |output| output.time_s)
    }

    fn do_next(&mut self) {
        if let Some(due) = self.arrivals.pop(self.next_output_s()) {
            self.take_in(due);
        } else {
            self.stream_out();
        }
    }

    fn take_in(&mut self, due: Due) {
        let Due { index, time_s, spec } = due;
        // A prompt that is too long is refused before it is read to its end.
        let read = f64::from(spec.prompt_tokens.min(self.settings.longest));
        let cost_ms = self.costs.per_request_ms + self.costs.per_prompt_token_ms * read;
        self.busy_until_s = self.busy_until_s.max(time_s) + cost_ms / 1e3 * self.factors.next();
        let refusal = refusal(&spec, self.settings.longest);
        let is_refused = refusal.is_some();
        let slot = self.seat(Client::new(index, time_s, spec, refusal));
        if is_refused {
            self.end(slot, self.busy_until_s + self.costs.to_client_ms / 1e3);
        } else {
            self.to_engine.push_back((self.busy_until_s + self.costs.to_engine_ms / 1e3, slot));
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

    /// Processes the outputs that wait and sends what came of them.
    fn stream_out(&mut self) {
        let Some(first) = self.outputs.front() else { return };
        let round =
            Round::new(&self.outputs, self.busy_until_s.max(first.time_s), self.settings.streaming);
        let timer = RoundTimer {
            begun_s: round.begun_s,
            costs: self.costs.slower_by(self.factors.next()),
            outputs: round.outputs,
            tokens: round.tokens,
        };
        self.rounds += 1;
        let mut chunks = 0;
        for _ in 0..round.outputs {
            let output = self.outputs.pop_front().expect("the round counted it");
            chunks = chunks.max(self.send(output, &timer));
        }
        self.busy_until_s = timer.sent_s(round.tokens, chunks);
        // Of two outputs in a round the later may end a stream before the earlier does.
        let mut ending = std::mem::take(&mut self.ending);
        ending.sort_by(|(a_s, _), (b_s, _)| a_s.total_cmp(b_s));
        for (time_s, slot) in ending.drain(..) {
            self.end(slot, time_s);
        }
        self.ending = ending;
    }

    /// Sends the chunks of an output and says how many they are.
    fn send(&mut self, mut output: Output, timer: &RoundTimer) -> u32 {
        let latency_s = self.costs.to_client_ms / 1e3;
        for _ in 0..output.marks {
            let mark = self.marks.pop_front().expect("every output posted its own");
            let time_s = timer.sent_s(mark.place, mark.place + 1) + latency_s;
            let client = &mut self.clients[mark.slot];
            client.processed += 1;
            if mark.is_first {
                client.receive(time_s, self.rounds, false);
            }
            if mark.is_last {
                client.receive(time_s, self.rounds, false);
                client.received = client.output;
                self.ending.push((client.last_s.unwrap_or(time_s), mark.slot));
            }
        }
        if !self.settings.looks_at_each {
            return output.tokens;
        }
        let mut chunks = 0;
        for (place, slot) in (0..).zip(output.each.drain(..)) {
            if self.clients[slot].counts_into_chunk(self.settings.stream_interval) {
                continue;
            }
            chunks += 1;
            let time_s = timer.sent_s(place, chunks) + latency_s;
            if time_s <= self.settings.end_s {
                let client = &mut self.clients[slot];
                client.receive(time_s, self.rounds, self.settings.keeps_chunk_times);
                if client.received == client.output {
                    self.ending.push((client.last_s.unwrap_or(time_s), slot));
                }
            }
        }
        self.spare.push(output.each);
        chunks
    }

    /// A request ended at its client.
    fn end(&mut self, slot: usize, time_s: f64) {
        self.arrivals.release(time_s);
        self.ended.push_back(slot);
    }
}

/// Outputs that are processed together.
struct Round {
    begun_s: f64,
    outputs: usize,
    tokens: u32,
}

impl Round {
    /// The first of `outputs`, and those behind it that have arrived by `begun_s`, as long as they are
    /// small: after a stretch the streams get to send.
    fn new(outputs: &VecDeque<Output>, begun_s: f64, streaming: Streaming) -> Self {
        let first = &outputs[0];
        let most = match streaming {
            Streaming::Merged => STRETCH_TOKENS,
            Streaming::Apart => 0,
        };
        let others = outputs.iter().skip(1).take_while(|output| {
            first.tokens.max(output.tokens) <= most && output.time_s <= begun_s
        });
        let (mut count, mut tokens) = (1, first.tokens);
        for output in others {
            count += 1;
            tokens += output.tokens;
        }
        Self { begun_s, outputs: count, tokens }
    }
}

/// When the chunks of a round are sent.
struct RoundTimer {
    begun_s: f64,
    costs: FrontEndCosts,
    outputs: usize,
    tokens: u32,
}

impl RoundTimer {
    /// When the chunk is sent that is the `chunks`-th of its output, and whose token has this place
    /// there, from 0.
    fn sent_s(&self, place: u32, chunks: u32) -> f64 {
        let processed = if self.outputs == 1 {
            (place / STRETCH_TOKENS + 1).saturating_mul(STRETCH_TOKENS).min(self.tokens)
        } else {
            self.tokens
        };
        let costs_ms = self.costs.per_step_ms * self.outputs as f64
            + self.costs.per_token_ms * f64::from(processed)
            + self.costs.per_chunk_ms * f64::from(chunks);
        self.begun_s + costs_ms / 1e3
    }
}

#[cfg(test)]
mod tests;
