//! A request as the scheduler sees it.

use super::steady::Membership;

/// A request as the scheduler sees it. Lengths are tokens.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Length of the prompt, at least 1.
    pub(crate) prompt: u32,
    /// Length of the output, at least 1.
    pub(crate) output: u32,
    /// Keys and values written, or being written by a step in flight.
    pub(crate) computed: u32,
    /// Output that arrived.
    pub(crate) emitted: u32,
    /// Output that steps in flight are sampling: at most two, with asynchronous scheduling.
    pub(crate) placeholders: u32,
    /// KV-cache blocks held.
    pub(crate) blocks: u32,
    /// Place in the order of priority and arrival; requests of one schedule have equal priority.
    pub(crate) rank: u32,
    /// When it reached the queue, s.
    pub(crate) queued_s: f64,
    /// When it was first scheduled, s.
    pub(crate) first_scheduled_s: Option<f64>,
    /// Its place among the requests that are counted together. While it has one, `computed`,
    /// `emitted` and `placeholders` are those of when it joined.
    pub(super) membership: Option<Membership>,
}

impl Request {
    /// What a slot holds before any request does.
    pub(crate) fn absent() -> Self {
        Self::new(0, 0, 0, 0.0)
    }

    /// A request that reaches the queue at `queued_s`.
    pub(crate) fn new(prompt: u32, output: u32, rank: u32, queued_s: f64) -> Self {
        Self {
            prompt,
            output,
            computed: 0,
            emitted: 0,
            placeholders: 0,
            blocks: 0,
            rank,
            queued_s,
            first_scheduled_s: None,
            membership: None,
        }
    }

    /// Tokens that exist or are being sampled.
    pub(crate) fn known_tokens(&self) -> u32 {
        self.prompt + self.emitted + self.placeholders
    }

    /// How long it waited before it was first scheduled, s, if it was.
    pub(crate) fn queue_time_s(&self) -> Option<f64> {
        self.first_scheduled_s.map(|first_s| first_s - self.queued_s)
    }

    /// Output that arrived or is on the way.
    pub(crate) fn sampled(&self) -> u32 {
        self.emitted + self.placeholders
    }

    /// Nothing is left but to wait for the last token, which is in the step scheduled last.
    pub(super) fn has_last_token_in_flight(&mut self) {
        self.computed = self.prompt + self.output - 1;
        (self.emitted, self.placeholders) = (self.output - 1, 1);
    }

    /// Known tokens that are not computed yet.
    pub(crate) fn pending_tokens(&self) -> u32 {
        self.known_tokens() - self.computed
    }

    /// Whether a step in flight samples its last token already, which asynchronous scheduling must
    /// not run past.
    pub(crate) fn samples_its_last_token(&self) -> bool {
        self.placeholders > 0 && self.computed + 2 >= self.prompt + self.output + self.placeholders
    }

    /// Blocks it lacks to compute so many tokens more.
    pub(crate) fn blocks_needed(&self, tokens: u32, block_size: u32) -> u32 {
        let room = self.blocks * block_size;
        let end = self.computed + tokens;
        if end <= room { 0 } else { (end - room).div_ceil(block_size) }
    }
}
