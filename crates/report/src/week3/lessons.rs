//! The lessons of a result set: what worked, what was hard, what was not expected. Each is drawn
//! from the numbers, and left out where the numbers do not show it.

use slotune_results::StudyRole;

use super::{
    documented::{Documented, WEEK2},
    tables::equal_budget,
    wording::{and, change, kind, miss, value as setting},
};
use crate::{
    analysis::{Analysis, Change, Curve, Level, Recommendation, Sweep, Verdict, value},
    format::{bound, count, label, percent, quantity, significant},
};

/// A parameter whose levels' medians differ by less than this share has no effect to speak of.
pub(super) const NO_EFFECT: f64 = 0.02;
/// Two searches whose best differ by less than this share are called equally good.
const SAME: f64 = 0.01;
/// Distance from week 2, in log ratio, that a faithful reproduction may have.
const FAITHFUL: f64 = 0.1;

/// What worked.
pub(super) fn worked(analysis: &Analysis<'_>) -> Vec<String> {
    let objective = analysis.objective();
    let metric = &objective.metric;
    let mut lessons = Vec::new();
    if let (Verdict::Change(found), Some(baseline)) = (&analysis.verdict, analysis.baseline)
        && let Some(gain) = between(baseline, found.trial, metric)
        && gain.is_beyond_noise()
        && objective.is_better(1.0 + gain.relative, 1.0)
    {
        lessons.push(format!(
            "Against the baseline, the recommended configuration's {} is {}.",
            label(metric),
            change(metric, Some(gain)),
        ));
    }
    if let Verdict::Change(Recommendation { change: Some(gain), default_misses, .. }) =
        &analysis.verdict
        && objective.is_better(1.0 + gain.relative, 1.0)
    {
        let targets = if default_misses.is_empty() {
            ""
        } else {
            ", and meets the targets that the default misses"
        };
        lessons.push(format!(
            "Against vLLM's default, its {} is {}{targets}.",
            label(metric),
            change(metric, Some(*gain))
        ));
    }
    let mut effects: Vec<(f64, &Sweep<'_>)> = grid_sweeps(analysis)
        .filter_map(|sweep| Some((sweep.effect(objective)?, sweep)))
        .filter(|(effect, _)| *effect > 5.0 * NO_EFFECT)
        .collect();
    effects.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, sweep) in effects.iter().take(2) {
        let of = |level: Option<&Level<'_>>| {
            let level = level?;
            Some((quantity(metric, level.median(metric)?), setting(level.value)))
        };
        if let (Some((best, at_best)), Some((worst, at_worst))) =
            (of(sweep.best_level(objective)), of(sweep.worst_level(objective)))
        {
            lessons.push(format!(
                "`{}` matters: the median {} is {best} with {at_best} and {worst} with {at_worst}.",
                sweep.parameter,
                label(metric),
            ));
        }
    }
    lessons.extend(search_against_grid(analysis, true));
    lessons.extend(against_others(analysis, true));
    if lessons.is_empty() {
        lessons.push("Nothing in this set is better than what there was before it.".to_owned());
    }
    lessons
}

/// What was hard.
pub(super) fn challenges(analysis: &Analysis<'_>) -> Vec<String> {
    let metric = &analysis.objective().metric;
    let mut lessons = Vec::new();
    if let Verdict::NoneFeasible(near) = &analysis.verdict {
        let missed: Vec<String> = near.misses().map(miss).collect();
        lessons.push(format!(
            "No configuration meets every target; the closest still misses {}.",
            and(&missed)
        ));
    }
    if let Verdict::KeepDefault { best: Some(found), .. } = &analysis.verdict {
        lessons.push(format!(
            "The best that the search found is not better than vLLM's default: {} is {}.",
            label(metric),
            change(metric, found.change),
        ));
    }
    let all = analysis.set.trials.len();
    for group in &analysis.failures {
        let trials = group.trials.len();
        lessons.push(if group.infeasible {
            format!(
                "{trials} of {} could not run ({}).",
                count(all, "trial"),
                group.class.replace('_', " ")
            )
        } else {
            format!(
                "{} failed for reasons outside the configuration ({}).",
                count(trials, "trial"),
                group.class.replace('_', " ")
            )
        });
    }
    for effect in analysis.constraints.iter().filter(|effect| effect.missed > 0) {
        let binds = effect.excludes.and_then(|trial| Some((trial, value(trial, metric)?)));
        let price = binds.map_or(String::new(), |(trial, value)| {
            format!(
                " Without it, trial {} would win, with a {} of {}.",
                trial.entry.trial.id,
                label(metric),
                quantity(metric, value)
            )
        });
        let alone = match effect.missed_alone {
            0 => "always with another target".to_owned(),
            all if all == effect.missed => "always alone".to_owned(),
            some => format!("{some} of them alone"),
        };
        lessons.push(format!(
            "{} of {} missed the target {}, {alone}.{price}",
            effect.missed,
            count(effect.completed, "measured search trial"),
            bound(effect.constraint),
        ));
    }
    if lessons.is_empty() {
        let none_ended = analysis.set.trials.iter().all(|trial| trial.entry.is_pending());
        lessons.push(if none_ended {
            "No trial of this set has ended.".to_owned()
        } else {
            "Every trial that ended was measured, and every search trial met every target."
                .to_owned()
        });
    }
    lessons
}

/// What was not expected.
pub(super) fn unexpected(analysis: &Analysis<'_>) -> Vec<String> {
    let objective = analysis.objective();
    let metric = &objective.metric;
    let mut lessons = Vec::new();
    lessons.extend(default_share(analysis));
    lessons.extend(search_against_grid(analysis, false));
    lessons.extend(against_others(analysis, false));
    let idle: Vec<String> = grid_sweeps(analysis)
        .filter(|sweep| sweep.effect(objective).is_some_and(|effect| effect < NO_EFFECT))
        .map(|sweep| format!("`{}`", sweep.parameter))
        .collect();
    if !idle.is_empty() {
        lessons.push(format!(
            "{} made no difference to speak of: the median {} differs by less than {} between values.",
            and(&idle),
            label(metric),
            percent(NO_EFFECT),
        ));
    }
    for sweep in grid_sweeps(analysis) {
        let numbers = |level: &Level<'_>| level.value.and_then(slotune_core::Value::number);
        let (Some(best), Some(last)) = (sweep.best_level(objective), sweep.levels.last()) else {
            continue;
        };
        let (Some(_), Some(_), Some(low), Some(high)) =
            (numbers(best), numbers(last), best.median(metric), last.median(metric))
        else {
            continue;
        };
        let distance = high / low - 1.0;
        if low > 0.0 && distance.abs() > NO_EFFECT {
            lessons.push(format!(
                "More is not better for `{}`: the median {} is best at {} and {} {} at {}.",
                sweep.parameter,
                label(metric),
                setting(best.value),
                percent(distance.abs()),
                if distance > 0.0 { "higher" } else { "lower" },
                setting(last.value),
            ));
        }
    }
    lessons.extend(baseline_against_week2(analysis));
    if lessons.is_empty() {
        lessons.push(
            "Nothing that the analysis looks for: idle parameters, larger values that are worse, a comparison that keeps up with the search, a baseline unlike week 2.".to_owned(),
        );
    }
    lessons
}

/// The sweeps of a grid that compare like with like; others teach nothing of one parameter.
fn grid_sweeps<'s, 'a>(analysis: &'s Analysis<'a>) -> impl Iterator<Item = &'s Sweep<'a>> {
    let is_grid = analysis.grid().is_some();
    analysis.sweeps.iter().filter(move |sweep| is_grid && sweep.settings > 0)
}

/// How fast the search reached what the grid found: where it was faster, or where it was not.
fn search_against_grid(analysis: &Analysis<'_>, faster: bool) -> Option<String> {
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
fn against_others(analysis: &Analysis<'_>, beaten: bool) -> Vec<String> {
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
    if equal_budget(analysis) == 0 {
        Vec::new()
    } else {
        comparisons.filter_map(sentence).collect()
    }
}

/// How much of the way from the baseline to the found configuration the default goes.
fn default_share(analysis: &Analysis<'_>) -> Option<String> {
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
fn baseline_against_week2(analysis: &Analysis<'_>) -> Option<String> {
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

fn between(
    before: &slotune_results::StoredTrial,
    after: &slotune_results::StoredTrial,
    metric: &str,
) -> Option<Change> {
    Change::between(
        before.entry.measurement()?.get(metric)?,
        after.entry.measurement()?.get(metric)?,
    )
}
