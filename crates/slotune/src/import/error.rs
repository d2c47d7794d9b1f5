//! Why results of other tools cannot become a result set.

use std::{io, path::PathBuf};

use slotune_core::SpaceError;
use slotune_results::WriteError;
use slotune_serving::{
    engine_arguments::ArgumentError,
    metrics::{MeasureError, UnknownMetric},
};

/// Why results of other tools cannot become a result set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is no source.
    #[error("no file was given; name at least one")]
    NothingGiven,
    /// The operating system refuses.
    #[error("{} cannot be read: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// The file is not JSON.
    #[error("{} is not JSON: {problem}; give the file that the tool saved", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and where.
        problem: serde_json::Error,
    },
    /// A field is missing, or holds what it must not.
    #[error("{}: `{field}` {problem}", file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// Path of the field, such as `itls[3][0]`.
        field: String,
        /// What is wrong with it, and the remedy.
        problem: String,
    },
    /// The requests contradict themselves.
    #[error("{label}: {problem}")]
    Measure {
        /// What the run is called.
        label: String,
        /// The text of the measurement.
        problem: MeasureError,
    },
    /// A parameter is no engine argument.
    #[error("{label}: {problem}")]
    Parameter {
        /// What the run is called.
        label: String,
        /// What is wrong with it.
        problem: ArgumentError,
    },
    /// No engine argument of any server is known.
    #[error(
        "no file tells how its server was started; say it, such as `--parameter max_num_seqs=256`"
    )]
    NoParameters,
    /// The parameters make no search space.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The objective names a metric that does not exist.
    #[error(transparent)]
    Metric(#[from] UnknownMetric),
    /// Two models are two result sets.
    #[error(
        "{label} is of model `{other}`, but the files before it of `{first}`; import each into a set of its own"
    )]
    TwoModels {
        /// What the run is called.
        label: String,
        /// The model of the first run.
        first: String,
        /// The model of this one.
        other: String,
    },
    /// The result set cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
