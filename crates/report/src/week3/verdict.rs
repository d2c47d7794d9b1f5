//! What to do, in words.

use slotune_results::StoredTrial;

use super::{
    finals::became_of,
    wording::{change, configuration, miss},
};
use crate::{
    analysis::{Analysis, Change, Verdict, value},
    format::{and, is_worse, label, percent, quantity},
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
                _ if analysis.is_decided_by_finals => became_of(analysis, found.trial)
                    .map_or(String::new(), |became| format!("It was repeated: {became}.")),
                (_, missed) if !missed.is_empty() => {
                    let missed: Vec<String> = missed.iter().map(miss).collect();
                    format!("vLLM's default misses {}.", and(&missed))
                }
                (Some(gain), _) => format!(
                    "Compared with vLLM's default, {name} is {}.",
                    change(metric, Some(*gain))
                ),
                (None, _) => {
                    analysis.default.and_then(|default| value(default, metric)).map_or_else(
                        || "This set holds no measured default to compare with.".to_owned(),
                        |default| format!("vLLM's default has {}.", quantity(metric, default)),
                    )
                }
            };
            let price = match price(analysis, found.trial).as_slice() {
                [] => String::new(),
                worse => format!(" It is worse than the default in {}.", worse.join("; ")),
            };
            format!(
                "**Use the configuration below**: {which} meets every target{reached}. {why}{price}"
            )
        }
        Verdict::KeepDefault { best, .. } => {
            let repeated = best.as_ref().and_then(|found| {
                let which = configuration(&found.trial.entry.trial.configuration);
                let became = became_of(analysis, found.trial)?;
                Some(format!(
                    "nothing beats it in the finals. The best of the search was {which}; {became}"
                ))
            });
            let why = match best {
                _ if repeated.is_some() => repeated.unwrap_or_default(),
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

/// What is worse than the default's beyond noise, each with both values: what the gain costs.
fn price(analysis: &Analysis<'_>, found: &StoredTrial) -> Vec<String> {
    const METRICS: [&str; 12] = [
        "queue_share",
        "ttft_p95_s",
        "tpot_p95_s",
        "e2e_p50_s",
        "e2e_p95_s",
        "e2e_p99_s",
        "e2e_p95_tiny_s",
        "e2e_p95_short_s",
        "e2e_p95_medium_s",
        "e2e_p95_long_s",
        "e2e_p95_very_long_s",
        "output_throughput_tok_per_s",
    ];
    let Some(default) = analysis.default.and_then(|default| default.entry.measurement()) else {
        return Vec::new();
    };
    let worse = METRICS.into_iter().filter_map(|metric| {
        let (before, after) = (default.get(metric)?, found.entry.measurement()?.get(metric)?);
        let change = Change::between(before, after)?;
        (change.is_beyond_noise() && is_worse(metric, change.relative)).then(|| {
            format!(
                "{}, {} against {}",
                label(metric),
                quantity(metric, after.value),
                quantity(metric, before.value)
            )
        })
    });
    worse.collect()
}
