//! The lessons of a result set: what worked, what was hard, what was not expected. Each is drawn
//! from the numbers, and left out where the numbers do not show it.

mod caveats;
mod comparison;

use slotune_core::Objective;
use slotune_results::StoredTrial;

use super::{
    finals::became_of,
    wording::{change, miss},
};
use crate::{
    analysis::{Analysis, Change, Level, Recommendation, Sweep, Verdict, value},
    format::{and, bound, count, label, percent, quantity, setting},
};
use caveats::caveats;
use comparison::{against_others, baseline_against_week2, default_share, search_against_grid};

/// A parameter whose levels' medians differ by less than this share has no effect to speak of.
pub(super) const NO_EFFECT: f64 = 0.02;

/// What worked.
pub(super) fn worked(analysis: &Analysis<'_>) -> Vec<String> {
    let objective = analysis.objective();
    let metric = &objective.metric;
    let mut lessons = Vec::new();
    if let (Some(advised), Some(baseline)) = (analysis.verdict.advised(), analysis.baseline)
        && let Some(gain) = between(baseline, advised, metric)
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
        let best_level = sweep.best_level(objective);
        let but = best_level.map_or("", |level| in_vain(level, objective));
        if let (Some((best, at_best)), Some((worst, at_worst))) =
            (of(best_level), of(sweep.worst_level(objective)))
        {
            lessons.push(format!(
                "`{}` matters: the median {} is {best} with {at_best}{but} and {worst} with {at_worst}.",
                sweep.parameter,
                label(metric),
            ));
        }
    }
    lessons.extend(search_against_grid(analysis, true));
    lessons.extend(against_others(analysis, true));
    if lessons.is_empty() {
        lessons.push(if analysis.search().is_some_and(|search| !search.points.is_empty()) {
            "Nothing that the search found is recommended.".to_owned()
        } else {
            "Nothing was searched in this set.".to_owned()
        });
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
        lessons.push(match became_of(analysis, found.trial) {
            Some(became) => format!("The best that the search found did not last: {became}."),
            None => format!(
                "The best that the search found is not better than vLLM's default: {} is {}.",
                label(metric),
                change(metric, found.change),
            ),
        });
    }
    lessons.extend(caveats(analysis));
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
    for effect in
        analysis.constraints.iter().filter(|effect| effect.missed > 0 || effect.excludes.is_some())
    {
        let binds = effect.excludes.and_then(|trial| Some((trial, value(trial, metric)?)));
        let price = binds.map_or(String::new(), |(trial, value)| {
            format!(
                " Without it, `{}` would win, with a {} of {}.",
                trial.name(),
                label(metric),
                quantity(metric, value)
            )
        });
        let alone = match effect.missed_alone {
            _ if effect.missed == 0 => String::new(),
            0 => ", always with another target".to_owned(),
            all if all == effect.missed => ", always alone".to_owned(),
            some => format!(", {some} of them alone"),
        };
        lessons.push(format!(
            "{} of {} missed the target {}{alone}.{price}",
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
            "Every trial that ended was measured, and no search trial missed a target.".to_owned()
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
                "More is not better for `{}`: the median {} is best at {}{} and {} {} at {}.",
                sweep.parameter,
                label(metric),
                setting(best.value),
                in_vain(best, objective),
                percent(distance.abs()),
                if distance > 0.0 { "higher" } else { "lower" },
                setting(last.value),
            ));
        }
    }
    lessons.extend(baseline_against_week2(analysis));
    if lessons.is_empty() {
        lessons.push(
            "Nothing: no parameter was found that does nothing, no larger value that is worse, no comparison that keeps up with the search.".to_owned(),
        );
    }
    lessons
}

/// What to say beside a value that looks best and is of no use.
fn in_vain(level: &Level<'_>, objective: &Objective) -> &'static str {
    if level.feasible(objective) > 0 { "" } else { " (no trial with that meets every target)" }
}

/// The sweeps of a grid that compare like with like; others teach nothing of one parameter.
fn grid_sweeps<'s, 'a>(analysis: &'s Analysis<'a>) -> impl Iterator<Item = &'s Sweep<'a>> {
    let is_grid = analysis.grid().is_some();
    analysis.sweeps.iter().filter(move |sweep| is_grid && sweep.settings > 0)
}

fn between(before: &StoredTrial, after: &StoredTrial, metric: &str) -> Option<Change> {
    Change::between(
        before.entry.measurement()?.get(metric)?,
        after.entry.measurement()?.get(metric)?,
    )
}
