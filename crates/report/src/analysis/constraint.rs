//! What the bounds of the objective do: who misses them, and what they cost.

use slotune_core::{Bound, Constraint, Measurement, Objective};
use slotune_results::{ResultSet, StoredTrial};

use super::{Analysis, best, best_value, differ, value};

/// A bound that a trial does not meet.
#[derive(Clone, Debug, PartialEq)]
pub struct Miss<'a> {
    /// The bound.
    pub constraint: &'a Constraint,
    /// The value seen, in the metric's unit; `None` where it was not measured.
    pub value: Option<f64>,
    /// Distance from the bound as a share of it (of 1 for a bound of 0), above 0; infinite where
    /// the metric was not measured.
    pub shortfall: f64,
}

/// The bounds that a measurement does not meet, in the objective's order.
pub fn misses<'a>(objective: &'a Objective, measurement: &Measurement) -> Vec<Miss<'a>> {
    let miss = |constraint: &'a Constraint| {
        let value = measurement.value(&constraint.metric).filter(|value| value.is_finite());
        (!value.is_some_and(|value| constraint.is_met(value))).then(|| Miss {
            constraint,
            value,
            shortfall: value.map_or(f64::INFINITY, |value| shortfall(constraint, value)),
        })
    };
    objective.constraints.iter().filter_map(miss).collect()
}

fn shortfall(constraint: &Constraint, value: f64) -> f64 {
    let distance = match constraint.bound {
        Bound::AtLeast(bound) => bound - value,
        Bound::AtMost(bound) => value - bound,
    };
    let bound = constraint.bound.value().abs();
    if bound > 0.0 { distance / bound } else { distance }
}

/// What one bound did to a search.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstraintEffect<'a> {
    /// The bound.
    pub constraint: &'a Constraint,
    /// Completed trials.
    pub completed: usize,
    /// Those of them that miss the bound.
    pub missed: usize,
    /// Those of them that miss no other bound.
    pub missed_alone: usize,
    /// The value that came nearest to the bound or went furthest beyond it, in the metric's unit.
    pub furthest: Option<f64>,
    /// The trial of any study that would win without this bound, where it is not the winner: the bound
    /// binds. Finals, whose requests are others, are left aside.
    pub excludes: Option<&'a StoredTrial>,
}

/// What each bound did to the trials of a search of a set, in the objective's order.
pub(super) fn constraint_effects<'a>(
    objective: &'a Objective,
    search: &[&'a StoredTrial],
    set: &'a ResultSet,
) -> Vec<ConstraintEffect<'a>> {
    let with_misses =
        |trial: &'a StoredTrial| Some((trial, misses(objective, trial.entry.measurement()?)));
    let missed: Vec<_> = search.iter().copied().filter_map(with_misses).collect();
    let of_all: Vec<_> = set.first_runs().filter_map(with_misses).collect();
    let winner = best(objective, set.first_runs());
    let effect = |constraint: &'a Constraint| {
        let is_this = |miss: &Miss<'_>| miss.constraint == constraint;
        let others_met =
            of_all.iter().filter(|(_, m)| m.iter().all(is_this)).map(|&(trial, _)| trial);
        let without = best_value(objective, others_met).map(|(trial, _)| trial);
        ConstraintEffect {
            constraint,
            completed: missed.len(),
            missed: missed.iter().filter(|(_, m)| m.iter().any(is_this)).count(),
            missed_alone: missed
                .iter()
                .filter(|(_, m)| !m.is_empty() && m.iter().all(is_this))
                .count(),
            furthest: missed
                .iter()
                .filter_map(|(trial, _)| value(trial, &constraint.metric))
                .reduce(match constraint.bound {
                    Bound::AtLeast(_) => f64::max,
                    Bound::AtMost(_) => f64::min,
                }),
            excludes: without
                .filter(|&trial| winner.is_none_or(|winner| !std::ptr::eq(winner, trial))),
        }
    };
    objective.constraints.iter().map(effect).collect()
}

impl<'a> Analysis<'a> {
    /// The targets without which another trial would win, each with that trial and its objective in the
    /// metric's unit: where one is advised, those whose trial is better than it beyond noise.
    pub fn costly_targets(&self) -> impl Iterator<Item = (&'a Constraint, &'a StoredTrial, f64)> {
        let metric = &self.objective().metric;
        let of = move |trial: &StoredTrial| trial.entry.measurement()?.get(metric);
        let advised = self.verdict.advised().and_then(of);
        self.constraints.iter().filter_map(move |effect| {
            let trial = effect.excludes?;
            let reached = of(trial)?;
            let is_worth_it = advised.is_none_or(|advised| differ(advised, reached));
            is_worth_it.then_some((effect.constraint, trial, reached.value))
        })
    }
}
