//! What changed between sets: the same configurations, measured at another time or by another version.

use serde::Serialize;
use slotune_core::{Configuration, Estimate};
use slotune_results::ResultSet;
use slotune_serving::metrics::Metric;

use super::{Seen, configuration};
use crate::{
    analysis::{BEYOND_NOISE, Change},
    comparison::{Judgement, judge},
};

/// Fewest configurations that tell a change of all from one of some.
const FEWEST: usize = 5;

/// One configuration in two sets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// The configuration.
    pub configuration: Configuration,
    /// The set that was begun earlier, and its objective.
    pub before: (String, Estimate),
    /// The set that was begun later, and its objective.
    pub after: (String, Estimate),
    /// What the change amounts to.
    pub judgement: Judgement,
}

/// All configurations that two sets share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shift {
    /// The set that was begun earlier.
    pub before: String,
    /// The set that was begun later.
    pub after: String,
    /// Configurations that both measured, lower bounds left out.
    pub configurations: usize,
    /// Geometric mean of `after / before` over them, minus 1.
    pub change: f64,
    /// Standard error of `change`: from how far the configurations differ, or from the errors within
    /// their runs where those are larger.
    pub standard_error: f64,
    /// What it amounts to; unknown of fewer than five configurations.
    pub judgement: Judgement,
}

/// A set with its name.
type Named<'a> = (String, &'a ResultSet);

/// The sets by age, in neighbours.
fn neighbours<'s, 'a>(sets: &'s [Named<'a>]) -> Vec<(&'s Named<'a>, &'s Named<'a>)> {
    let mut by_age: Vec<&Named<'_>> = sets.iter().collect();
    // RFC 3339 in UTC sorts as text.
    by_age.sort_by(|(_, a), (_, b)| a.manifest.created.cmp(&b.manifest.created));
    by_age.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// The first trial of each configuration that an earlier and a later set measured.
pub(super) fn drift(
    metric: Metric,
    sets: &[(String, &ResultSet)],
    seen: &[Seen<'_>],
) -> Vec<Drift> {
    let first_of_each = |name: &str| -> Vec<&Seen<'_>> {
        let mut first: Vec<&Seen<'_>> = Vec::new();
        for seen in seen.iter().filter(|seen| seen.name == name) {
            let is_new = |other: &&Seen<'_>| configuration(other) != configuration(seen);
            if first.iter().all(is_new) {
                first.push(seen);
            }
        }
        first
    };
    let mut drift = Vec::new();
    for ((before, _), (after, _)) in neighbours(sets) {
        let later = first_of_each(after);
        for old in first_of_each(before) {
            let Some(new) = later.iter().find(|new| configuration(new) == configuration(old))
            else {
                continue;
            };
            drift.push(Drift {
                configuration: configuration(old).clone(),
                before: (before.clone(), old.value),
                after: (after.clone(), new.value),
                judgement: judge(metric, old.value, new.value),
            });
        }
    }
    drift
}

/// What the shared configurations say together of each two neighbours.
pub(super) fn shifts(metric: Metric, sets: &[(String, &ResultSet)], drift: &[Drift]) -> Vec<Shift> {
    let shift = |((before, _), (after, _)): (&Named<'_>, &Named<'_>)| {
        let changes: Vec<Change> = drift
            .iter()
            .filter(|drift| drift.before.0 == *before && drift.after.0 == *after)
            .filter(|drift| !drift.before.1.is_lower_bound && !drift.after.1.is_lower_bound)
            .filter_map(|drift| Change::between(drift.before.1, drift.after.1))
            .filter(|change| change.relative > -1.0)
            .collect();
        let count = changes.len() as f64;
        let logs: Vec<f64> = changes.iter().map(|change| change.relative.ln_1p()).collect();
        let mean = logs.iter().sum::<f64>() / count;
        let between = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>();
        let between = (between / (count - 1.0).max(1.0) / count).sqrt();
        let within = changes.iter().map(|c| (c.standard_error / (1.0 + c.relative)).powi(2));
        let error = between.max(within.sum::<f64>().sqrt() / count);
        let judgement = match mean {
            _ if changes.len() < FEWEST => Judgement::Unknown,
            _ if mean.abs() <= BEYOND_NOISE * error => Judgement::Same,
            _ => Judgement::of(metric.direction(), mean > 0.0),
        };
        (!changes.is_empty()).then(|| Shift {
            before: before.clone(),
            after: after.clone(),
            configurations: changes.len(),
            change: mean.exp_m1(),
            standard_error: mean.exp() * error,
            judgement,
        })
    };
    neighbours(sets).into_iter().filter_map(shift).collect()
}
