//! What a step is, and how much of it is written down.

use crate::{cost::StepShape, front_end::Mark};

/// One step: who computes how much, and who samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    /// Requests and their tokens, in order of scheduling; without those that are
    /// [counted together](super::steady).
    pub(crate) entries: Vec<(usize, u32)>,
    /// Requests that sample a token, in the same order; empty where they are counted together.
    pub(crate) sampled: Vec<usize>,
    /// Those of them that begin or end the stream of their request.
    pub(crate) marks: Vec<Mark>,
    /// What the step computes.
    pub(crate) shape: StepShape,
}

/// How the scheduler goes about steps in which requests only decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bookkeeping {
    /// Request by request, as vLLM does; for tests.
    #[cfg_attr(not(test), expect(dead_code, reason = "what tests compare the other ways with"))]
    Each,
    /// Together, with a list of who samples.
    Lists,
    /// Together, without lists.
    Marks,
}

impl Step {
    /// Empties it, to be filled again.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.sampled.clear();
        self.marks.clear();
        self.shape = StepShape::default();
    }
}
