//! What happened to one request, as its client saw it.

use serde::{Deserialize, Serialize};

/// What happened to one request, as its client saw it. Times are seconds from the start of the
/// run, on one clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Position in the schedule, from 0.
    pub index: u32,
    /// Prompt length in tokens.
    pub prompt_tokens: u32,
    /// Output tokens received.
    pub output_tokens: u32,
    /// When the schedule wanted it sent. Latencies count from here, so a late client is charged
    /// to latency and not hidden (no coordinated omission).
    pub intended_s: f64,
    /// When it was sent.
    pub sent_s: f64,
    /// When the first output token arrived, if any did.
    pub first_token_s: Option<f64>,
    /// When the last output token arrived, if any did.
    pub last_token_s: Option<f64>,
    /// Time the server kept it waiting before it first scheduled it, where the server tells.
    pub queue_time_s: Option<f64>,
    /// When each chunk arrived, a chunk holding one or more tokens; empty where that was not kept.
    pub chunk_times_s: Vec<f64>,
    /// How it ended.
    pub status: RequestStatus,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// All output arrived.
    Completed,
    /// The server refused it, with this text.
    Rejected(String),
    /// It broke off, with this text.
    Failed(String),
    /// The run ended before it did: its latency is known only to be longer than it had been under
    /// way.
    Unfinished,
    /// The run ended before it was to be sent; `sent_s` is then its intended time.
    NotSent,
}

impl RequestRecord {
    /// Whether all output arrived.
    pub fn is_completed(&self) -> bool {
        self.status == RequestStatus::Completed
    }

    /// The text with which the server refused it, if it did.
    pub fn rejection(&self) -> Option<&str> {
        match &self.status {
            RequestStatus::Rejected(text) => Some(text),
            _ => None,
        }
    }

    /// As it would be known if the run had ended at this time, seconds from its start.
    pub(crate) fn cut(&mut self, at_s: f64) {
        let is_as_it_was = match self.status {
            RequestStatus::Completed => self.last_token_s.is_some_and(|last_s| last_s <= at_s),
            RequestStatus::Unfinished => false,
            RequestStatus::Rejected(_) | RequestStatus::Failed(_) => self.sent_s <= at_s,
            RequestStatus::NotSent => true,
        };
        if is_as_it_was {
            return;
        }
        self.first_token_s = self.first_token_s.filter(|&first_s| first_s <= at_s);
        self.chunk_times_s.retain(|&time_s| time_s <= at_s);
        self.queue_time_s = None;
        let (tokens, last_s) = match (self.first_token_s, self.last_token_s) {
            (Some(first_s), Some(last_s)) if last_s > first_s => {
                let share = ((at_s - first_s) / (last_s - first_s)).min(1.0);
                let more = f64::from(self.output_tokens.saturating_sub(1)) * share;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "from 0 to the tokens of the whole output"
                )]
                (1 + more as u32, Some(last_s.min(at_s)))
            }
            _ => (0, None),
        };
        self.output_tokens = tokens;
        self.last_token_s = last_s;
        self.status =
            if self.sent_s <= at_s { RequestStatus::Unfinished } else { RequestStatus::NotSent };
    }

    /// Whether it was under way when the run ended.
    pub fn is_unfinished(&self) -> bool {
        self.status == RequestStatus::Unfinished
    }
}
