//! Results of other load generators as a result set: `vllm bench serve`, `vllm bench sweep` and
//! GuideLLM.
//!
//! Where a file tells of each request, its requests become records and slotune's own formulas make
//! the metrics. Where it does not, the metrics are the tool's own aggregates, and a caveat of class
//! `other_tool` says so. What a file does not know stays unknown: none tells which engine arguments
//! the server had, but for those that a sweep varied, so the user gives them.

mod error;
mod field;
mod finding;
mod guidellm;
mod manifest;
mod source;
mod summary;
mod trial;
mod vllm_bench;

use std::path::Path;

use slotune_core::{Configuration, Objective, TrialId};
use slotune_results::{ResultSet, Rows};

pub use error::ImportError;
pub use source::{Source, parse_parameter};
pub use summary::{Imported, ImportedTrial, Origin};

use crate::session::REFERENCE;

/// Name of the study that holds what was imported.
pub const IMPORTED: &str = "imported";

/// What no file tells.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportOptions {
    /// Engine arguments that all servers had; a source's own win.
    pub parameters: Configuration,
    /// What the set is judged by.
    pub objective: Objective,
    /// Version of vLLM that served, such as `0.25.1`.
    pub vllm_version: Option<String>,
    /// Name of the GPU that served.
    pub gpu: Option<String>,
    /// The command line that makes the set.
    pub command: String,
}

/// Reads results of other tools and begins a result set with them in a folder. A source with a label
/// goes to the study `reference`, all others to [`IMPORTED`], in the order given.
///
/// Nothing is written unless all sources are sound.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use slotune::{core::Objective, import::{ImportOptions, Source, import}, results::ResultSet};
///
/// let files = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/import");
/// let source: Source = format!("{files}/bench-serve-detailed.json:max_num_seqs=16").parse()?;
/// let options = ImportOptions {
///     parameters: Default::default(),
///     objective: Objective::minimise("e2e_p95_s"),
///     vllm_version: Some("0.32.0".to_owned()),
///     gpu: None,
///     command: "my program".to_owned(),
/// };
/// # let folder = std::env::temp_dir().join(format!("slotune-import-{}", std::process::id()));
/// let imported = import(&[source], &options, &folder)?;
/// assert_eq!(imported.trials.len(), 1);
/// assert_eq!(ResultSet::read(&folder)?.set.trials.len(), 1);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ImportError`] names the file and the field at fault.
pub fn import(
    sources: &[Source],
    options: &ImportOptions,
    folder: &Path,
) -> Result<Imported, ImportError> {
    let mut references = Vec::new();
    let mut others = Vec::new();
    for source in sources {
        let trials = if source.label.is_some() { &mut references } else { &mut others };
        for finding in source.read()? {
            trials.push(trial::of(finding, source, options)?);
        }
    }
    let studies = [(REFERENCE, references), (IMPORTED, others)];
    let manifest = manifest::of(&studies, options)?;
    let mut writer = ResultSet::create(folder, &manifest)?;
    for (study, trials) in &studies {
        for (id, trial) in (0..).zip(trials) {
            writer.append(&trial.stored(study, TrialId(id)), trial.run.as_ref().map(Rows::from))?;
        }
    }
    Ok(Imported::new(folder, &studies, options))
}
