//! Parquet result sets: every trial of every study, with its provenance, readable by anything
//! that reads Parquet.
//!
//! A result set is a folder: `manifest.json`, one file for each trial under `trials/`, and one for
//! the requests of each trial under `requests/`. Each file is complete or absent.

mod manifest;
mod set;

pub use manifest::{Manifest, SCHEMA_VERSION, StudyManifest, StudyRole};
pub use set::{ResultSet, StoredTrial};
