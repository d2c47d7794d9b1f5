//! Whether fewer changes than the recommended would do.

use serde::Serialize;
use slotune_core::{Configuration, Problem, Study, sampler::Random};

use super::{Analysis, Verdict};

/// A change from vLLM's default that the model of the search expects to be as good as the recommended
/// one, with fewer parameters changed. Nothing measured it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FewerChanges {
    /// The parameters that change, with their values.
    pub changes: Configuration,
    /// The objective that the model expects, in the metric's unit.
    pub objective: f64,
    /// The probability that all targets are met.
    pub meets_targets: f64,
}

impl Analysis<'_> {
    /// Whether fewer changes than the recommended would do. `None` where none is recommended, every change
    /// is needed, or the model cannot tell: vLLM's default is not known in the search space, or the search
    /// lacks a trial. `None` too where there are two goals, since fewer changes may trade them off otherwise.
    pub fn fewer_changes(&self) -> Option<FewerChanges> {
        let Verdict::Change(found) = &self.verdict else { return None };
        let manifest = &self.set.manifest;
        if manifest.objective.against.is_some() {
            return None;
        }
        let space = &manifest.space;
        let default = &self.default?.entry.trial.configuration;
        let default = space.restrict(default).ok()?;
        let changed = &found.trial.entry.trial.configuration;
        space.check(changed).ok()?;
        let history = self.set.history(&self.search()?.study.name).ok()?;
        let problem = Problem::new(space.clone(), manifest.objective.clone());
        let study = Study::resume(problem, Box::new(Random), 0, history).ok()?;
        let simpler = study.simpler(changed, &default).ok()??;
        Some(FewerChanges {
            changes: simpler.configuration.changes_from(&default),
            objective: simpler.objective,
            meets_targets: simpler.meets_targets,
        })
    }
}
