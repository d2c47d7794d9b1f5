//! Requests by the length of their output.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// Requests by the length of their output, so that the tail latency of long answers is its own
/// metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthClass {
    /// Up to 50 output tokens.
    Tiny,
    /// 51 to 150 output tokens.
    Short,
    /// 151 to 350 output tokens.
    Medium,
    /// 351 to 499 output tokens.
    Long,
    /// 500 output tokens and more.
    VeryLong,
}

impl LengthClass {
    /// All classes, shortest first.
    pub const ALL: [Self; 5] = [Self::Tiny, Self::Short, Self::Medium, Self::Long, Self::VeryLong];

    /// The class of a request with that many output tokens.
    pub fn of(output_tokens: u32) -> Self {
        match output_tokens {
            0..=50 => Self::Tiny,
            51..=150 => Self::Short,
            151..=350 => Self::Medium,
            351..500 => Self::Long,
            500.. => Self::VeryLong,
        }
    }

    /// Fewest and most output tokens of the class.
    pub fn output_tokens(self) -> RangeInclusive<u32> {
        match self {
            Self::Tiny => 1..=50,
            Self::Short => 51..=150,
            Self::Medium => 151..=350,
            Self::Long => 351..=499,
            Self::VeryLong => 500..=u32::MAX,
        }
    }

    /// Its name in files and in the names of metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Short => "short",
            Self::Medium => "medium",
            Self::Long => "long",
            Self::VeryLong => "very_long",
        }
    }

    /// Its name and bounds for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tiny => "tiny (up to 50 tokens)",
            Self::Short => "short (51 to 150 tokens)",
            Self::Medium => "medium (151 to 350 tokens)",
            Self::Long => "long (351 to 499 tokens)",
            Self::VeryLong => "very long (500+ tokens)",
        }
    }
}
