//! What to do, in words.

use slotune_results::StoredTrial;

use super::{
    finals::became_of,
    wording::{change, configuration, miss},
};
use crate::{
    analysis::{Analysis, Change, Verdict, is_error_known, value},
    format::{and, is_worse, label, percent, quantity},
};

/// What the model expects of fewer changes than the recommended; empty where each is needed.
pub(super) fn fewer_changes(analysis: &Analysis<'_>) -> String {
    let metric = &analysis.objective().metric;
    analysis.fewer_changes().map_or_else(String::new, |fewer| {
        format!(
            "**Fewer changes may do**: with {} alone, and the rest left to vLLM, the model of the search expects a {} of {}. Nothing measured that; try it before you rely on it.",
            configuration(&fewer.changes),
            label(metric),
            quantity(metric, fewer.objective)
        )
    })
}

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
            let price = price(analysis, found.trial);
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

/// What the gain costs: sentences on what is worse than the default's beyond noise, and on what may be, each
/// with both values.
fn price(analysis: &Analysis<'_>, found: &StoredTrial) -> String {
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
        return String::new();
    };
    let (mut worse, mut perhaps) = (Vec::new(), Vec::new());
    for metric in METRICS {
        let measured =
            default.get(metric).zip(found.entry.measurement().and_then(|m| m.get(metric)));
        let Some((before, after)) = measured else { continue };
        let change = Change::between(before, after);
        if change.is_some_and(|c| c.is_beyond_noise() && is_worse(metric, c.relative)) {
            let both = [after, before].map(|estimate| quantity(metric, estimate.value));
            // What reads the same is not worth a word.
            if both[0] == both[1] {
                continue;
            }
            let of = if is_error_known(before, after) { &mut worse } else { &mut perhaps };
            of.push(format!("{}, {}", label(metric), both.join(" against ")));
        }
    }
    let sentence = |words: &str, metrics: &[String]| match metrics {
        [] => String::new(),
        some => format!(" {words} {}.", some.join("; ")),
    };
    sentence("It is worse than the default in", &worse)
        + &sentence("It may be worse, by values of which no error is known, in", &perhaps)
}
