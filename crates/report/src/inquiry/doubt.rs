//! Which trials to trust less.

use serde::Serialize;

use super::{Seen, configuration};
use crate::{
    analysis::{differ, is_error_known},
    format,
};

/// A trial to trust less.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Doubt {
    /// Name of its set.
    pub set: String,
    /// Its study.
    pub study: String,
    /// Its number.
    pub trial: u64,
    /// Why.
    pub reason: String,
}

/// Trials that ended early, carry a caveat, or disagree with an earlier one of the same configuration in
/// the same set.
pub(super) fn doubts(metric: &str, seen: &[Seen<'_>]) -> Vec<Doubt> {
    let doubt = |seen: &Seen<'_>, reason: String| Doubt {
        set: seen.name.to_owned(),
        study: seen.trial.study.clone(),
        trial: seen.trial.entry.trial.id.0,
        reason,
    };
    let of = |(place, this): (usize, &Seen<'_>)| {
        let mut reasons = Vec::new();
        if this.value.is_lower_bound {
            reasons.push("the run ended early: its latency is a lower bound".to_owned());
        }
        reasons.extend(
            this.trial.caveats.iter().map(|c| format!("{} ({})", c.message, c.class.name())),
        );
        // Trials that were given different names may have had different loads.
        let is_repeat = |other: &&Seen<'_>| {
            let labels = [&other.trial.label, &this.trial.label];
            let are_two = matches!(labels, [Some(other), Some(this)] if other != this);
            other.name == this.name && configuration(other) == configuration(this) && !are_two
        };
        if let Some(first) = seen[..place].iter().find(is_repeat)
            && !first.value.is_lower_bound
            && !this.value.is_lower_bound
            && differ(first.value, this.value)
        {
            let noise = if is_error_known(first.value, this.value) {
                "runs differ by more than the noise within them"
            } else {
                "nothing is known of the noise within runs"
            };
            reasons.push(format!(
                "a repeat of {}/{} that measured {} where that had {}: {noise}",
                first.trial.study,
                first.trial.entry.trial.id,
                format::estimate(metric, this.value),
                format::estimate(metric, first.value),
            ));
        }
        reasons.into_iter().map(|reason| doubt(this, reason)).collect::<Vec<_>>()
    };
    seen.iter().enumerate().flat_map(of).collect()
}
