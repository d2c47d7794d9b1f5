//! The effect of one parameter over all values of the others.

use slotune_core::{Objective, SearchSpace, Value};
use slotune_results::StoredTrial;

use super::{best, is_feasible, median, value};

/// Trials of one study, told apart by the value of one parameter.
///
/// Rules and failures make holes in a grid, so the trials at two values may differ in the other
/// parameters too. Values are therefore compared over those settings of the others that were
/// measured at every value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep<'a> {
    /// Name of the parameter.
    pub parameter: &'a str,
    /// Its values, smallest first; at least two. Many numbers of which none is compared under equal settings
    /// make a few ranges.
    pub levels: Vec<Level<'a>>,
    /// Settings of the other parameters that were measured at every value, values that were never
    /// measured left aside. Where it is 0, all trials are compared, which tells nothing of the parameter by
    /// itself.
    pub settings: usize,
}

/// Most numbers that are shown one by one where no two are compared under equal settings, and most ranges
/// that more of them make.
const MOST: usize = 6;

/// The trials at one value of the parameter, or in a range of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Level<'a> {
    /// The value, of a range the smallest; `None` where the parameter did not exist.
    pub value: Option<&'a Value>,
    /// Of a range the largest value.
    pub to: Option<&'a Value>,
    /// The trials, in order; at least one.
    pub trials: Vec<&'a StoredTrial>,
    /// Those of them that are compared with other values.
    pub compared: Vec<&'a StoredTrial>,
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
            if let Some(level) = levels.iter_mut().find(|level| level.value == value) {
                level.trials.push(trial);
            } else {
                let trials = vec![trial];
                levels.push(Level { value, to: None, trials, compared: Vec::new() });
            }
        }
        levels.sort_by(|a, b| a.value.partial_cmp(&b.value).unwrap_or(std::cmp::Ordering::Equal));
        let common = common_settings(parameter, &levels);
        if common.is_empty() && levels.len() > MOST && levels.iter().all(Level::is_number) {
            levels = ranges(levels, trials.len().div_ceil(MOST));
        }
        for level in &mut levels {
            level.compared.clone_from(&level.trials);
            if !common.is_empty() {
                level.compared.retain(|trial| common.contains(&others(parameter, trial)));
            }
        }
        Self { parameter, levels, settings: common.len() }
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
        self.extreme(objective, |value, other| objective.is_better(value, other))
    }

    /// The level with the worst median objective, constraints left aside.
    pub fn worst_level(&self, objective: &Objective) -> Option<&Level<'a>> {
        self.extreme(objective, |value, other| objective.is_better(other, value))
    }

    /// The level whose median objective goes before all others; the first of equals.
    fn extreme(
        &self,
        objective: &Objective,
        goes_before: impl Fn(f64, f64) -> bool,
    ) -> Option<&Level<'a>> {
        let measured = self.levels.iter().filter_map(|l| Some((l, l.median(&objective.metric)?)));
        measured
            .reduce(|first, next| if goes_before(next.1, first.1) { next } else { first })
            .map(|(level, _)| level)
    }
}

/// Neighbouring levels together until they have so many trials.
fn ranges(levels: Vec<Level<'_>>, trials: usize) -> Vec<Level<'_>> {
    let mut ranges: Vec<Level<'_>> = Vec::new();
    for level in levels {
        match ranges.last_mut() {
            Some(range) if range.trials.len() < trials => {
                range.to = level.value;
                range.trials.extend(level.trials);
            }
            _ => ranges.push(level),
        }
    }
    ranges
}

/// What a trial sets besides the parameter.
fn others<'t>(parameter: &str, trial: &'t StoredTrial) -> Vec<(&'t str, &'t Value)> {
    trial.entry.trial.configuration.iter().filter(|(name, _)| *name != parameter).collect()
}

/// The settings of the other parameters that were measured at every level at which anything was.
fn common_settings<'a>(parameter: &str, levels: &[Level<'a>]) -> Vec<Vec<(&'a str, &'a Value)>> {
    let mut measured = levels.iter().filter_map(|level| {
        let trials = level.trials.iter().filter(|trial| trial.entry.measurement().is_some());
        let settings: Vec<_> = trials.map(|trial| others(parameter, trial)).collect();
        (!settings.is_empty()).then_some(settings)
    });
    let mut common = measured.next().unwrap_or_default();
    for settings in measured {
        common.retain(|setting| settings.contains(setting));
    }
    // A setting that was measured twice counts once.
    let all = std::mem::take(&mut common);
    for setting in all {
        if !common.contains(&setting) {
            common.push(setting);
        }
    }
    common
}

impl<'a> Level<'a> {
    fn is_number(&self) -> bool {
        self.value.and_then(Value::number).is_some()
    }

    /// The median of a metric over the compared trials that were measured, in its unit, constraints
    /// left aside.
    pub fn median(&self, metric: &str) -> Option<f64> {
        median(self.compared.iter().filter_map(|trial| value(trial, metric)).collect())
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
