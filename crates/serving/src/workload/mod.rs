//! What the clients send: arrivals and lengths, drawn from laws or replayed from a trace.

use serde::{Deserialize, Serialize};

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

/// Placeholder for the law of arrivals and lengths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workload {}
