//! Parts of the search that can be left out.

use std::fmt;

/// A part of [`Bayesian`](super::Bayesian) that can be [left out](super::Bayesian::without), to see what it
/// is worth: `benches/peers` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// That a gain too small to be worth a trial counts for none.
    LeastGain,
    /// The lens through which a constrained metric is seen.
    Lens,
    /// Where all parameters have a few levels, that likely hyperparameters are drawn, each with a warp of the
    /// axes, instead of the most likely alone.
    Draws,
    /// Measuring a configuration once more.
    Repeats,
    /// With many parameters, the region around the incumbent.
    Region,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::LeastGain, Self::Lens, Self::Draws, Self::Repeats, Self::Region];
}

/// Its name, such as `least-gain`.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeastGain => "least-gain",
            Self::Lens => "lens",
            Self::Draws => "draws",
            Self::Repeats => "repeats",
            Self::Region => "region",
        })
    }
}
