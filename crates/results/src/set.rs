//! A result set in memory.

use slotune_core::{Entry, History};
use slotune_serving::{Caveat, ClientFacts, ServerFacts};

use crate::{Manifest, StudyRole};

/// A result set as it was read: its manifest and all trials that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultSet {
    /// What the set is of.
    pub manifest: Manifest,
    /// All trials, by study in the manifest's order, then by number.
    pub trials: Vec<StoredTrial>,
}

/// Label of trials of what is in use today.
pub const BASELINE: &str = "baseline";

/// Label of trials of the server as it comes.
pub const DEFAULT: &str = "default";

/// A finished trial and where it belongs.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTrial {
    /// Name of its study.
    pub study: String,
    /// What it is known as, such as [`BASELINE`] or [`DEFAULT`].
    pub label: Option<String>,
    /// The trial with its outcome.
    pub entry: Entry,
    /// What the server told, where it ran.
    pub server: Option<ServerFacts>,
    /// What the client cost, where there was one.
    pub client: Option<ClientFacts>,
    /// What limits what the trial says.
    pub caveats: Vec<Caveat>,
}

impl StoredTrial {
    /// What it is called within its set: its study and number, such as `search/12`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.study, self.entry.trial.id)
    }
}

impl ResultSet {
    /// The trials of one study, by number.
    pub fn study<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a StoredTrial> {
        self.trials.iter().filter(move |trial| trial.study == name)
    }

    /// The trials of every study but the finals: those under the workload of the set itself.
    pub fn first_runs(&self) -> impl Iterator<Item = &StoredTrial> {
        let finals = |trial: &StoredTrial| {
            let mut studies = self.manifest.studies.iter();
            studies.any(|study| study.name == trial.study && study.role == StudyRole::Finals)
        };
        self.trials.iter().filter(move |trial| !finals(trial))
    }

    /// The history of one study, to resume it or to model it.
    ///
    /// # Errors
    /// [`MissingTrial`] when a trial is absent although a later one is there.
    pub fn history(&self, study: &str) -> Result<History, MissingTrial> {
        let mut entries = Vec::new();
        for trial in self.study(study) {
            let number = entries.len() as u64;
            if trial.entry.trial.id.0 != number {
                return Err(MissingTrial { study: study.to_owned(), trial: number });
            }
            entries.push(trial.entry.clone());
        }
        Ok(entries.into_iter().collect())
    }
}

/// A trial is absent although a later one is there: its part was damaged or removed, or it was
/// running beside the later one when the program ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "study `{study}` lacks trial {trial} although a later one is there, so it cannot be gone on with; \
     restore the part of that trial, or move the parts of the later ones out of the set"
)]
pub struct MissingTrial {
    /// The study.
    pub study: String,
    /// The first number that is absent.
    pub trial: u64,
}
