//! The servers of the set side by side: targets and gains.

use slotune_core::Constraint;

use super::{
    super::{
        documented::Week2,
        wording::{change, kind},
    },
    markdown::Table,
};
use crate::{
    analysis::{Analysis, BEYOND_NOISE, Change, value},
    asked::{each_once, goals},
    format::{and, bound_value, estimate, heading, is_worse, label, quantity},
    subject::{Role, Subject, subjects},
};

/// Targets, and who meets them; ends a sentence that names the objective.
pub(in super::super) fn targets(analysis: &Analysis<'_>) -> String {
    if analysis.objective().constraints.is_empty() {
        return "without targets.".to_owned();
    }
    let subjects = subjects(analysis);
    let week2 = Week2::of(analysis);
    let mut headings = vec!["Target"];
    headings.extend(week2.map(|_| "Week 2"));
    headings.push("Bound");
    headings.extend(subjects.iter().map(|subject| subject.label));
    let mut table = Table::new(headings);
    for constraint in &analysis.objective().constraints {
        let mut row = vec![heading(&constraint.metric)];
        row.extend(week2.map(|week2| {
            week2.target(&constraint.metric).map_or("none", |target| target.text).to_owned()
        }));
        row.push(bound_value(constraint));
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
    let Some(week2) = Week2::of(analysis) else { return Vec::new() };
    let same = |a: f64, b: f64| (a - b).abs() <= SAME * b.abs();
    let is_scaled = |constraint: &&Constraint| {
        let bound = constraint.bound.value();
        let known = week2.target(&constraint.metric).zip(week2.documented(&constraint.metric));
        known.is_some_and(|(target, measured)| {
            let baseline = analysis.baseline.and_then(|t| value(t, &constraint.metric));
            !same(bound, target.value)
                && baseline.is_some_and(|b| same(bound / b, target.value / measured.value))
        })
    };
    let constraints = analysis.objective().constraints.iter();
    constraints.filter(is_scaled).map(|c| format!("on {}", label(&c.metric))).collect()
}

/// The metrics of the owner's table, in its order and words.
const OWNERS: [(&str, &str); 5] = [
    ("Queue Time %", "queue_share"),
    ("P95 Latency", "e2e_p95_s"),
    ("Long Seq (500+ tok)", "e2e_p95_very_long_s"),
    ("Throughput", "output_throughput_tok_per_s"),
    ("Request Capacity", "request_throughput_per_s"),
];

/// What else tells the story.
const OTHERS: [&str; 4] = ["queue_time_p50_s", "e2e_p50_s", "e2e_p99_s", "ttft_p95_s"];

/// The metrics of the summary and their names: what is asked for comes first, except that the owner's table
/// stays whole where the set continues it.
fn rows<'a>(analysis: &Analysis<'a>) -> Vec<(String, &'a str)> {
    let objective = analysis.objective();
    let owners = || OWNERS.into_iter().map(|(_, metric)| metric);
    let is_owners = Week2::of(analysis).is_some();
    let first = goals(objective).filter(|goal| !is_owners || owners().all(|own| own != *goal));
    let asked = objective.metrics();
    let metrics = if is_owners {
        each_once(first.chain(owners()).chain(asked).chain(OTHERS))
    } else {
        each_once(first.chain(asked).chain(owners()).chain(OTHERS))
    };
    let named = |metric| {
        let owners = OWNERS.into_iter().find(|(_, own)| is_owners && *own == metric);
        let name = owners.map_or_else(|| heading(metric), |(name, _)| name.to_owned());
        let is_bold = owners.is_some() || goals(objective).any(|goal| goal == metric);
        (if is_bold { format!("**{name}**") } else { name }, metric)
    };
    metrics.into_iter().map(named).collect()
}

/// Week 2 as documented where it is about this system, the servers of this set, and what the search gained.
pub(in super::super) fn before_after(analysis: &Analysis<'_>) -> String {
    let subjects = subjects(analysis);
    if subjects.is_empty() {
        return "This set has no baseline, no default and no search to set side by side."
            .to_owned();
    }
    let kind = kind(&analysis.set.manifest.backend);
    let found = subjects.iter().find(|subject| subject.role == Role::Found);
    let gains: Vec<&Subject<'_>> =
        subjects.iter().filter(|s| s.role != Role::Found && found.is_some()).collect();
    let week2 = Week2::of(analysis);
    let mut headings = vec!["Metric".to_owned()];
    headings.extend(week2.map(|_| "Week 2 Baseline (documented)".to_owned()));
    headings.extend(subjects.iter().map(|subject| match subject.role {
        Role::Found if week2.is_some() => format!("Week 3 {} ({kind})", subject.label),
        _ => format!("{} ({kind})", subject.label),
    }));
    headings.extend(gains.iter().map(|subject| match subject.role {
        Role::Baseline => "Improvement over baseline".to_owned(),
        _ => "Improvement over default".to_owned(),
    }));
    let mut table = Table::new(headings);
    for (name, metric) in rows(analysis) {
        let of = |subject: &Subject<'_>| subject.trial.entry.measurement()?.get(metric);
        let mut row = vec![name];
        row.extend(week2.map(|week2| {
            week2.documented(metric).map_or("n/a", |documented| documented.text).to_owned()
        }));
        row.extend(
            subjects.iter().map(|s| of(s).map_or("n/a".to_owned(), |e| estimate(metric, e))),
        );
        let gain = |before: &Subject<'_>| {
            let (before, after) = (of(before)?, found.and_then(of)?);
            // A ratio to nothing, or to what may be nothing, says nothing; the difference does.
            let is_nothing = before.value <= BEYOND_NOISE * before.standard_error;
            Some(if is_nothing && after.value > before.value {
                more(metric, after.value - before.value)
            } else {
                change(metric, Change::between(before, after))
            })
        };
        row.extend(gains.iter().map(|&before| gain(before).unwrap_or_else(|| "n/a".to_owned())));
        table.row(row);
    }
    table.to_string()
}

/// By how much a metric is higher.
fn more(metric: &str, difference: f64) -> String {
    let size = quantity(metric, difference);
    // Of two shares the difference is no share of either.
    let size = size.strip_suffix('%').map_or(size.clone(), |points| format!("{points} pp"));
    let worse = if is_worse(metric, difference) { " (worse)" } else { "" };
    format!("{size} more{worse}")
}
