//! The table of all trials.

use serde::Serialize;
use slotune_core::{Outcome, Reason, State};
use slotune_results::StoredTrial;
use slotune_serving::{Caveat, CaveatClass};

use super::super::wording::{DEFAULTS, miss, settings, shortened};
use crate::{
    analysis::{Analysis, caveat_groups, misses},
    asked::each_once,
    format::{and, estimate, heading},
};

/// Numbers of a trial that the table shows after those that the objective asks for.
const METRICS: [&str; 3] = ["e2e_p95_s", "output_throughput_tok_per_s", "queue_share"];

/// The table.
#[derive(Serialize)]
pub(super) struct Trials {
    /// Over the columns of numbers.
    metrics: Vec<String>,
    rows: Vec<Row>,
}

/// A trial; plain text, which the template escapes.
#[derive(Serialize)]
struct Row {
    study: String,
    trial: u64,
    outcome: String,
    configuration: String,
    metrics: Vec<Cell>,
    caveats: Vec<String>,
}

/// A number as it is read and as it is sorted.
#[derive(Serialize)]
struct Cell {
    text: String,
    /// Empty where it was not measured.
    value: String,
}

impl Trials {
    pub(super) fn new(analysis: &Analysis<'_>) -> Self {
        let metrics = each_once(analysis.objective().metrics().chain(METRICS));
        // What many trials say in the same words is told once, among the lessons.
        let groups = caveat_groups(&analysis.set.trials);
        let shared = groups.iter().filter(|g| g.trials.len() > 1 && g.messages.len() == 1);
        let shared: Vec<CaveatClass> = shared.map(|group| group.class).collect();
        let trials = analysis.set.trials.iter();
        let rows = trials.map(|trial| Row::new(analysis, &metrics, &shared, trial)).collect();
        Self { metrics: metrics.into_iter().map(heading).collect(), rows }
    }
}

impl Row {
    fn new(
        analysis: &Analysis<'_>,
        metrics: &[&str],
        shared: &[CaveatClass],
        stored: &StoredTrial,
    ) -> Self {
        let StoredTrial { study, label, entry, caveats, .. } = stored;
        let label = label.as_ref().map_or_else(String::new, |label| format!(" ({label})"));
        let cell = |metric: &&str| match entry.measurement().and_then(|m| m.get(metric)) {
            None => Cell { text: "n/a".to_owned(), value: String::new() },
            Some(measured) => {
                let is_number = measured.value.is_finite();
                let value = if is_number { measured.value.to_string() } else { String::new() };
                Cell { text: estimate(metric, measured), value }
            }
        };
        let said = |caveat: &Caveat| match caveat.class.name() {
            class if shared.contains(&caveat.class) => class.to_owned(),
            class => format!("{class}: {}", caveat.message),
        };
        Self {
            study: format!("{study}{label}"),
            trial: entry.trial.id.0,
            outcome: outcome(analysis, &entry.state),
            configuration: settings(&entry.trial.configuration)
                .unwrap_or_else(|| DEFAULTS.to_owned()),
            metrics: metrics.iter().map(cell).collect(),
            caveats: caveats.iter().map(said).collect(),
        }
    }
}

/// How the trial ended: `meets all targets`, `misses …`, `cannot run (memory): …`.
fn outcome(analysis: &Analysis<'_>, state: &State) -> String {
    let of = |what: &str, Reason { class, message }: &Reason| {
        format!("{what} ({class}): {}", shortened(message))
    };
    match state {
        State::Pending => "not finished".to_owned(),
        State::Told { outcome: Outcome::Infeasible(reason), .. } => of("cannot run", reason),
        State::Told { outcome: Outcome::Failed(reason), .. } => of("failed", reason),
        State::Told { outcome: Outcome::Pruned(_), .. } => {
            "pruned: its opening promised too little".to_owned()
        }
        State::Told { outcome: Outcome::Completed(measurement), .. } => {
            let missed: Vec<String> =
                misses(analysis.objective(), measurement).iter().map(miss).collect();
            if missed.is_empty() {
                "meets all targets".to_owned()
            } else {
                format!("misses {}", and(&missed))
            }
        }
    }
}
