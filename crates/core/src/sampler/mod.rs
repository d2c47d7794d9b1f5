//! What proposes configurations.

mod bayesian;
mod grid;
mod random;
mod sobol;
mod unseen;

pub use bayesian::{Bayesian, Part, RemainingGain};
pub(crate) use bayesian::{Manner, Noise, SURE, Surrogate, promising_opening};
pub use grid::Grid;
pub use random::Random;
pub use sobol::Sobol;

use crate::{Configuration, History, Origin, Problem};

/// Proposes configurations: a deterministic function of (problem, history, seed), pending trials
/// included, that keeps no state of its own.
pub trait Sampler: std::fmt::Debug + Send + Sync {
    /// Its name in stored tables, such as `bayesian`.
    fn name(&self) -> &'static str;

    /// Up to `count` configurations to evaluate next, all allowed by the space and different from
    /// each other; fewer, or none, when nothing is left to try or can be found.
    ///
    /// # Errors
    /// When no suggestion can be computed.
    fn suggest(
        &self,
        problem: &Problem,
        history: &History,
        count: usize,
        seed: u64,
    ) -> Result<Vec<Suggestion>, SuggestError>;
}

/// A configuration proposed and not yet started.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// What to evaluate.
    pub configuration: Configuration,
    /// Who proposed it.
    pub origin: Origin,
}

/// Why no suggestion could be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SuggestError {
    /// A surrogate could not be fitted.
    #[error("the surrogate of metric `{metric}` could not be fitted: {source}")]
    Surrogate {
        /// The metric.
        metric: String,
        /// At which step it failed.
        source: crate::gp::GpError,
    },
    /// A grid level is not in the search space.
    #[error("the grid does not fit the search space: {0}")]
    Grid(crate::ConfigurationError),
}
