//! The tables of the page.

mod before_after;
mod effects;
mod markdown;
mod search;

use super::{arguments::in_effect, wording::values};
use crate::{
    analysis::{Analysis, Sweep, value},
    format::{heading, label, quantity, quantity_or, setting},
    subject::{Subject, subjects},
};
pub(super) use markdown::Table;

pub(super) use before_after::{before_after, targets};
pub(super) use effects::{importance, start};
pub(super) use search::{comparison, constraints, failures, front, improvements};

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
            values(level),
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
