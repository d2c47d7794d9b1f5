//! A request as its client knows it.

use slotune_serving::{RequestRecord, RequestSpec, RequestStatus, workload::PromptSegment};

/// A request as its client knows it. Times are seconds.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Number of the request in the order of arrival, from 0.
    pub(crate) index: u32,
    pub(crate) prompt: u32,
    pub(crate) output: u32,
    /// When it was due, which is when it was sent.
    pub(crate) due_s: f64,
    /// Parts of its prompt that others share.
    pub(crate) shared_prefix: Vec<PromptSegment>,
    /// Why the front end refuses it, if it does.
    pub(crate) refusal: Option<String>,
    /// Whether the front end decoded its prompt, as it does with the first token.
    pub(crate) is_prompt_decoded: bool,
    /// Tokens that the front end streamed, where it looks at each.
    pub(crate) processed: u32,
    /// Tokens that reached the client.
    pub(crate) received: u32,
    /// When the first token reached it.
    pub(crate) first_s: Option<f64>,
    /// When the latest chunk reached it.
    pub(crate) last_s: Option<f64>,
    pub(crate) chunk_times_s: Vec<f64>,
    /// The sending of the front end in which it got its first chunk, and its latest.
    first_sending: Option<u64>,
    latest_sending: Option<u64>,
}

impl Client {
    /// The client of `spec`, sent at `due_s`.
    pub(crate) fn new(index: u32, due_s: f64, spec: RequestSpec, refusal: Option<String>) -> Self {
        Self {
            index,
            prompt: spec.prompt_tokens,
            output: spec.output_tokens,
            due_s,
            shared_prefix: spec.shared_prefix,
            refusal,
            is_prompt_decoded: false,
            processed: 0,
            received: 0,
            first_s: None,
            last_s: None,
            chunk_times_s: Vec::new(),
            first_sending: None,
            latest_sending: None,
        }
    }

    /// The front end got a token more; whether it waits for others to be sent with. The first is
    /// sent at once, then each of the interval, and the last.
    pub(super) fn counts_into_chunk(&mut self, interval: u32) -> bool {
        self.processed += 1;
        self.processed < self.output && !(self.processed - 1).is_multiple_of(interval)
    }

    /// The tokens so far reach the client, in the chunk of this sending: each sends one to every client,
    /// at the time of the last token in it. The first chunk goes when its first token does, so that
    /// nothing need be known of the others.
    pub(super) fn receive(&mut self, time_s: f64, sending: u64, keeps_chunk_times: bool) {
        self.received = self.processed;
        if self.first_sending == Some(sending) {
            return;
        }
        if self.latest_sending == Some(sending) {
            self.chunk_times_s.pop();
        }
        self.first_sending.get_or_insert(sending);
        self.latest_sending = Some(sending);
        self.first_s.get_or_insert(time_s);
        self.last_s = Some(time_s);
        if keeps_chunk_times {
            self.chunk_times_s.push(time_s);
        }
    }

    /// What is known of it when it ends, or when the run does.
    pub(crate) fn record(&mut self, queue_time_s: Option<f64>) -> RequestRecord {
        let status = match self.refusal.take() {
            Some(text) => RequestStatus::Rejected(text),
            None if self.received == self.output => RequestStatus::Completed,
            None => RequestStatus::Unfinished,
        };
        RequestRecord {
            index: self.index,
            prompt_tokens: self.prompt,
            output_tokens: self.received,
            intended_s: self.due_s,
            sent_s: self.due_s,
            first_token_s: self.first_s,
            last_token_s: self.last_s,
            queue_time_s,
            chunk_times_s: std::mem::take(&mut self.chunk_times_s),
            status,
        }
    }
}
