//! What an import came to.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use slotune_core::{Configuration, Outcome};
use slotune_serving::metrics::Metric;

use super::{ImportOptions, trial::Reading};

/// What an import came to. As JSON, one object with these fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Imported {
    /// Folder of the result set.
    pub folder: PathBuf,
    /// What was imported, in the order of the set.
    pub trials: Vec<ImportedTrial>,
    /// What limits the set.
    pub notes: Vec<String>,
}

/// One imported trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImportedTrial {
    /// Its study.
    pub study: String,
    /// Its number.
    pub trial: usize,
    /// What it is called.
    pub label: String,
    /// The engine arguments of its server, as far as they are known.
    pub configuration: Configuration,
    /// Where its metrics come from.
    pub origin: Origin,
    /// Why it has no metrics; empty where it has.
    pub reason: String,
}

/// Where the metrics of an imported trial come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// From its requests, by slotune's formulas.
    Requests,
    /// They are the tool's own.
    Aggregates,
    /// It has none.
    None,
}

impl Imported {
    pub(super) fn new(
        folder: &Path,
        studies: &[(&str, Vec<Reading>)],
        options: &ImportOptions,
    ) -> Self {
        let trials = studies.iter().flat_map(|(study, trials)| {
            trials.iter().enumerate().map(|(place, trial)| ImportedTrial::new(study, place, trial))
        });
        let all: Vec<&Reading> = studies.iter().flat_map(|(_, trials)| trials).collect();
        Self { folder: folder.to_owned(), trials: trials.collect(), notes: notes(&all, options) }
    }
}

impl ImportedTrial {
    fn new(study: &str, trial: usize, reading: &Reading) -> Self {
        let (origin, reason) = match (&reading.outcome, &reading.run) {
            (Outcome::Completed(_) | Outcome::Pruned(_), Some(_)) => {
                (Origin::Requests, String::new())
            }
            (Outcome::Completed(_) | Outcome::Pruned(_), None) => {
                (Origin::Aggregates, String::new())
            }
            (Outcome::Failed(reason) | Outcome::Infeasible(reason), _) => {
                (Origin::None, reason.message.clone())
            }
        };
        Self {
            study: study.to_owned(),
            trial,
            label: reading.label.clone(),
            configuration: reading.configuration.clone(),
            origin,
            reason,
        }
    }
}

fn notes(trials: &[&Reading], options: &ImportOptions) -> Vec<String> {
    let mut notes = Vec::new();
    let objective = &options.objective.metric;
    let measured = |name: &str| {
        trials.iter().any(|trial| match &trial.outcome {
            Outcome::Completed(measurement) => measurement.get(name).is_some(),
            _ => false,
        })
    };
    if !measured(objective) {
        let known: Vec<String> = Metric::all().map(Metric::name).filter(|n| measured(n)).collect();
        notes.push(format!(
            "no trial has the objective `{objective}`; ask for another with --minimise, one of: {}",
            known.join(", ")
        ));
    }
    let mut loads: Vec<&str> = trials.iter().filter_map(|trial| trial.load.as_deref()).collect();
    loads.sort_unstable();
    loads.dedup();
    if loads.len() > 1 {
        notes.push(format!(
            "the trials had different loads ({}); compare like with like",
            loads.join("; ")
        ));
    }
    notes
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for trial in &self.trials {
            write!(f, "{}/{}  {}: ", trial.study, trial.trial, trial.label)?;
            match trial.origin {
                Origin::Requests => write!(f, "measured from its requests")?,
                Origin::Aggregates => write!(f, "the tool's own aggregates")?,
                Origin::None => write!(f, "no metrics: {}", trial.reason)?,
            }
            writeln!(f, "  {}", trial.configuration)?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        write!(f, "{} trials in {}", self.trials.len(), self.folder.display())
    }
}
