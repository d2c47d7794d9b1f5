//! How the searches went: their improvements, budgets, targets and failures.

use slotune_results::{StoredTrial, StudyRole};

use super::{
    super::wording::{configuration, kind, shortened},
    markdown::Table,
};
use crate::{
    analysis::{Analysis, Curve, Range, value},
    asked::beside,
    format::{bound_value, count, estimate, heading, label, quantity, quantity_or, setting, span},
};

/// The trials at which the search got better, and what is beside its goal.
pub(in super::super) fn improvements(
    analysis: &Analysis<'_>,
    search: &Curve<'_>,
) -> Option<String> {
    let (metric, beside) = (&analysis.objective().metric, &beside(analysis.objective()).metric);
    let headings =
        ["Trial".to_owned(), heading(metric), heading(beside), "Configuration".to_owned()];
    let mut table = Table::new(headings);
    let mut incumbent = None;
    for point in &search.points {
        if point.incumbent != incumbent {
            incumbent = point.incumbent;
            let trial = &point.trial.entry.trial;
            let measured = point.trial.entry.measurement().and_then(|m| m.get(metric));
            table.row([
                trial.id.to_string(),
                measured.map_or("n/a".to_owned(), |e| estimate(metric, e)),
                quantity_or(beside, value(point.trial, beside)),
                configuration(&trial.configuration),
            ]);
        }
    }
    incumbent.map(|_| table.to_string())
}

/// The trials that no other beats in both goals; `None` where there is one goal, or no such trial.
pub(in super::super) fn front(analysis: &Analysis<'_>) -> Option<String> {
    let objective = analysis.objective();
    let (first, second) = (&objective.metric, &objective.against.as_ref()?.metric);
    let measured = |trial: &StoredTrial, metric: &str| {
        let seen = trial.entry.measurement().and_then(|measurement| measurement.get(metric));
        seen.map_or("n/a".to_owned(), |seen| estimate(metric, seen))
    };
    let headings =
        ["Trial".to_owned(), heading(first), heading(second), "Configuration".to_owned()];
    let mut table = Table::new(headings);
    for trial in &analysis.front {
        table.row([
            trial.entry.trial.id.to_string(),
            measured(trial, first),
            measured(trial, second),
            configuration(&trial.entry.trial.configuration),
        ]);
    }
    (!analysis.front.is_empty()).then(|| table.to_string())
}

/// The searches at equal budget and at their own.
pub(in super::super) fn comparison(analysis: &Analysis<'_>) -> Option<String> {
    if analysis.curves.len() < 2 {
        return None;
    }
    let objective = analysis.objective();
    let budget = equal_budget(analysis);
    let grid_best = analysis.grid().and_then(Curve::best);
    let name = label(&objective.metric);
    let kind = kind(&analysis.set.manifest.backend);
    let mut table = Table::new([
        "Study".to_owned(),
        "Trials".to_owned(),
        "Meet all targets".to_owned(),
        "Cannot run".to_owned(),
        "Failed".to_owned(),
        format!("Best {name} in {}", count(budget, "trial")),
        format!("Best {name} in all"),
        "Trials to reach the grid's best".to_owned(),
        format!("Server time ({kind})"),
        "Of it starting up".to_owned(),
    ]);
    for curve in &analysis.curves {
        let best = |best: Option<f64>| {
            best.map_or("none".to_owned(), |best| quantity(&objective.metric, best))
        };
        let role = if curve.study.role == StudyRole::Search { " (the search)" } else { "" };
        let reached = match grid_best {
            None => "n/a".to_owned(),
            Some(target) => curve
                .trials_to_reach(objective, target)
                .map_or("not reached".to_owned(), |trials| trials.to_string()),
        };
        table.row([
            format!("`{}`{role}", curve.study.name),
            curve.points.len().to_string(),
            curve.feasible().to_string(),
            curve.infeasible().to_string(),
            curve.failed().to_string(),
            best(curve.best_within(budget)),
            best(curve.best()),
            reached,
            span(curve.cost()),
            curve.start_up_s().map_or_else(|| "not recorded".to_owned(), span),
        ]);
    }
    Some(table.to_string())
}

/// The number of trials that every study had.
fn equal_budget(analysis: &Analysis<'_>) -> usize {
    analysis.curves.iter().map(|curve| curve.points.len()).min().unwrap_or(0)
}

/// What each target did to the search.
pub(in super::super) fn constraints(analysis: &Analysis<'_>) -> Option<String> {
    let measured = analysis.constraints.iter().any(|effect| effect.completed > 0);
    if !measured {
        return None;
    }
    let metric = &analysis.objective().metric;
    let mut table = Table::new([
        "Target",
        "Bound",
        "Trials that miss it",
        "Miss only it",
        "Furthest reached",
        "Best trial it excludes",
    ]);
    let without = if analysis.search().is_some_and(|search| search.feasible() > 0) {
        "none: it does not bind"
    } else {
        "none misses only it"
    };
    for effect in &analysis.constraints {
        let excluded = effect.excludes.map(|trial| {
            format!("`{}`: {}", trial.name(), quantity_or(metric, value(trial, metric)))
        });
        table.row([
            heading(&effect.constraint.metric),
            bound_value(effect.constraint),
            format!("{} of {}", effect.missed, effect.completed),
            effect.missed_alone.to_string(),
            quantity_or(&effect.constraint.metric, effect.furthest),
            excluded.unwrap_or_else(|| without.to_owned()),
        ]);
    }
    Some(table.to_string())
}

/// Trials without a measurement.
pub(in super::super) fn failures(analysis: &Analysis<'_>) -> Option<String> {
    let mut table = Table::new([
        "Kind",
        "Class",
        "Trials",
        "What was reported, first of them",
        "Its configuration",
        "Where they all lie",
    ]);
    let set = analysis.set;
    for group in &analysis.failures {
        let region: Vec<String> = group
            .region(&set.manifest.space, &set.trials)
            .iter()
            .map(|Range { parameter, low, high }| match (setting(Some(low)), setting(Some(high))) {
                (low, high) if low == high => format!("`{parameter}` {low}"),
                (low, high) => format!("`{parameter}` {low} to {high}"),
            })
            .collect();
        table.row([
            if group.infeasible { "configuration cannot run" } else { "evaluation failed" },
            group.class,
            &group.trials.len().to_string(),
            // Backticks would end the code that it is shown as.
            &format!("`{}`", shortened(group.example).replace('`', "'")),
            &configuration(&group.trials[0].entry.trial.configuration),
            &match (group.trials.len(), region.as_slice()) {
                (1, _) => "this one alone".to_owned(),
                (_, []) => "anywhere".to_owned(),
                (_, region) => region.join(", "),
            },
        ]);
    }
    (!analysis.failures.is_empty()).then(|| table.to_string())
}
