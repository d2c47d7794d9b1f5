//! Why nothing can be fitted.

use slotune_serving::metrics::MeasureError;

use crate::{InputError, PresetError};

/// Why nothing can be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// There is nothing to fit to.
    #[error("there are no runs to calibrate from; give completed trials whose requests were kept")]
    NoRuns,
    /// A run whose requests did not all complete.
    #[error(
        "run {run}: {count} of {requests} requests did not complete, so it cannot be compared; leave it out"
    )]
    Incomplete {
        /// Its name.
        run: String,
        /// How many did not.
        count: usize,
        /// How many there were.
        requests: usize,
    },
    /// A run that cannot be measured.
    #[error("run {run}: {problem}")]
    Measure {
        /// Its name.
        run: String,
        /// What is wrong.
        problem: MeasureError,
    },
    /// A run that cannot be simulated.
    #[error("run {run}: {problem}")]
    Input {
        /// Its name.
        run: String,
        /// What is wrong.
        problem: InputError,
    },
    /// A preset that cannot be changed.
    #[error(transparent)]
    Preset(#[from] PresetError),
}
