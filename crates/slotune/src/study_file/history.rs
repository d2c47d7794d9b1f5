//! Past result sets that a search learns from.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use slotune_core::{Configuration, Entry, History, Parameter, SearchSpace, State, Trial};
use slotune_results::{ResultSet, StoredTrial};

use super::FieldError;

/// Past result sets that a search learns from, such as those of another day, model or GPU, or of the
/// simulator. One that ranks this study's trials no better than chance is ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryTable {
    /// Folders of the result sets. They must stay as they are until the study ends.
    pub sets: Vec<PathBuf>,
}

impl HistoryTable {
    /// Relative paths start at a folder from then on.
    pub(super) fn start_paths_at(&mut self, folder: &Path) {
        self.sets.iter_mut().for_each(|set| *set = folder.join(&set));
    }

    /// The trials of each set, as configurations of a space.
    ///
    /// # Errors
    /// When a set cannot be read or is damaged, or none of its trials belongs to the space.
    pub fn read(&self, space: &SearchSpace) -> Result<Vec<History>, FieldError> {
        let read = |folder: &PathBuf| {
            let named = |problem: String| {
                FieldError::new(["history", "sets"], format!("{}: {problem}", folder.display()))
            };
            let loaded = ResultSet::read(folder).map_err(|error| named(error.to_string()))?;
            if let Some(fault) = loaded.faults.first() {
                return Err(named(format!("{fault}; restore the file, or remove it")));
            }
            let trials = loaded.set.first_runs();
            let past: History = trials.filter_map(|trial| within(space, trial)).collect();
            if past.completed().next().is_none() {
                let names: Vec<&str> = space.parameters().iter().map(Parameter::name).collect();
                let names = names.join(", ");
                return Err(named(format!(
                    "none of its trials tells all of {names} within this search space; leave the set out"
                )));
            }
            Ok(past)
        };
        self.sets.iter().map(read).collect()
    }
}

/// A stored trial as one of a space: its configuration's values, and where it leaves a parameter out,
/// what its server ran with. `None` where a value is not known or not in the space.
fn within(space: &SearchSpace, stored: &StoredTrial) -> Option<Entry> {
    let Entry { trial, state } = &stored.entry;
    let State::Told { .. } = state else { return None };
    let told = stored.server.as_ref().map(|server| server.arguments.to_configuration());
    let mut configuration = Configuration::new();
    for parameter in space.parameters() {
        if parameter.is_active(&configuration) {
            let name = parameter.name();
            let value = trial.configuration.get(name);
            let value = value.or_else(|| told.as_ref()?.get(name))?.clone();
            configuration = configuration.with(name, value);
        }
    }
    space.check(&configuration).ok()?;
    let trial = Trial { configuration, ..trial.clone() };
    Some(Entry { trial, state: state.clone() })
}
