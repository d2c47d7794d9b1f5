//! A finished trial in one line, for people who watch.

use slotune_core::{Origin, Outcome, Scale, State};

use crate::Finished;

/// One line on a trial: what came of it, the incumbent or what the trial is known as, the
/// configuration.
///
/// `trials` is how many trials the study may take. What further trials are expected to gain stands in
/// brackets, where it is known.
pub fn trial_line(finished: &Finished<'_>, trials: u32) -> String {
    let Finished { entry, label, history, objective, remaining_gain, .. } = finished;
    let metric = &objective.metric;
    let outcome = match &entry.state {
        State::Told { outcome: Outcome::Completed(measurement), .. } => {
            let mark = match measurement.get(metric) {
                _ if !objective.is_feasible(measurement) => "misses a target",
                Some(estimate) if estimate.is_lower_bound => "or more",
                _ if objective.constraints.is_empty() => "",
                _ => "meets targets",
            };
            let value = |metric: &str| measurement.value(metric).unwrap_or(f64::NAN);
            let second = objective.against.as_ref().map(|goal| {
                let metric = &goal.metric;
                format!("{metric} {:.4} ", value(metric))
            });
            // Whoever answers fewer requests has lower latencies.
            let answered = measurement.value("completed_share").filter(|share| *share < 1.0);
            let answered = answered.map(|share| format!(", {:.1} % completed", 100.0 * share));
            let mark = format!("{mark}{}", answered.unwrap_or_default());
            format!("{metric} {:.4} {}{mark:15}", value(metric), second.unwrap_or_default())
        }
        State::Told { outcome: Outcome::Infeasible(reason) | Outcome::Failed(reason), .. } => {
            let kind = if entry.is_infeasible() { "infeasible" } else { "failed" };
            let width = metric.len() + 23;
            format!("{:width$}", format!("{kind} ({})", reason.class))
        }
        State::Pending => "under way".to_owned(),
    };
    let best = history.best(objective).and_then(|best| {
        let value = best.measurement()?.value(metric)?;
        let is_share = objective.scale == Scale::Log || objective.against.is_some();
        let gain = remaining_gain.map_or_else(String::new, |gain| {
            if is_share {
                format!(", {:.1} % to gain", 100.0 * gain.expected())
            } else {
                format!(", {:.4} to gain", gain.expected())
            }
        });
        Some(format!("best {value:.4} (trial {}{gain})", best.trial.id))
    });
    let again = if entry.trial.origin == Origin::Repeat { ", a repeat" } else { "" };
    let known_as = label.map(str::to_owned).or(best);
    format!(
        "{:4}/{trials}  {outcome}  {:24}  {}{again}",
        entry.trial.id.0 + 1,
        known_as.unwrap_or_else(|| "none meets them yet".to_owned()),
        entry.trial.configuration,
    )
}
