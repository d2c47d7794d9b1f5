//! What to do: change the configuration, keep the default, or move the targets.

use slotune_core::{Measurement, Objective};
use slotune_results::StoredTrial;

use super::{Change, Decision, Miss, differ, is_feasible, misses, value};

/// What a result set says to do. Where its finals have decided, it is what they say.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<'a> {
    /// The search found a configuration that meets every target, and the default misses one, was
    /// not measured, or is worse beyond noise: use it.
    Change(Recommendation<'a>),
    /// The default meets every target, and nothing that the search found is better beyond noise.
    KeepDefault {
        /// The default.
        default: &'a StoredTrial,
        /// The best that the search found, if any of it met the targets.
        best: Option<Recommendation<'a>>,
    },
    /// Neither the default nor anything that the search found meets every target; the baseline may come closest
    /// of all.
    NoneFeasible(NearMiss<'a>),
    /// No trial was measured.
    NothingMeasured,
}

/// The best trial of the search that meets every target.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation<'a> {
    /// The trial.
    pub trial: &'a StoredTrial,
    /// The change of the objective from the default; `None` where the default was not measured, or
    /// has 0.
    pub change: Option<Change>,
    /// The targets that the default misses; empty where it was not measured.
    pub default_misses: Vec<Miss<'a>>,
}

/// The trial that came closest to meeting every target.
#[derive(Clone, Debug, PartialEq)]
pub struct NearMiss<'a> {
    /// The trial: its largest shortfall is the smallest of all trials, the earliest of equals. In finals,
    /// a repeat of the configuration whose average came closest.
    pub trial: &'a StoredTrial,
    /// The target that it misses by most: the one that binds.
    pub binding: Miss<'a>,
    /// The other targets that it misses, in the objective's order.
    pub others: Vec<Miss<'a>>,
}

impl<'a> Verdict<'a> {
    /// Judges the trials of a search, of which `found` is the best, and the default beside them; by the
    /// finals, once they have decided. `references` are the default and the baseline.
    pub(super) fn new(
        objective: &'a Objective,
        search: &[&'a StoredTrial],
        found: Option<&'a StoredTrial>,
        references: [Option<&'a StoredTrial>; 2],
        decision: Decision<'a>,
    ) -> Self {
        let [default, _] = references;
        let recommend = |trial| Recommendation::new(objective, trial, default);
        match decision {
            Decision::Open => Self::of_search(objective, found.map(recommend), search, references),
            Decision::Winner(trial) => Self::Change(recommend(trial)),
            Decision::KeepDefault(repeat) => {
                Self::KeepDefault { default: default.unwrap_or(repeat), best: found.map(recommend) }
            }
            Decision::NoneMeetsTargets(contenders) => {
                let contenders = contenders.iter().map(|(trial, judged)| (*trial, judged));
                NearMiss::among(objective, contenders)
                    .map_or(Self::NothingMeasured, Self::NoneFeasible)
            }
        }
    }

    /// What the search alone says.
    fn of_search(
        objective: &'a Objective,
        found: Option<Recommendation<'a>>,
        search: &[&'a StoredTrial],
        references: [Option<&'a StoredTrial>; 2],
    ) -> Self {
        let [default, _] = references;
        let feasible_default = default.filter(|trial| {
            is_feasible(objective, trial) && value(trial, &objective.metric).is_some()
        });
        match (found, feasible_default) {
            (Some(found), None) => Self::Change(found),
            (Some(found), Some(default)) if found.is_better_than(default, objective) => {
                Self::Change(found)
            }
            (found, Some(default)) => Self::KeepDefault { default, best: found },
            (None, None) => {
                let trials = search.iter().copied().chain(references.into_iter().flatten());
                let measured = trials.filter_map(|trial| Some((trial, trial.entry.measurement()?)));
                NearMiss::among(objective, measured)
                    .map_or(Self::NothingMeasured, Self::NoneFeasible)
            }
        }
    }

    /// The trial whose configuration is the one to run, if any is.
    pub fn advised(&self) -> Option<&'a StoredTrial> {
        match self {
            Self::Change(found) => Some(found.trial),
            Self::KeepDefault { default, .. } => Some(default),
            Self::NoneFeasible(_) | Self::NothingMeasured => None,
        }
    }

    /// The trial that a report shows beside the default: the recommended one, the best found, or
    /// the one that came closest.
    pub fn trial(&self) -> Option<&'a StoredTrial> {
        match self {
            Self::Change(found) | Self::KeepDefault { best: Some(found), .. } => Some(found.trial),
            Self::NoneFeasible(near) => Some(near.trial),
            Self::KeepDefault { best: None, .. } | Self::NothingMeasured => None,
        }
    }
}

impl<'a> Recommendation<'a> {
    fn new(
        objective: &'a Objective,
        trial: &'a StoredTrial,
        default: Option<&'a StoredTrial>,
    ) -> Self {
        let default = default.and_then(|default| default.entry.measurement());
        let measured = trial.entry.measurement();
        let change = default.zip(measured).and_then(|(d, m)| {
            Change::between(d.get(&objective.metric)?, m.get(&objective.metric)?)
        });
        let default_misses = default.map_or_else(Vec::new, |d| misses(objective, d));
        Self { trial, change, default_misses }
    }

    /// Whether it is better than the default beyond noise.
    fn is_better_than(&self, default: &StoredTrial, objective: &Objective) -> bool {
        let of = |trial: &StoredTrial| trial.entry.measurement()?.get(&objective.metric);
        let Some((before, after)) = of(default).zip(of(self.trial)) else { return false };
        // A default of 0 has no ratio, and may still be better or worse.
        differ(before, after) && objective.is_better(after.value, before.value)
    }
}

impl<'a> NearMiss<'a> {
    fn among<'m>(
        objective: &'a Objective,
        trials: impl Iterator<Item = (&'a StoredTrial, &'m Measurement)>,
    ) -> Option<Self> {
        let near = |(trial, measurement): (&'a StoredTrial, &Measurement)| {
            let mut misses = misses(objective, measurement);
            let shortfall = |position: usize| misses[position].shortfall;
            let furthest =
                (0..misses.len()).reduce(|a, b| if shortfall(b) > shortfall(a) { b } else { a })?;
            Some(Self { trial, binding: misses.remove(furthest), others: misses })
        };
        trials.filter_map(near).reduce(|closest, next| {
            if next.binding.shortfall < closest.binding.shortfall { next } else { closest }
        })
    }

    /// All targets that it misses, the binding one first.
    pub fn misses(&self) -> impl Iterator<Item = &Miss<'a>> {
        std::iter::once(&self.binding).chain(&self.others)
    }
}
