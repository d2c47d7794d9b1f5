//! What a stub does, and what it does wrong.

use std::{collections::BTreeMap, time::Duration};

/// What a stub does. The default serves the model `stub` at once and without a fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// Name of the model.
    pub model: String,
    /// Version of vLLM that it says it is.
    pub version: String,
    /// Most tokens of prompt and output; `max_tokens` is cut to what is left.
    pub max_model_len: u32,
    /// Token ids are below this.
    pub vocabulary: u32,
    /// Time from being scheduled to the first token.
    pub first_token: Duration,
    /// Time from one token to the next.
    pub token: Duration,
    /// Tokens in an event.
    pub tokens_per_event: u32,
    /// Requests served at the same time; others wait. vLLM's `max_num_seqs`.
    pub slots: usize,
    /// Time from its start until it answers anything but 503.
    pub start_up: Duration,
    /// Requests after which the engine is dead: `/health` answers 503, and further requests 500.
    pub engine_dies_after: Option<u64>,
    /// Requests after which a connection is closed without a word.
    pub requests_per_connection: Option<u32>,
    /// Time after which an idle connection is closed; 5 s at vLLM.
    pub idle_limit: Duration,
    /// The key that requests below `/v1` must show.
    pub api_key: Option<String>,
    /// Whether to keep when each event was sent.
    pub keep_send_times: bool,
    /// What goes wrong with which completion, counted from 0 in order of arrival.
    pub faults: BTreeMap<u64, Fault>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            model: "stub".to_owned(),
            version: "0.33.0".to_owned(),
            max_model_len: 32_768,
            vocabulary: 1024,
            first_token: Duration::ZERO,
            token: Duration::ZERO,
            tokens_per_event: 1,
            slots: 1024,
            start_up: Duration::ZERO,
            engine_dies_after: None,
            requests_per_connection: None,
            idle_limit: Duration::from_secs(5),
            api_key: None,
            keep_send_times: false,
            faults: BTreeMap::new(),
        }
    }
}

/// What goes wrong with one streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status and body come instead.
    Refused {
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
    /// A redirect comes instead.
    Redirected {
        /// Where to.
        location: String,
    },
    /// The connection is cut after so many events.
    Disconnect {
        /// Events that still come.
        after: u32,
    },
    /// After so many events nothing comes any more, and the connection stays.
    Silence {
        /// Events that still come.
        after: u32,
    },
    /// After so many events comes one that says that the engine died, and the stream ends.
    ErrorEvent {
        /// Events that still come.
        after: u32,
    },
    /// A line that never ends, after the first event.
    EndlessLine,
    /// Each byte is a write, and a chunk of the body, of its own.
    ByteByByte,
    /// The usage says this many output tokens.
    WrongUsage {
        /// What it says.
        completion_tokens: u32,
    },
    /// No usage comes.
    NoUsage,
    /// `[DONE]` is not said.
    NoDone,
    /// `[DONE]` is said twice, and something follows.
    TwiceDone,
    /// All is said, but the body does not end.
    NoEnd,
}
