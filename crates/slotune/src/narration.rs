//! A finished trial in one line, for people who watch.

use slotune_core::{
    Entry, Goal, Measurement, Objective, Origin, Outcome, Scale, State, Trial, opening,
};
use slotune_report::{analysis::misses, quantity};

use crate::Finished;

/// One line on a trial: what came of it, the incumbent or what the trial is known as, the
/// configuration.
///
/// What further trials are expected to gain stands behind the incumbent, where it is known.
pub fn trial_line(finished: &Finished<'_>) -> String {
    let Finished { entry, label, history, objective, .. } = finished;
    let known_as = label.map_or_else(|| incumbent(finished), str::to_owned);
    let Trial { id, configuration, origin, .. } = &entry.trial;
    let again = match origin {
        Origin::Repeat => {
            let first = history.entries().iter().find(|e| e.trial.configuration == *configuration);
            first.map_or_else(String::new, |first| format!(", as trial {}", first.trial.id))
        }
        _ => String::new(),
    };
    format!("trial {id:>3}  {}  {known_as:35}  {configuration}{again}", outcome(entry, objective))
}

fn outcome(entry: &Entry, objective: &Objective) -> String {
    let goals = [Some(objective.goal()), objective.against.clone()];
    let metrics = || goals.iter().flatten().map(|Goal { metric, .. }| metric);
    let text = match &entry.state {
        State::Told { outcome: Outcome::Completed(measurement), .. } => {
            let values = metrics().map(|metric| value(metric, measurement));
            let values: Vec<String> = values.collect();
            format!("{}  {}", values.join("  "), targets(measurement, objective))
        }
        State::Told { outcome: Outcome::Pruned(measurement), .. } => {
            let opening = opening(&objective.metric);
            let more = if measurement.get(&opening).is_some_and(|e| e.is_lower_bound) {
                "at least "
            } else {
                ""
            };
            format!("pruned: {more}{}", value(&opening, measurement))
        }
        State::Told { outcome: Outcome::Infeasible(reason) | Outcome::Failed(reason), .. } => {
            let kind = if entry.is_infeasible() { "infeasible" } else { "failed" };
            format!("{kind} ({})", reason.class)
        }
        State::Pending => "under way".to_owned(),
    };
    let values: usize = metrics().map(|metric| metric.len() + VALUE + 3).sum();
    let width = values + if objective.constraints.is_empty() { 0 } else { TARGETS };
    format!("{text:width$}")
}

/// Width of a value with its unit.
const VALUE: usize = 11;

/// Width of what is said of the targets; names that are longer stand out.
const TARGETS: usize = "misses queue_share".len();

fn value(metric: &str, measurement: &Measurement) -> String {
    let value = measurement.value(metric).unwrap_or(f64::NAN);
    format!("{metric} {:>VALUE$}", quantity(metric, value))
}

/// What is said of the targets, and of what makes a latency look better than it is.
fn targets(measurement: &Measurement, objective: &Objective) -> String {
    let missed = misses(objective, measurement);
    let is_bound = measurement.get(&objective.metric).is_some_and(|e| e.is_lower_bound);
    let said = match missed.as_slice() {
        // A value that is known only to be so much or more may lie above its bound.
        [] if !objective.is_feasible(measurement) => "misses a target".to_owned(),
        [] if is_bound => "or more".to_owned(),
        [] if objective.constraints.is_empty() => String::new(),
        [] => "meets targets".to_owned(),
        [one] => format!("misses {}", one.constraint.metric),
        several => format!("misses {} targets", several.len()),
    };
    // Whoever answers fewer requests has lower latencies.
    let answered = measurement.value("completed_share").filter(|share| *share < 1.0);
    let answered =
        answered.map(|share| format!("{} completed", quantity("completed_share", share)));
    let parts = [Some(said), answered].into_iter().flatten().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ")
}

/// The best so far, and what further trials are expected to gain.
fn incumbent(finished: &Finished<'_>) -> String {
    let Finished { entry, history, objective, remaining_gain, .. } = finished;
    let metric = &objective.metric;
    let Some(best) = history.best(objective) else { return "none meets them yet".to_owned() };
    let known = best.measurement().and_then(|measurement| measurement.value(metric));
    let best = if best.trial.id == entry.trial.id {
        "best so far".to_owned()
    } else {
        format!("best {} (trial {})", quantity(metric, known.unwrap_or(f64::NAN)), best.trial.id)
    };
    let is_share = objective.scale == Scale::Log || objective.against.is_some();
    let gain = remaining_gain.map(|gain| match gain.expected() {
        gain if is_share => format!(", {:.1}% to gain", 100.0 * gain),
        gain => format!(", {} to gain", quantity(metric, gain)),
    });
    best + &gain.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use slotune_core::{Constraint, Estimate};

    use super::*;

    #[test]
    fn a_target_that_a_run_given_up_may_miss_is_not_called_met() {
        let objective = Objective::minimise("e2e_p95_s")
            .subject_to(Constraint::at_most("ttft_p95_s", 2.0))
            .subject_to(Constraint::at_least("output_throughput_tok_per_s", 100.0));
        let said = |ttft: Estimate, throughput: f64| {
            let measurement = Measurement::new()
                .with("e2e_p95_s", 3.0)
                .with("output_throughput_tok_per_s", throughput)
                .with_estimate("ttft_p95_s", ttft);
            targets(&measurement, &objective)
        };
        let exact = Estimate::new(1.5, 0.0);
        assert_eq!(said(exact, 200.0), "meets targets");
        let or_more = Estimate { is_lower_bound: true, ..exact };
        assert_eq!(said(or_more, 200.0), "misses a target");
        assert_eq!(said(exact, 50.0), "misses output_throughput_tok_per_s");
        assert_eq!(said(Estimate::new(2.5, 0.0), 50.0), "misses 2 targets");
    }
}
