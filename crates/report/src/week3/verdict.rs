//! What to do, in words.

use super::wording::{change, configuration, miss};
use crate::{
    analysis::{Analysis, Verdict, value},
    format::{label, percent, quantity},
};

/// The verdict as a paragraph.
pub(super) fn paragraph(analysis: &Analysis<'_>) -> String {
    let metric = &analysis.objective().metric;
    let name = label(metric);
    match &analysis.verdict {
        Verdict::Change(found) => {
            let which =
                format!("trial {} of study `{}`", found.trial.entry.trial.id, found.trial.study);
            let reached = value(found.trial, metric)
                .map_or(String::new(), |v| format!(" with a {name} of {}", quantity(metric, v)));
            let why = match (&found.change, found.default_misses.as_slice()) {
                (_, missed) if !missed.is_empty() => {
                    let missed: Vec<String> = missed.iter().map(miss).collect();
                    format!("vLLM's default misses {}.", missed.join(" and "))
                }
                (Some(gain), _) => format!(
                    "Compared with vLLM's default, {name} is {}.",
                    change(metric, Some(*gain))
                ),
                (None, _) => "This set holds no measured default to compare with.".to_owned(),
            };
            format!("**Use the configuration below**: {which} meets every target{reached}. {why}")
        }
        Verdict::KeepDefault { best, .. } => {
            let why = match best {
                Some(found) => format!(
                    "the best that the search found ({}) is not better beyond noise: {name} is {}",
                    configuration(&found.trial.entry.trial.configuration),
                    change(metric, found.change),
                ),
                None => "nothing that the search found meets every target".to_owned(),
            };
            format!("**Keep the default**: it meets every target, and {why}.")
        }
        Verdict::NoneFeasible(near) => {
            let binding = &near.binding;
            let short = if binding.shortfall.is_finite() {
                format!(", off by {} of the bound", percent(binding.shortfall))
            } else {
                String::new()
            };
            format!(
                "**No configuration meets the targets.** The binding target is {}{short}, in the trial that came closest: {}. Relax this target, or widen the search space.",
                miss(binding),
                configuration(&near.trial.entry.trial.configuration),
            )
        }
        Verdict::NothingMeasured => {
            "**No recommendation**: this set holds no measured trial of a search.".to_owned()
        }
    }
}
