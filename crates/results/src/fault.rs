//! What can be wrong with one file of a result set.

use std::path::PathBuf;

/// A part that could not be read, and why. Reading goes on without it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: PartProblem,
}

/// What is wrong with a part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartProblem {
    /// The operating system refuses.
    #[error("cannot be read: {0}")]
    Io(#[source] std::io::Error),
    /// The name tells no trial of this set.
    #[error(
        "is not named <study>-<number>.parquet after a study of the manifest; move it out of the set"
    )]
    Name,
    /// It does not end as a Parquet file does.
    #[error("is not a whole Parquet file; it was torn, or is something else; remove it")]
    Torn,
    /// It is a Parquet file without slotune's checksum.
    #[error(
        "carries no slotune checksum; another program wrote or rewrote it; restore the original, or remove it"
    )]
    Foreign,
    /// Its bytes changed after it was written.
    #[error("is damaged: its bytes do not match its checksum; restore a copy, or remove it")]
    Damaged,
    /// Polars does not read it.
    #[error("cannot be decoded: {problem}")]
    Parquet {
        /// The decoder's text.
        problem: String,
    },
    /// A column is missing, unexpected, or holds what it must not.
    #[error("column `{column}` {problem}; the part does not belong to this set; move it out")]
    Column {
        /// Name of the column.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Its rows are of another trial than its name tells.
    #[error("holds trial {trial} of study `{study}`, unlike its name; give it its name back")]
    Misplaced {
        /// The study in the rows.
        study: String,
        /// The trial in the rows.
        trial: u64,
    },
}

impl PartProblem {
    pub(crate) fn column(column: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Column { column: column.into(), problem: problem.into() }
    }
}
