//! The tables of the page.

mod markdown;

use slotune_core::{Estimate, State};
use slotune_results::StudyRole;

use super::{
    arguments::in_effect,
    documented::week2,
    wording::{change, configuration, kind, value as setting},
};
use markdown::Table;

use crate::{
    analysis::{Analysis, Change, Curve, Sweep, misses, value},
    format::{bound_value, count, estimate, heading, label, quantity, quantity_or, span},
    subject::{Role, Subject, subjects},
};

/// Targets, and who meets them; ends a sentence that names the objective.
pub(super) fn targets(analysis: &Analysis<'_>) -> String {
    if analysis.objective().constraints.is_empty() {
        return "without targets.".to_owned();
    }
    let subjects = subjects(analysis);
    let mut table = Table::new(
        ["Target", "Bound"].into_iter().chain(subjects.iter().map(|subject| subject.label)),
    );
    for constraint in &analysis.objective().constraints {
        let mut row = vec![heading(&constraint.metric), bound_value(constraint)];
        row.extend(subjects.iter().map(|subject| match value(subject.trial, &constraint.metric) {
            Some(value) => {
                let verdict = if constraint.is_met(value) { "✅" } else { "❌" };
                format!("{verdict} {}", quantity(&constraint.metric, value))
            }
            None => "n/a".to_owned(),
        }));
        table.row(row);
    }
    format!(
        "subject to these targets ({} values):\n\n{table}",
        kind(&analysis.set.manifest.backend)
    )
}

/// The metrics of the owner's table, in its order and words, then what else tells the story.
const BEFORE_AFTER: [(&str, &str); 9] = [
    ("**Queue Time %**", "queue_share"),
    ("**P95 Latency**", "e2e_p95_s"),
    ("**Long Seq (500+ tok)**", "e2e_p95_very_long_s"),
    ("**Throughput**", "output_throughput_tok_per_s"),
    ("**Request Capacity**", "request_throughput_per_s"),
    ("P50 Queue Time", "queue_time_p50_s"),
    ("P50 Latency", "e2e_p50_s"),
    ("P99 Latency", "e2e_p99_s"),
    ("P95 TTFT", "ttft_p95_s"),
];

/// Week 2 as documented, the servers of this set, and what the search gained.
pub(super) fn before_after(analysis: &Analysis<'_>) -> String {
    let subjects = subjects(analysis);
    let kind = kind(&analysis.set.manifest.backend);
    let found = subjects.iter().find(|subject| subject.role == Role::Found);
    let gains: Vec<&Subject<'_>> =
        subjects.iter().filter(|s| s.role != Role::Found && found.is_some()).collect();
    let mut headings = vec!["Metric".to_owned(), "Week 2 Baseline (documented)".to_owned()];
    headings.extend(subjects.iter().map(|subject| match subject.role {
        Role::Found => format!("Week 3 {} ({kind})", subject.label),
        _ => format!("{} ({kind})", subject.label),
    }));
    headings.extend(gains.iter().map(|subject| match subject.role {
        Role::Baseline => "Improvement over baseline".to_owned(),
        _ => "Improvement over default".to_owned(),
    }));
    let mut table = Table::new(headings);
    for (name, metric) in BEFORE_AFTER {
        let of = |subject: &Subject<'_>| subject.trial.entry.measurement()?.get(metric);
        let mut row = vec![name.to_owned(), week2(metric).unwrap_or("n/a").to_owned()];
        row.extend(
            subjects.iter().map(|s| of(s).map_or("n/a".to_owned(), |e| estimate(metric, e))),
        );
        let gain = |before: &Subject<'_>| Change::between(of(before)?, found.and_then(of)?);
        row.extend(gains.iter().map(|&before| change(metric, gain(before))));
        table.row(row);
    }
    table.to_string()
}

/// What a parameter did: one row for each of its values, the medians over all other parameters.
pub(super) fn sweep(analysis: &Analysis<'_>, sweep: &Sweep<'_>, metrics: &[&str]) -> String {
    let objective = analysis.objective();
    let mut headings = vec![format!("`{}`", sweep.parameter), "Trials".to_owned()];
    headings.extend(["Cannot run".to_owned(), "Meet all targets".to_owned()]);
    headings.extend(metrics.iter().map(|metric| format!("{} (median)", heading(metric))));
    let objective_label = label(&objective.metric);
    headings.push(format!("Best {objective_label} that meets all targets"));
    let mut table = Table::new(headings);
    for level in &sweep.levels {
        let mut row = vec![
            setting(level.value),
            level.trials.len().to_string(),
            level.infeasible().to_string(),
            level.feasible(objective).to_string(),
        ];
        row.extend(metrics.iter().map(|metric| quantity_or(metric, level.median(metric))));
        let best = level.best(objective).and_then(|trial| value(trial, &objective.metric));
        row.push(best.map_or_else(|| "none".to_owned(), |best| quantity(&objective.metric, best)));
        table.row(row);
    }
    table.to_string()
}

/// The trials at which the search got better.
pub(super) fn improvements(analysis: &Analysis<'_>, search: &Curve<'_>) -> Option<String> {
    let metric = &analysis.objective().metric;
    let mut table =
        Table::new(["Trial", heading(metric).as_str(), "Output throughput", "Configuration"]);
    let mut incumbent = None;
    for point in &search.points {
        if point.incumbent != incumbent {
            incumbent = point.incumbent;
            let trial = &point.trial.entry.trial;
            let estimate = point.trial.entry.measurement().and_then(|m| m.get(metric));
            table.row([
                trial.id.to_string(),
                estimate.map_or("n/a".to_owned(), |e: Estimate| crate::format::estimate(metric, e)),
                quantity_or(THROUGHPUT, value(point.trial, THROUGHPUT)),
                configuration(&trial.configuration),
            ]);
        }
    }
    incumbent.map(|_| table.to_string())
}

const THROUGHPUT: &str = "output_throughput_tok_per_s";

/// The searches at equal budget and at their own.
pub(super) fn comparison(analysis: &Analysis<'_>) -> Option<String> {
    if analysis.curves.len() < 2 {
        return None;
    }
    let objective = analysis.objective();
    let budget = equal_budget(analysis);
    let grid_best = analysis.grid().and_then(Curve::best);
    let name = label(&objective.metric);
    let mut table = Table::new([
        "Study".to_owned(),
        "Trials".to_owned(),
        "Meet all targets".to_owned(),
        "Cannot run".to_owned(),
        "Failed".to_owned(),
        format!("Best {name} in {}", count(budget, "trial")),
        format!("Best {name} in all"),
        "Trials to reach the grid's best".to_owned(),
        "Evaluation time".to_owned(),
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
        ]);
    }
    Some(table.to_string())
}

/// The number of trials that every study had.
pub(super) fn equal_budget(analysis: &Analysis<'_>) -> usize {
    analysis.curves.iter().map(|curve| curve.points.len()).min().unwrap_or(0)
}

/// What each target did to the search.
pub(super) fn constraints(analysis: &Analysis<'_>) -> Option<String> {
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
    for effect in &analysis.constraints {
        let excluded = effect.excludes.map(|trial| {
            format!("trial {}: {}", trial.entry.trial.id, quantity_or(metric, value(trial, metric)))
        });
        table.row([
            heading(&effect.constraint.metric),
            bound_value(effect.constraint),
            format!("{} of {}", effect.missed, effect.completed),
            effect.missed_alone.to_string(),
            quantity_or(&effect.constraint.metric, effect.furthest),
            excluded.unwrap_or_else(|| "none: it does not bind".to_owned()),
        ]);
    }
    Some(table.to_string())
}

/// Trials without a measurement.
pub(super) fn failures(analysis: &Analysis<'_>) -> Option<String> {
    /// Characters of a reported text; logs can be long.
    const LONGEST: usize = 160;
    let mut table = Table::new([
        "Kind",
        "Class",
        "Trials",
        "What was reported, first of them",
        "Its configuration",
    ]);
    for group in &analysis.failures {
        let mut example: String = group.example.chars().take(LONGEST).collect();
        if example.len() < group.example.len() {
            example.push('…');
        }
        table.row([
            if group.infeasible { "configuration cannot run" } else { "evaluation failed" },
            group.class,
            &group.trials.len().to_string(),
            // Backticks would end the code that it is shown as.
            &format!("`{}`", example.replace('`', "'")),
            &configuration(&group.trials[0].entry.trial.configuration),
        ]);
    }
    (!analysis.failures.is_empty()).then(|| table.to_string())
}

/// The parameters of the space as the servers had them; empty where no server was tried.
pub(super) fn parameters(analysis: &Analysis<'_>) -> String {
    let subjects = subjects(analysis);
    if subjects.is_empty() {
        return String::new();
    }
    let mut table =
        Table::new(std::iter::once("Parameter").chain(subjects.iter().map(|s| s.label)));
    for parameter in analysis.set.manifest.space.parameters() {
        let of =
            |subject: &Subject<'_>| setting(in_effect(subject.trial, parameter.name()).as_ref());
        table
            .row(std::iter::once(format!("`{}`", parameter.name())).chain(subjects.iter().map(of)));
    }
    table.to_string()
}

/// What each bound of a subject's is missed by, for a sentence; empty where all are met.
pub(super) fn missed(analysis: &Analysis<'_>, subject: &Subject<'_>) -> Vec<String> {
    let measurement = subject.trial.entry.measurement();
    measurement.map_or_else(Vec::new, |m| {
        misses(analysis.objective(), m).iter().map(super::wording::miss).collect()
    })
}

/// The steps that the set records, ticked where they are complete.
pub(super) fn execution_log(analysis: &Analysis<'_>) -> String {
    let steps = analysis.set.manifest.studies.iter().map(|study| {
        let trials = || analysis.set.study(&study.name);
        let told = trials().filter(|trial| matches!(trial.entry.state, State::Told { .. })).count();
        let tick = if told as u64 >= study.trials { 'x' } else { ' ' };
        let labels: Vec<&str> = trials().filter_map(|trial| trial.label.as_deref()).collect();
        let what =
            if labels.is_empty() { String::new() } else { format!(": {}", labels.join(", ")) };
        format!(
            "- [{tick}] Study `{}`, sampler {}, seed {}: {told} of {}{what}",
            study.name,
            study.sampler,
            study.seed,
            count(usize::try_from(study.trials).unwrap_or(usize::MAX), "trial"),
        )
    });
    steps.collect::<Vec<_>>().join("\n")
}
