//! Which evaluated configuration is worth one more measurement: since it may be the best, or since it would
//! be recommended and may miss a target.

use std::collections::{BTreeMap, btree_map::Entry};

use super::surrogate::{Surrogate, matrix};
use crate::{
    Configuration, History, Measurement, Objective, Origin, Problem, Recommendation,
    front::non_dominated,
};

/// A space of no more configurations than this is swept: each is measured before any is again.
const SWEPT: u128 = 20;

/// Measurements of one configuration after which a doubt is left alone.
const ENOUGH: usize = 6;

/// Trials of which at most one is spent on a doubt.
const SPELL: usize = 5;

/// The configuration that would be recommended now, where its own measurements leave open whether it meets
/// the targets. The model of them all speaks too soon of the one that it favours.
pub(super) fn in_doubt(
    problem: &Problem,
    history: &History,
    surrogate: &Surrogate,
) -> Option<Configuration> {
    let mut last = history.entries().iter().rev().take(SPELL - 1);
    let is_due = last.all(|entry| entry.trial.origin != Origin::Repeat);
    let doubtful = (is_due && is_worth_it(problem, history))
        .then(|| Recommendation::in_doubt(surrogate, problem, history, ENOUGH))??;
    (!is_pending(history, &doubtful)).then_some(doubtful)
}

/// The completed configuration that may be the best: best in the posterior mean of those that meet the
/// targets more likely than not; of two goals, the one of their front of which a repeat promises most.
/// `None` where a repeat could tell nothing, or is pending.
pub(super) fn candidate(
    problem: &Problem,
    history: &History,
    surrogate: &Surrogate,
) -> Option<Configuration> {
    if !is_worth_it(problem, history) {
        return None;
    }
    let improvement = surrogate.improvement.as_ref()?;
    let evaluated: Vec<&Configuration> =
        history.completed().map(|(trial, _)| &trial.configuration).collect();
    let point = |one: &&Configuration| problem.space().encode(one).coordinates().to_vec();
    let points: Vec<Vec<f64>> = evaluated.iter().map(point).collect();
    let chances = surrogate.log_feasibilities(&points);
    let likely = (0..evaluated.len()).filter(|&i| chances[i] >= 0.5_f64.ln());
    let rows = matrix(&points, problem.space().parameters().len());
    let costs = improvement.costs(&rows);
    let best: Vec<usize> = match &surrogate.tradeoff {
        None => likely.min_by(|&a, &b| costs[a].total_cmp(&costs[b])).into_iter().collect(),
        Some(tradeoff) => {
            let second = tradeoff.second.costs(&rows);
            let likely: Vec<usize> = likely.collect();
            let both: Vec<[f64; 2]> = likely.iter().map(|&i| [costs[i], second[i]]).collect();
            non_dominated(&both).into_iter().map(|position| likely[position]).collect()
        }
    };
    let promise = |i: usize| {
        let score = surrogate.scores(&points[i..=i])[0];
        (i, surrogate.repeated(score, &points[i]))
    };
    best.into_iter()
        .filter(|&i| !is_pending(history, evaluated[i]))
        .map(promise)
        .max_by(|(_, a), (_, b)| a.compare(b))
        .map(|(i, _)| evaluated[i].clone())
}

fn is_pending(history: &History, configuration: &Configuration) -> bool {
    let mut pending = history.entries().iter().filter(|entry| entry.is_pending());
    pending.any(|entry| entry.trial.configuration == *configuration)
}

/// Whether repeats may tell something, in a space too large to be swept.
pub(super) fn is_worth_it(problem: &Problem, history: &History) -> bool {
    problem.space().enumerate(SWEPT).is_none() && may_differ(problem.objective(), history)
}

/// Whether a repeat may come out differently: a metric was told with a standard error, or a repeat did
/// differ; and no repeat agreed to the last bit, as that of an exact look-up does.
pub(super) fn may_differ(objective: &Objective, history: &History) -> bool {
    let mut first: BTreeMap<String, &Measurement> = BTreeMap::new();
    let mut noisy = false;
    for (trial, measurement) in history.completed() {
        let has_error =
            |metric: &str| measurement.get(metric).is_some_and(|e| e.standard_error > 0.0);
        noisy |= objective.metrics().any(has_error);
        match first.entry(trial.configuration.to_string()) {
            Entry::Vacant(entry) => {
                entry.insert(measurement);
            }
            Entry::Occupied(entry) => {
                let same = |metric: &str| entry.get().get(metric) == measurement.get(metric);
                if objective.metrics().all(same) {
                    return false;
                }
                noisy = true;
            }
        }
    }
    noisy
}
