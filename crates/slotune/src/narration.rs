//! A finished trial in one line, for people who watch.

use slotune_core::{Outcome, State};

use crate::Finished;

/// One line on a trial: what came of it, the incumbent or what the trial is known as, the
/// configuration.
///
/// `trials` is how many trials the study may take.
pub fn trial_line(finished: &Finished<'_>, trials: u32) -> String {
    let Finished { entry, label, history, objective, .. } = finished;
    let metric = &objective.metric;
    let outcome = match &entry.state {
        State::Told { outcome: Outcome::Completed(measurement), .. } => {
            let mark = match measurement.get(metric) {
                _ if !objective.is_feasible(measurement) => "misses a target",
                Some(estimate) if estimate.is_lower_bound => "or more",
                _ if objective.constraints.is_empty() => "",
                _ => "meets targets",
            };
            let value = measurement.value(metric).unwrap_or(f64::NAN);
            format!("{metric} {value:.4} {mark:15}")
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
        Some(format!("best {value:.4} (trial {})", best.trial.id))
    });
    let known_as = label.map(str::to_owned).or(best);
    format!(
        "{:4}/{trials}  {outcome}  {:24}  {}",
        entry.trial.id.0 + 1,
        known_as.unwrap_or_else(|| "none meets them yet".to_owned()),
        entry.trial.configuration,
    )
}
