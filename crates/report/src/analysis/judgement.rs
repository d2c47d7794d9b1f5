//! What a change amounts to.

use std::fmt;

use serde::Serialize;
use slotune_core::Direction;

/// What a change amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Better beyond noise.
    Better,
    /// No different beyond noise.
    Same,
    /// Worse beyond noise.
    Worse,
    /// Not measured in both, known only to be above a bound, or different by an unknown uncertainty: of neither
    /// value an error is known.
    Unknown,
}

impl Judgement {
    /// What a difference beyond noise is to a metric of which less or more is wanted.
    pub(crate) fn of(direction: Direction, is_higher: bool) -> Self {
        match direction {
            Direction::Minimise if is_higher => Self::Worse,
            Direction::Maximise if !is_higher => Self::Worse,
            _ => Self::Better,
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Better => "better",
            Self::Same => "same",
            Self::Worse => "worse",
            Self::Unknown => "unknown",
        })
    }
}
