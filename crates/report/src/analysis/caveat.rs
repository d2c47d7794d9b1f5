//! What limits the trials of a set, as their caveats say it.

use std::collections::BTreeMap;

use slotune_results::StoredTrial;
use slotune_serving::CaveatClass;

/// Trials that carry a caveat of the same class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaveatGroup<'a> {
    /// The class.
    pub class: CaveatClass,
    /// Positions of the trials in what was grouped; at least one.
    pub trials: Vec<usize>,
    /// What they say, each text once, the first first; at least one.
    pub messages: Vec<&'a str>,
}

/// The caveats of trials by class.
pub fn caveat_groups(trials: &[StoredTrial]) -> Vec<CaveatGroup<'_>> {
    let mut groups: BTreeMap<CaveatClass, CaveatGroup<'_>> = BTreeMap::new();
    for (position, trial) in trials.iter().enumerate() {
        for caveat in &trial.caveats {
            let class = caveat.class;
            let empty = || CaveatGroup { class, trials: Vec::new(), messages: Vec::new() };
            let group = groups.entry(class).or_insert_with(empty);
            if group.trials.last() != Some(&position) {
                group.trials.push(position);
            }
            if !group.messages.contains(&caveat.message.as_str()) {
                group.messages.push(&caveat.message);
            }
        }
    }
    groups.into_values().collect()
}
