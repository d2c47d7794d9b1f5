//! Why a session cannot begin or go on.

use slotune_core::StudyError;
use slotune_results::{Fault, MissingTrial, ReadError, WriteError};
use slotune_serving::workload::WorkloadError;

use crate::{
    TuneError,
    finals::NoFinals,
    study_file::{BackendStartError, FieldError},
};

/// Why a session cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The workload gives no schedule.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// The server cannot be used.
    #[error(transparent)]
    Backend(#[from] BackendStartError),
    /// A field of the study file.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The result set cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The result set cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A part of the result set is damaged.
    #[error("{0}; restore the file, or remove it to run its trial again")]
    Damaged(Fault),
    /// A stored trial is absent.
    #[error(transparent)]
    MissingTrial(#[from] MissingTrial),
    /// A stored trial does not fit the study.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A configuration does not belong to the search space.
    #[error(transparent)]
    Configuration(#[from] slotune_core::ConfigurationError),
    /// A search ended early.
    #[error(transparent)]
    Tune(#[from] TuneError),
    /// There are no finals to hold.
    #[error(transparent)]
    NoFinals(#[from] NoFinals),
    /// A reference could not be measured, through no fault of its configuration.
    #[error("the {label} could not be measured: {message}; mend that and start again")]
    Reference {
        /// `baseline` or `default`.
        label: &'static str,
        /// What was in the way.
        message: String,
    },
}
