//! The servers that a report sets side by side.

use slotune_results::StoredTrial;

use crate::analysis::{Analysis, Verdict};

/// A server that a report sets beside the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Subject<'a> {
    pub(crate) role: Role,
    /// Its name over a column and below a bar.
    pub(crate) label: &'static str,
    pub(crate) trial: &'a StoredTrial,
}

/// Which of the servers it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Baseline,
    Default,
    Found,
}

/// The baseline, the default and what the search found, as far as they are there.
pub(crate) fn subjects<'a>(analysis: &Analysis<'a>) -> Vec<Subject<'a>> {
    let found = match analysis.verdict {
        Verdict::NoneFeasible(_) => "Closest trial",
        Verdict::KeepDefault { .. } => "Best found",
        Verdict::Change(_) | Verdict::NothingMeasured => "Optimized",
    };
    [
        (Role::Baseline, "Baseline", analysis.baseline),
        (Role::Default, "vLLM default", analysis.default),
        (Role::Found, found, analysis.verdict.trial()),
    ]
    .into_iter()
    .filter_map(|(role, label, trial)| trial.map(|trial| Subject { role, label, trial }))
    .collect()
}
