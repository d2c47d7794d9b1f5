//! What limits the trials of a set, as their caveats say it.

use slotune_results::StoredTrial;

use crate::{
    analysis::{Analysis, caveat_groups},
    format::{count, numbers},
};

/// One lesson for each class of caveats: which trials have it, and what they, or the first of them, say.
pub(super) fn caveats(analysis: &Analysis<'_>) -> Vec<String> {
    let all = &analysis.set.trials;
    let groups = caveat_groups(all).into_iter().map(|group| {
        let trials: Vec<&StoredTrial> = group.trials.iter().map(|at| &all[*at]).collect();
        let first = if group.messages.len() > 1 { "the first says: " } else { "" };
        format!(
            "{} of {} carry the note `{}` ({}): {first}{}.",
            trials.len(),
            count(all.len(), "trial"),
            group.class.name(),
            places(&trials),
            group.messages[0].trim_end_matches('.'),
        )
    });
    groups.collect()
}

/// Characters of a list of trials that is still read.
const READ: usize = 60;

/// Which trials they are, by study: `` `reference` 0; `search` 2 to 9, 12; 98 trials of `grid` ``.
fn places(trials: &[&StoredTrial]) -> String {
    let studies = trials.chunk_by(|one, next| one.study == next.study).map(|of_study| {
        let ids: Vec<u64> = of_study.iter().map(|trial| trial.entry.trial.id.0).collect();
        let (study, listed) = (&of_study[0].study, numbers(&ids));
        match listed.len() {
            0..=READ => format!("`{study}` {listed}"),
            _ => format!("{} of `{study}`", count(ids.len(), "trial")),
        }
    });
    studies.collect::<Vec<_>>().join("; ")
}
