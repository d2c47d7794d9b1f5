//! Parquet result sets: every trial of every study, with its provenance, readable by anything
//! that reads Parquet.
//!
//! A result set is a folder: `manifest.json`, one *part* for each trial under `trials/` (one row),
//! one for the requests of each trial under `requests/` (one row a request), and one for what the
//! server was seen to do under `timelines/` (one row a look). A part is
//! complete or absent, carries a checksum, and is durable when [`Writer::append`] returns; a kill
//! loses the trial that was running and no other. All parts of a set have the same columns, which
//! `docs/RESULTS.md` describes, so a glob reads as one table:
//!
//! ```python
//! import duckdb, pandas, glob
//! trials = duckdb.sql("FROM 'my-set/trials/*.parquet' ORDER BY study, trial")
//! trials = pandas.concat(map(pandas.read_parquet, sorted(glob.glob("my-set/trials/*.parquet"))))
//! ```
//!
//! In Rust, [`ResultSet::create`] begins a set, [`Writer::open`] goes on with one, and
//! [`ResultSet::read`] reads it, leaving out damaged parts and naming them:
//!
//! ```
//! # use slotune_results::{Manifest, ResultSet, Rows, StoredTrial};
//! # use slotune_serving::RequestRecord;
//! # fn keep(
//! #     manifest: &Manifest, trial: &StoredTrial, records: &[RequestRecord],
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let mut writer = ResultSet::create("my-set", manifest)?;
//! writer.append(trial, Some(Rows { requests: records, timeline: &[] }))?;
//!
//! let loaded = ResultSet::read("my-set")?;
//! assert!(loaded.faults.is_empty());
//! let history = loaded.set.history(&trial.study)?;
//! let records = loaded.requests(&trial.study, trial.entry.trial.id)?;
//! # Ok(())
//! # }
//! ```

mod durable;
mod fault;
mod finals;
mod layout;
mod manifest;
mod read;
mod request_part;
mod seal;
mod set;
mod table;
mod timeline_part;
mod trial_part;
mod writer;

pub use fault::{Fault, PartProblem};
pub use finals::FinalsManifest;
pub use manifest::{Manifest, SCHEMA_VERSION, StudyManifest, StudyRole};
pub use read::{Loaded, ReadError};
pub use set::{BASELINE, DEFAULT, MissingTrial, ResultSet, StoredTrial};
pub use writer::{Rows, WriteError, Writer};
