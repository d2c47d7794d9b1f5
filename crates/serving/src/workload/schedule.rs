//! The requests of a run, decided before it starts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::RequestRecord;

/// The requests of a run, decided before it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// How the requests are released.
    pub load: Load,
    /// The requests, by arrival for an open loop, in order of release for a closed one.
    pub requests: Vec<RequestSpec>,
}

/// How requests are released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Each at its arrival time, whatever the server does.
    Open,
    /// The next as soon as one ends, so that this many are in flight. Arrival times are 0.
    Closed {
        /// Requests in flight.
        concurrency: u32,
    },
}

/// One request to send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestSpec {
    /// When to send it, seconds from the start of the run.
    pub arrival_s: f64,
    /// Prompt length in tokens.
    pub prompt_tokens: u32,
    /// Output length in tokens, forced (`ignore_eos`).
    pub output_tokens: u32,
    /// Parts at the start of the prompt that it shares with other prompts; what follows them is
    /// unlike any other prompt. Two prompts share a prefix as far as their lists agree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_prefix: Vec<PromptSegment>,
}

/// A stretch of prompt that may occur in several prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptSegment {
    /// Equal ids mean equal tokens.
    pub id: u64,
    /// Length in tokens.
    pub tokens: u32,
}

impl Schedule {
    /// The open loop that sends what these records tell, when it was intended; what their prompts shared is
    /// not in records.
    pub fn replaying(records: &[RequestRecord]) -> Self {
        let requests = records
            .iter()
            .map(|record| RequestSpec {
                arrival_s: record.intended_s,
                prompt_tokens: record.prompt_tokens,
                output_tokens: record.output_tokens,
                shared_prefix: vec![],
            })
            .collect();
        Self { load: Load::Open, requests }
    }

    /// What the schedule comes to.
    pub fn summary(&self) -> ScheduleSummary {
        let first = self.requests.first().map_or(0.0, |request| request.arrival_s);
        let last = self.requests.last().map_or(0.0, |request| request.arrival_s);
        ScheduleSummary {
            requests: self.requests.len(),
            arrival_span_s: last - first,
            prompt_tokens: self
                .requests
                .iter()
                .map(|request| u64::from(request.prompt_tokens))
                .sum(),
            output_tokens: self
                .requests
                .iter()
                .map(|request| u64::from(request.output_tokens))
                .sum(),
        }
    }
}

/// What a schedule comes to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSummary {
    /// Number of requests.
    pub requests: usize,
    /// Seconds from the first arrival to the last; 0 for a closed loop.
    pub arrival_span_s: f64,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Tokens of all outputs.
    pub output_tokens: u64,
}

impl ScheduleSummary {
    /// Mean arrival rate, requests/s: gaps over span. `None` where all arrive at once.
    pub fn rate_per_s(&self) -> Option<f64> {
        let gaps = self.requests.saturating_sub(1);
        (self.arrival_span_s > 0.0).then(|| gaps as f64 / self.arrival_span_s)
    }
}

impl fmt::Display for ScheduleSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests", self.requests)?;
        if let Some(rate) = self.rate_per_s() {
            write!(f, " over {:.1} s ({rate:.2}/s)", self.arrival_span_s)?;
        }
        write!(f, ", {} prompt and {} output tokens", self.prompt_tokens, self.output_tokens)
    }
}
