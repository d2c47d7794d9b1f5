//! The API server and its clients: one serial resource that takes requests in and streams tokens
//! out.
//!
//! Its jobs are arrivals and outputs of steps, done in the order of their times, arrivals first
//! among equals. A busy front end delays both, which is what limits a server at high rates.

use std::collections::VecDeque;

use crate::{cost::FrontEndCosts, noise::Factors};

/// A request as its client knows it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) prompt: u32,
    pub(crate) output: u32,
    /// Whether the front end refuses it.
    pub(crate) is_rejected: bool,
    /// When it was sent, if it was, s.
    pub(crate) sent_s: Option<f64>,
    /// Tokens that the front end got from the engine.
    pub(crate) processed: u32,
    /// Tokens that reached the client.
    pub(crate) received: u32,
    /// When the first token reached it, s.
    pub(crate) first_s: Option<f64>,
    /// When the latest chunk reached it, s.
    pub(crate) last_s: Option<f64>,
    pub(crate) chunk_times_s: Vec<f64>,
}

impl Client {
    pub(crate) fn new(prompt: u32, output: u32, is_rejected: bool) -> Self {
        Self {
            prompt,
            output,
            is_rejected,
            sent_s: None,
            processed: 0,
            received: 0,
            first_s: None,
            last_s: None,
            chunk_times_s: Vec::new(),
        }
    }
}

/// How the front end and its clients behave in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrontEndSettings {
    /// Tokens sent to the client at once.
    pub(crate) stream_interval: u32,
    pub(crate) keeps_chunk_times: bool,
    /// Nothing is sent or received after this time, s.
    pub(crate) end_s: f64,
}

/// The front end and its queues. Times are seconds.
#[derive(Debug)]
pub(crate) struct FrontEnd {
    costs: FrontEndCosts,
    settings: FrontEndSettings,
    factors: Factors,
    busy_until_s: f64,
    /// Requests sent and not yet taken in.
    arrivals: VecDeque<(f64, usize)>,
    /// Requests not yet sent, each of which waits for another to end: closed loop only.
    unreleased: VecDeque<usize>,
    /// Requests on the way to the engine.
    to_engine: VecDeque<(f64, usize)>,
    /// Sampled tokens on the way to the clients.
    outputs: VecDeque<(f64, Vec<usize>)>,
    /// Emptied lists of outputs, to be used again.
    spare: Vec<Vec<usize>>,
    pub(crate) clients: Vec<Client>,
}

impl FrontEnd {
    /// A front end with clients that send at the times in `arrivals`, ascending, and then those in
    /// `unreleased`, each when another request ends.
    pub(crate) fn new(
        costs: FrontEndCosts,
        settings: FrontEndSettings,
        factors: Factors,
        clients: Vec<Client>,
        arrivals: VecDeque<(f64, usize)>,
        unreleased: VecDeque<usize>,
    ) -> Self {
        Self {
            costs,
            settings,
            factors,
            busy_until_s: 0.0,
            arrivals,
            unreleased,
            to_engine: VecDeque::new(),
            outputs: VecDeque::new(),
            spare: Vec::new(),
            clients,
        }
    }

    /// Does every job that starts by `now_s`.
    pub(crate) fn advance(&mut self, now_s: f64) {
        while self.next_start_s().is_some_and(|start_s| start_s <= now_s) {
            self.do_next();
        }
    }

    /// A request that has reached the engine by `now_s`.
    pub(crate) fn take_request(&mut self, now_s: f64) -> Option<usize> {
        self.to_engine.pop_front_if(|&mut (time_s, _)| time_s <= now_s).map(|(_, id)| id)
    }

    /// When the next request reaches the engine, if the engine sends nothing before that.
    pub(crate) fn next_at_engine_s(&mut self) -> Option<f64> {
        while self.to_engine.is_empty() && self.next_start_s().is_some() {
            self.do_next();
        }
        self.to_engine.front().map(|&(time_s, _)| time_s)
    }

    /// Takes the tokens that a step sampled.
    pub(crate) fn post(&mut self, now_s: f64, sampled: Vec<usize>) {
        self.outputs.push_back((now_s, sampled));
    }

    /// An empty list for sampled tokens.
    pub(crate) fn spare_list(&mut self) -> Vec<usize> {
        self.spare.pop().unwrap_or_default()
    }

    /// When the next job starts.
    fn next_start_s(&self) -> Option<f64> {
        let arrival_s = self.arrivals.front().map_or(f64::INFINITY, |&(time_s, _)| time_s);
        let output_s = self.outputs.front().map_or(f64::INFINITY, |&(time_s, _)| time_s);
        let start_s = arrival_s.min(output_s).max(self.busy_until_s);
        (start_s <= self.settings.end_s && start_s < f64::INFINITY).then_some(start_s)
    }

    fn do_next(&mut self) {
        let output_s = self.outputs.front().map_or(f64::INFINITY, |&(time_s, _)| time_s);
        if let Some((time_s, id)) =
            self.arrivals.pop_front_if(|&mut (time_s, _)| time_s <= output_s)
        {
            self.take_in(time_s, id);
        } else if let Some((time_s, sampled)) = self.outputs.pop_front() {
            self.stream_out(time_s, sampled);
        }
    }

    fn take_in(&mut self, time_s: f64, id: usize) {
        let client = &mut self.clients[id];
        client.sent_s = Some(time_s);
        let cost_ms =
            self.costs.per_request_ms + self.costs.per_prompt_token_ms * f64::from(client.prompt);
        let is_rejected = client.is_rejected;
        self.busy_until_s = self.busy_until_s.max(time_s) + cost_ms / 1e3 * self.factors.next();
        if is_rejected {
            self.release_next(self.busy_until_s + self.costs.to_client_ms / 1e3);
        } else {
            self.to_engine.push_back((self.busy_until_s + self.costs.to_engine_ms / 1e3, id));
        }
    }

    fn stream_out(&mut self, time_s: f64, mut sampled: Vec<usize>) {
        let factor = self.factors.next();
        let chunk_s = self.costs.per_chunk_ms / 1e3 * factor;
        let latency_s = self.costs.to_client_ms / 1e3;
        let mut clock_s = self.busy_until_s.max(time_s) + self.costs.per_step_ms / 1e3 * factor;
        for id in sampled.drain(..) {
            let client = &mut self.clients[id];
            client.processed += 1;
            let is_last = client.processed == client.output;
            let interval = self.settings.stream_interval;
            if interval > 1 && !is_last && !(client.processed - 1).is_multiple_of(interval) {
                continue;
            }
            clock_s += chunk_s;
            let visible_s = clock_s + latency_s;
            if visible_s > self.settings.end_s {
                continue;
            }
            client.received = client.processed;
            client.first_s.get_or_insert(visible_s);
            client.last_s = Some(visible_s);
            if self.settings.keeps_chunk_times {
                client.chunk_times_s.push(visible_s);
            }
            if is_last {
                self.release_next(visible_s);
            }
        }
        self.busy_until_s = clock_s;
        self.spare.push(sampled);
    }

    /// A request ended at its client: in a closed loop the next is sent.
    fn release_next(&mut self, time_s: f64) {
        if let Some(id) = self.unreleased.pop_front() {
            self.arrivals.push_back((time_s, id));
        }
    }
}

#[cfg(test)]
mod tests;
