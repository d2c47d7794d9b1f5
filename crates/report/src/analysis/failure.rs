//! Trials without a measurement.

use std::collections::BTreeMap;

use slotune_core::{Outcome, SearchSpace, State, Value};
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

/// The values of a parameter in the trials of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Range<'a> {
    /// Name of the parameter.
    pub parameter: &'a str,
    /// The smallest.
    pub low: &'a Value,
    /// The largest.
    pub high: &'a Value,
}

impl<'a> FailureGroup<'a> {
    /// Where in the space the group lies: the parameters whose values in it are not as wide as in `all`
    /// trials. Names without order count only where the group has one of several.
    pub fn region(&self, space: &'a SearchSpace, all: &'a [StoredTrial]) -> Vec<Range<'a>> {
        let range = |parameter: &'a slotune_core::Parameter| {
            let name = parameter.name();
            let of = |trial: &'a StoredTrial| trial.entry.trial.configuration.get(name);
            // A trial that leaves the parameter out may be anywhere on it.
            let own: Vec<&Value> = self.trials.iter().map(|t| of(t)).collect::<Option<_>>()?;
            let (low, high) = ends(own.into_iter())?;
            let (lowest, highest) = ends(all.iter().filter_map(of))?;
            let is_narrow = if parameter.domain().is_ordered() {
                low != lowest || high != highest
            } else {
                low == high && lowest != highest
            };
            is_narrow.then_some(Range { parameter: name, low, high })
        };
        space.parameters().iter().filter_map(range).collect()
    }
}

/// The smallest and the largest value.
fn ends<'v>(values: impl Iterator<Item = &'v Value>) -> Option<(&'v Value, &'v Value)> {
    values.map(|value| (value, value)).reduce(|(low, high), (value, _)| {
        (if value < low { value } else { low }, if value > high { value } else { high })
    })
}

/// Groups the trials that could not be measured: infeasible configurations first, then by class.
pub fn failure_groups<'a>(
    trials: impl IntoIterator<Item = &'a StoredTrial>,
) -> Vec<FailureGroup<'a>> {
    let mut groups: BTreeMap<(bool, &str), FailureGroup<'_>> = BTreeMap::new();
    for trial in trials {
        let State::Told { outcome, .. } = &trial.entry.state else { continue };
        let (infeasible, reason) = match outcome {
            Outcome::Completed(_) | Outcome::Pruned(_) => continue,
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
