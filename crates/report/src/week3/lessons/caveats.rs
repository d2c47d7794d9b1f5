//! What limits the trials of a set, as their caveats say it.

use std::collections::BTreeMap;

use slotune_results::StoredTrial;
use slotune_serving::CaveatClass;

use crate::{analysis::Analysis, format::count};

/// One lesson for each class of caveats: how many trials have it, and what the first of them says.
pub(super) fn caveats(analysis: &Analysis<'_>) -> Vec<String> {
    let mut classes: BTreeMap<CaveatClass, (usize, &StoredTrial, &str)> = BTreeMap::new();
    for trial in &analysis.set.trials {
        for caveat in &trial.caveats {
            classes.entry(caveat.class).or_insert((0, trial, &caveat.message)).0 += 1;
        }
    }
    let all = analysis.set.trials.len();
    let lesson = |(class, (trials, first, message)): (CaveatClass, (usize, &StoredTrial, &str))| {
        format!(
            "{trials} of {} carry the note `{}`; trial {} of study `{}`: {message}.",
            count(all, "trial"),
            class.name(),
            first.entry.trial.id,
            first.study,
        )
    };
    classes.into_iter().map(lesson).collect()
}
