//! Lessons of the search beside what it is compared with.

use slotune_results::StudyRole;

use super::super::{
    documented::{Documented, WEEK2, Week2},
    wording::kind,
};
use crate::{
    analysis::{Analysis, Curve, Verdict, value},
    format::{count, label, quantity, significant},
};

/// Two searches whose best differ by less than this share are called equally good.
const SAME: f64 = 0.01;
/// Distance from week 2, in log ratio, that a faithful reproduction may have.
const FAITHFUL: f64 = 0.1;

/// How fast the search reached what the grid found: where it was faster, or where it was not.
pub(super) fn search_against_grid(analysis: &Analysis<'_>, faster: bool) -> Option<String> {
    let (search, grid) = (analysis.search()?, analysis.grid()?);
    let objective = analysis.objective();
    let target = grid.best()?;
    let best = quantity(&objective.metric, target);
    let all = grid.points.len();
    let needed = grid.trials_to_reach(objective, target)?;
    let Some(reached) = search.trials_to_reach(objective, target) else {
        return (!faster).then(|| {
            format!(
                "The search did not reach the best of all {all} trials of the grid ({best}) in {}.",
                count(search.points.len(), "trial"),
            )
        });
    };
    ((reached < needed) == faster).then(|| {
        if faster {
            format!(
                "The search was as good as the best of all {all} trials of the grid ({best}) after {reached}; the grid needed {needed}."
            )
        } else {
            format!(
                "The grid came upon its best ({best}) after {} of {all}, by the order of its values; the search needed {reached}.",
                count(needed, "trial"),
            )
        }
    })
}

/// The search against each comparison at equal budget: those that it beats, or those that it does
/// not.
pub(super) fn against_others(analysis: &Analysis<'_>, beaten: bool) -> Vec<String> {
    let Some(search) = analysis.search() else { return Vec::new() };
    let objective = analysis.objective();
    let comparisons = analysis.curves.iter().filter(|c| c.study.role == StudyRole::Comparison);
    let sentence = |other: &Curve<'_>| {
        let budget = search.points.len().min(other.points.len());
        let name = &other.study.name;
        let of = |best| quantity(&objective.metric, best);
        let (won, words) = match (search.best_within(budget), other.best_within(budget)) {
            (None, None) => return None,
            (Some(ours), None) => (
                true,
                format!(
                    "the search had {}; study `{name}` had nothing that meets all targets",
                    of(ours)
                ),
            ),
            (None, Some(theirs)) => (
                false,
                format!(
                    "study `{name}` had {}, the search nothing that meets all targets",
                    of(theirs)
                ),
            ),
            (Some(ours), Some(theirs)) if (ours - theirs).abs() < ours.abs() * SAME => (
                false,
                format!(
                    "study `{name}` was as good as the search: {} and {}",
                    of(theirs),
                    of(ours)
                ),
            ),
            (Some(ours), Some(theirs)) if objective.is_better(ours, theirs) => (
                true,
                format!(
                    "the search's best was {}, that of study `{name}` {}",
                    of(ours),
                    of(theirs)
                ),
            ),
            (Some(ours), Some(theirs)) => (
                false,
                format!(
                    "study `{name}` was ahead of the search: {} against {}",
                    of(theirs),
                    of(ours)
                ),
            ),
        };
        (won == beaten).then(|| format!("After {} {words}.", count(budget, "trial")))
    };
    comparisons.filter_map(sentence).collect()
}

/// How much of the way from the baseline to the found configuration the default goes.
pub(super) fn default_share(analysis: &Analysis<'_>) -> Option<String> {
    let objective = analysis.objective();
    let metric = &objective.metric;
    let of = |trial| value(trial, metric).filter(|value| *value > 0.0);
    let (baseline, default) = (of(analysis.baseline?)?, of(analysis.default?)?);
    if matches!(analysis.verdict, Verdict::NoneFeasible(_)) {
        return None;
    }
    let found = of(analysis.verdict.trial()?)?;
    // Ratios, since each step multiplies; above 0 where it is for the better.
    let gain = |before: f64, after: f64| {
        let change = (after / before).ln();
        if objective.is_better(after, before) { change.abs() } else { -change.abs() }
    };
    let (by_default, by_both) = (gain(baseline, default), gain(baseline, found));
    let share = by_default / by_both;
    (by_default > 0.0 && by_both > 0.0 && share > 0.5).then(|| {
        let rest = if share < 0.995 {
            format!("the search adds a factor of {}", significant((by_both - by_default).exp()))
        } else {
            "the search adds nothing to it".to_owned()
        };
        format!(
            "Most of the improvement comes with vLLM's defaults: {} goes from {} to {}, by a factor of {}; {rest}.",
            label(metric),
            quantity(metric, baseline),
            quantity(metric, default),
            significant(by_default.exp()),
        )
    })
}

/// The number in which the baseline of this set is furthest from week 2.
pub(super) fn baseline_against_week2(analysis: &Analysis<'_>) -> Option<String> {
    Week2::of(analysis)?;
    let baseline = analysis.baseline?;
    let ratio = |documented: &'static Documented| {
        let seen = value(baseline, documented.metric).filter(|seen| *seen > 0.0)?;
        Some((documented, seen, (seen / documented.value).ln().abs()))
    };
    let (&Documented { metric, text, .. }, seen, distance) = WEEK2
        .iter()
        .filter_map(ratio)
        .reduce(|most, next| if next.2 > most.2 { next } else { most })?;
    (distance > FAITHFUL).then(|| {
        format!(
            "The {} baseline is furthest from week 2 in {}: {} against {text} documented.",
            kind(&analysis.set.manifest.backend),
            label(metric),
            quantity(metric, seen),
        )
    })
}
