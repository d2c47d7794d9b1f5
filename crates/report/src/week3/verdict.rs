//! What to do, in words.

use super::{
    finals::became_of,
    wording::{change, configuration, miss},
};
use crate::{
    analysis::{Analysis, Price, Verdict, value},
    asked::capped,
    format::{and, bound, label, percent, quantity},
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
    let meets = match analysis.objective().constraints.as_slice() {
        [] => "there are no targets to miss",
        _ => "it meets every target",
    };
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
            let wins = match analysis.objective().constraints.as_slice() {
                [] => "is the best",
                _ => "meets every target",
            };
            let (price, excluded) = (price(analysis, "the default"), excluded(analysis));
            format!(
                "**Use the configuration below**: {which} {wins}{reached}. {why}{price}{excluded}"
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
            let excluded = excluded(analysis);
            let capped = capped(&analysis.set.manifest)
                .map_or(String::new(), |capped| format!(" Note: {capped}."));
            let price = price(analysis, "the baseline");
            format!("**Keep the default**: {meets}, and {why}.{price}{excluded}{capped}")
        }
        Verdict::NoneFeasible(near) => {
            let binding = &near.binding;
            let short = if binding.shortfall.is_finite() {
                format!(", off by {} of the bound", percent(binding.shortfall))
            } else {
                String::new()
            };
            let is_searched = analysis.search().is_some_and(|search| !search.points.is_empty());
            let yet = if is_searched { "" } else { ", and nothing was searched yet" };
            let others: Vec<String> = near.others.iter().map(miss).collect();
            let others = match others.as_slice() {
                [] => String::new(),
                some => format!(" It also misses {}.", and(some)),
            };
            format!(
                "**No configuration meets the targets{yet}.** The binding target is {}{short}, in the trial that came closest, `{}`: {}.{others} Relax {}, or widen the search space.",
                miss(binding),
                near.trial.name(),
                configuration(&near.trial.entry.trial.configuration),
                if near.others.is_empty() { "this target" } else { "these targets" },
            )
        }
        Verdict::NothingMeasured => {
            "**No recommendation**: this set holds no measured trial of a search.".to_owned()
        }
    }
}

/// What the advice costs: sentences on what is worse beyond noise than what it is compared with, and on what may
/// be, each with both values.
fn price(analysis: &Analysis<'_>, than: &str) -> String {
    let (worse, perhaps): (Vec<Price>, Vec<Price>) =
        analysis.prices().into_iter().partition(|price| price.is_error_known);
    let sentence = |words: &str, prices: &[Price]| {
        let both = |Price { metric, value, before, .. }: &Price| {
            let both = [*value, *before].map(|value| quantity(metric, value));
            format!("{}, {}", label(metric), both.join(" against "))
        };
        match prices {
            [] => String::new(),
            some => format!(" {words} {}.", some.iter().map(both).collect::<Vec<_>>().join("; ")),
        }
    };
    sentence(&format!("It is worse than {than} in"), &worse)
        + &sentence("It may be worse, by values of which no error is known, in", &perhaps)
}

/// What would win without one of the targets.
fn excluded(analysis: &Analysis<'_>) -> String {
    let metric = &analysis.objective().metric;
    let each = analysis.costly_targets().map(|(target, trial, reached)| {
        format!(
            " Without the target {}, `{}` would win, with a {} of {}.",
            bound(target),
            trial.name(),
            label(metric),
            quantity(metric, reached)
        )
    });
    each.collect()
}
