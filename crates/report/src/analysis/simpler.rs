//! Whether fewer changes than the recommended would do.

use serde::Serialize;
use slotune_core::{Configuration, Parameter, Problem, Simpler, Study, sampler::Random};

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
        let names = space.parameters().iter().map(Parameter::name);
        let default = names.fold(Configuration::new(), |all, name| match default.get(name) {
            Some(value) => all.with(name, value.clone()),
            None => all,
        });
        let changed = &found.trial.entry.trial.configuration;
        space.check(&default).and_then(|()| space.check(changed)).ok()?;
        let history = self.set.history(&self.search()?.study.name).ok()?;
        let problem = Problem::new(space.clone(), manifest.objective.clone());
        let study = Study::resume(problem, Box::new(Random), 0, history).ok()?;
        let Simpler { configuration, objective, meets_targets, .. } =
            study.simpler(changed, &default).ok()??;
        let differs = configuration.iter().filter(|(name, value)| default.get(name) != Some(value));
        let changes =
            differs.fold(Configuration::new(), |all, (name, value)| all.with(name, value.clone()));
        Some(FewerChanges { changes, objective, meets_targets })
    }
}
