//! The tables of the page.

mod markdown;

use slotune_core::{Constraint, Estimate, State};
use slotune_results::StudyRole;

use super::{
    arguments::in_effect,
    documented::{documented, target},
    wording::{and, change, configuration, kind, value as setting},
};
use markdown::Table;

use crate::{
    analysis::{Analysis, Change, Curve, Sweep, misses, value},
    format::{bound_value, count, estimate, heading, is_worse, label, quantity, quantity_or, span},
    subject::{Role, Subject, subjects},
};

/// Targets, and who meets them; ends a sentence that names the objective.
pub(super) fn targets(analysis: &Analysis<'_>) -> String {
    if analysis.objective().constraints.is_empty() {
        return "without targets.".to_owned();
    }
    let subjects = subjects(analysis);
    let mut table = Table::new(
        ["Target", "Week 2", "Bound"]
            .into_iter()
            .chain(subjects.iter().map(|subject| subject.label)),
    );
    for constraint in &analysis.objective().constraints {
        let week2 = target(&constraint.metric).map_or("none", |target| target.text);
        let mut row = vec![heading(&constraint.metric), week2.to_owned(), bound_value(constraint)];
        row.extend(subjects.iter().map(|subject| match value(subject.trial, &constraint.metric) {
            Some(value) => {
                let verdict = if constraint.is_met(value) { "✅" } else { "❌" };
                format!("{verdict} {}", quantity(&constraint.metric, value))
            }
            None => "n/a".to_owned(),
        }));
        table.row(row);
    }
    let kind = kind(&analysis.set.manifest.backend);
    let scaled = match scaled_targets(analysis).as_slice() {
        [] => String::new(),
        scaled => format!(
            "\n\nThe baseline of this set is not that of week 2; {}, the bound is scaled so that it asks for the same gain as week 2 does.",
            and(scaled)
        ),
    };
    format!("subject to these targets ({kind} values):\n\n{table}{scaled}")
}

/// The metrics whose bound is as far from this set's baseline as the target of week 2 is from its
/// own, and not simply that target.
fn scaled_targets(analysis: &Analysis<'_>) -> Vec<String> {
    /// Share by which a number may be off and still be called the same.
    const SAME: f64 = 0.005;
    let same = |a: f64, b: f64| (a - b).abs() <= SAME * b.abs();
    let is_scaled = |constraint: &&Constraint| {
        let bound = constraint.bound.value();
        target(&constraint.metric).zip(documented(&constraint.metric)).is_some_and(
            |(target, week2)| {
                let baseline = analysis.baseline.and_then(|t| value(t, &constraint.metric));
                !same(bound, target.value)
                    && baseline.is_some_and(|b| same(bound / b, target.value / week2.value))
            },
        )
    };
    let constraints = analysis.objective().constraints.iter();
    constraints.filter(is_scaled).map(|c| format!("on {}", label(&c.metric))).collect()
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
        let mut row =
            vec![name.to_owned(), documented(metric).map_or("n/a", |d| d.text).to_owned()];
        row.extend(
            subjects.iter().map(|s| of(s).map_or("n/a".to_owned(), |e| estimate(metric, e))),
        );
        let gain = |before: &Subject<'_>| {
            let (before, after) = (of(before)?, found.and_then(of)?);
            Some(match Change::between(before, after) {
                // A ratio to nothing says nothing; the difference does.
                None if after.value > 0.0 && before.value == 0.0 => {
                    let worse = if is_worse(metric, after.value) { " (worse)" } else { "" };
                    format!("{} more{worse}", quantity(metric, after.value))
                }
                ratio => change(metric, ratio),
            })
        };
        row.extend(gains.iter().map(|&before| gain(before).unwrap_or_else(|| "n/a".to_owned())));
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
    let without = if analysis.search().is_some_and(|search| search.feasible() > 0) {
        "none: it does not bind"
    } else {
        "none misses only it"
    };
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
            excluded.unwrap_or_else(|| without.to_owned()),
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
