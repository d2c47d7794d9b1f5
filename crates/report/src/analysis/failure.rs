//! Trials without a measurement.

use std::collections::BTreeMap;

use slotune_core::{Outcome, State};
use slotune_results::StoredTrial;

/// Trials that gave no measurement for the same reason.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureGroup<'a> {
    /// Whether the configuration cannot work; otherwise the world was in the way.
    pub infeasible: bool,
    /// The word that the reasons share, such as `memory`.
    pub class: &'a str,
    /// The trials, in the set's order; at least one.
    pub trials: Vec<&'a StoredTrial>,
    /// The reported text of the first.
    pub example: &'a str,
}

/// Groups the trials without a measurement: infeasible configurations first, then by class.
pub fn failure_groups<'a>(
    trials: impl IntoIterator<Item = &'a StoredTrial>,
) -> Vec<FailureGroup<'a>> {
    let mut groups: BTreeMap<(bool, &str), FailureGroup<'_>> = BTreeMap::new();
    for trial in trials {
        let State::Told { outcome, .. } = &trial.entry.state else { continue };
        let (infeasible, reason) = match outcome {
            Outcome::Completed(_) => continue,
            Outcome::Infeasible(reason) => (true, reason),
            Outcome::Failed(reason) => (false, reason),
        };
        let class = reason.class.as_str();
        groups
            .entry((!infeasible, class))
            .or_insert(FailureGroup {
                infeasible,
                class,
                trials: Vec::new(),
                example: &reason.message,
            })
            .trials
            .push(trial);
    }
    groups.into_values().collect()
}
