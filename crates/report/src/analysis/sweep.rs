//! The effect of one parameter over all values of the others.

use slotune_core::{Objective, SearchSpace, Value};
use slotune_results::StoredTrial;

use super::{best, is_feasible, median, value};

/// Trials of one study, told apart by the value of one parameter.
///
/// Over a full grid the other parameters take the same values at each level, so levels can be
/// compared by their medians; over other designs such a comparison is only a hint.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep<'a> {
    /// Name of the parameter.
    pub parameter: &'a str,
    /// Its values, smallest first; at least two.
    pub levels: Vec<Level<'a>>,
}

/// The trials at one value of the parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Level<'a> {
    /// The value; `None` where the parameter did not exist.
    pub value: Option<&'a Value>,
    /// The trials, in order; at least one.
    pub trials: Vec<&'a StoredTrial>,
}

impl<'a> Sweep<'a> {
    /// The sweeps of all parameters that took at least two values in `trials`.
    pub fn all(space: &'a SearchSpace, trials: &[&'a StoredTrial]) -> Vec<Self> {
        let sweeps = space.parameters().iter().map(|parameter| Self::new(parameter.name(), trials));
        sweeps.filter(|sweep| sweep.levels.len() > 1).collect()
    }

    fn new(parameter: &'a str, trials: &[&'a StoredTrial]) -> Self {
        let mut levels: Vec<Level<'_>> = Vec::new();
        for &trial in trials {
            let value = trial.entry.trial.configuration.get(parameter);
            match levels.iter_mut().find(|level| level.value == value) {
                Some(level) => level.trials.push(trial),
                None => levels.push(Level { value, trials: vec![trial] }),
            }
        }
        levels.sort_by(|a, b| a.value.partial_cmp(&b.value).unwrap_or(std::cmp::Ordering::Equal));
        Self { parameter, levels }
    }

    /// How much the parameter matters: the largest median objective of a level over the smallest,
    /// minus 1, constraints left aside; `None` where fewer than two levels were measured or a
    /// median is not positive.
    pub fn effect(&self, objective: &Objective) -> Option<f64> {
        let medians: Vec<f64> =
            self.levels.iter().filter_map(|level| level.median(&objective.metric)).collect();
        let smallest = medians.iter().copied().reduce(f64::min)?;
        let largest = medians.iter().copied().reduce(f64::max)?;
        (medians.len() > 1 && smallest > 0.0).then(|| largest / smallest - 1.0)
    }

    /// The level with the best median objective, constraints left aside.
    pub fn best_level(&self, objective: &Objective) -> Option<&Level<'a>> {
        let measured = self.levels.iter().filter_map(|l| Some((l, l.median(&objective.metric)?)));
        measured
            .reduce(|best, next| if objective.is_better(next.1, best.1) { next } else { best })
            .map(|(level, _)| level)
    }
}

impl<'a> Level<'a> {
    /// The median of a metric over the completed trials, in its unit, constraints left aside.
    pub fn median(&self, metric: &str) -> Option<f64> {
        median(self.trials.iter().filter_map(|trial| value(trial, metric)).collect())
    }

    /// The median objective of the trials that meet every constraint.
    pub fn feasible_median(&self, objective: &Objective) -> Option<f64> {
        let feasible = self.trials.iter().filter(|trial| is_feasible(objective, trial));
        median(feasible.filter_map(|trial| value(trial, &objective.metric)).collect())
    }

    /// The best trial that meets every constraint.
    pub fn best(&self, objective: &Objective) -> Option<&'a StoredTrial> {
        best(objective, self.trials.iter().copied())
    }

    /// Trials that meet every constraint.
    pub fn feasible(&self, objective: &Objective) -> usize {
        self.trials.iter().filter(|trial| is_feasible(objective, trial)).count()
    }

    /// Trials whose configuration cannot work.
    pub fn infeasible(&self) -> usize {
        self.trials.iter().filter(|trial| trial.entry.is_infeasible()).count()
    }
}
