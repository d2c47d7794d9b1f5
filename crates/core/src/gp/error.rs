//! Why a process could not be fitted.

/// Why a Gaussian process could not be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GpError {
    /// There is nothing to learn from.
    #[error("there are no observations; give at least one point with at least one column")]
    Empty,
    /// Two sizes do not match.
    #[error("expected {expected} {field}, got {got}")]
    Length {
        /// What was counted.
        field: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// A conditional column names one that is not declared before it.
    #[error("column {column} depends on column {parent}; let it depend on one before it")]
    Parent {
        /// The conditional column, from 0.
        column: usize,
        /// What it names.
        parent: usize,
    },
    /// A number is NaN, infinite, or a negative variance.
    #[error(
        "the {field} of row {row} is {value}; leave the row out or give a finite number (a variance: 0 or more)"
    )]
    NotFinite {
        /// `coordinate`, `target` or `noise variance`.
        field: &'static str,
        /// The row, from 0.
        row: usize,
        /// The number seen.
        value: f64,
    },
    /// A given hyperparameter is out of range.
    #[error(
        "the {name} is {value}; give a finite positive number (the mean: finite; the noise variance: 0 or more)"
    )]
    Hyperparameter {
        /// Which one.
        name: &'static str,
        /// The number seen.
        value: f64,
    },
    /// The Cholesky factorisation failed even with the largest jitter.
    #[error(
        "the covariance matrix is not positive definite at row {row}, even with {jitter} added to its diagonal; look for repeated points, or give a noise variance"
    )]
    NotPositiveDefinite {
        /// The row, from 0, whose pivot vanished.
        row: usize,
        /// The largest jitter tried.
        jitter: f64,
    },
    /// The likelihood was undefined wherever the search for hyperparameters began.
    #[error("no hyperparameters could be found: the likelihood is undefined at every start")]
    NoHyperparameters,
    /// linfa refused the data set.
    #[error("the data set is unusable: {0}")]
    DataSet(String),
}
