//! What a result set is of: the part that is known before the first trial.

use serde::{Deserialize, Serialize};
use slotune_core::{Objective, SearchSpace};
use slotune_serving::{BackendInfo, Workload};

/// Version of the file layout and of the columns. A reader refuses newer ones.
pub const SCHEMA_VERSION: u32 = 1;

/// What a result set is of: the part that is known before the first trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the file layout and of the columns.
    pub schema_version: u32,
    /// Version of slotune that wrote it.
    pub slotune_version: String,
    /// When it was begun, RFC 3339 in UTC.
    pub created: String,
    /// Where the search goes.
    pub space: SearchSpace,
    /// What it searches for.
    pub objective: Objective,
    /// What the clients send.
    pub workload: Workload,
    /// What evaluates, and whether its numbers are simulated or measured.
    pub backend: BackendInfo,
    /// The studies of the set, in the order they were begun.
    pub studies: Vec<StudyManifest>,
}

/// One study of the set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyManifest {
    /// Its name, unique in the set: letters, digits, `-` and `_`.
    pub name: String,
    /// What it is for.
    pub role: StudyRole,
    /// Name of its sampler.
    pub sampler: String,
    /// Root of its random streams.
    pub seed: u64,
    /// How many trials it may take.
    pub trials: u64,
}

/// What a study is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StudyRole {
    /// Configurations to compare with, labelled `baseline` and `default`.
    Reference,
    /// The search whose winner is recommended.
    Search,
    /// Another way to search, to compare with.
    Comparison,
}
