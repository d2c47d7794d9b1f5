//! Tokens on their way from the engine to the clients.

/// A token of an output that begins or ends the stream of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Place among the tokens of the output, from 0.
    pub(crate) place: u32,
    pub(crate) slot: usize,
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

/// Tokens of a step's output that are processed in one go.
#[derive(Debug)]
pub(super) struct Slice {
    /// When the output came.
    pub(super) time_s: f64,
    /// Place of its first token in the output, from 0.
    pub(super) begin: u32,
    pub(super) tokens: u32,
    /// Whether the output ends with it.
    pub(super) is_last: bool,
    /// How many of the marks are its own.
    pub(super) marks: usize,
    /// Whose each token is, where each is looked at.
    pub(super) each: Vec<usize>,
}

impl Slice {
    /// The slices of an output of `tokens`, each of at most `most`, by begin, length, and whether it is the
    /// last.
    pub(super) fn cut(tokens: u32, most: u32) -> impl Iterator<Item = (u32, u32, bool)> {
        // An output without tokens has to be processed too.
        (0..tokens.max(1)).step_by(most as usize).map(move |begin| {
            let length = most.min(tokens - begin);
            (begin, length, begin + length == tokens)
        })
    }
}

/// The chunks that are sent in one turn, one to each client that gets any.
///
/// Processed were the rest of an output, then outputs from their beginning. A client has about the same
/// place in each, so it gets what it has in the rest and in the others in one chunk, as early as the first
/// of its tokens was processed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunks {
    /// Places of the rest.
    rest_begin: u32,
    rest_end: u32,
    /// Most places of the others.
    others_end: u32,
}

impl Chunks {
    /// With those of a slice more that begins here and of which as many are sent.
    pub(super) fn with(mut self, begin: u32, sent: u32) -> Self {
        if begin > 0 {
            (self.rest_begin, self.rest_end) = (begin, begin + sent);
        } else {
            self.others_end = self.others_end.max(sent);
        }
        self
    }

    /// How many are sent up to the one of this place, itself included.
    pub(super) fn up_to(&self, place: u32) -> u32 {
        if place < self.rest_begin {
            self.rest_end - self.rest_begin + place + 1
        } else if place < self.rest_end {
            place - self.rest_begin + 1
        } else {
            place + 1
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        let beside =
            self.others_end.min(self.rest_begin) + self.others_end.saturating_sub(self.rest_end);
        self.rest_end - self.rest_begin + beside
    }
}
