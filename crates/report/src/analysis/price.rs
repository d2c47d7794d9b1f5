//! What the advised configuration costs.

use serde::Serialize;

use super::{Analysis, Change, Verdict, is_error_known};
use crate::format::{is_worse, quantity};

/// The metrics that are looked at.
const METRICS: [&str; 12] = [
    "queue_share",
    "ttft_p95_s",
    "tpot_p95_s",
    "e2e_p50_s",
    "e2e_p95_s",
    "e2e_p99_s",
    "e2e_p95_tiny_s",
    "e2e_p95_short_s",
    "e2e_p95_medium_s",
    "e2e_p95_long_s",
    "e2e_p95_very_long_s",
    "output_throughput_tok_per_s",
];

/// A metric in which the advised trial is worse than what it is compared with, beyond noise as far as that is
/// known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Price {
    /// The metric.
    pub metric: &'static str,
    /// What the trial has, in the metric's unit.
    pub value: f64,
    /// What it is compared with has, in the metric's unit.
    pub before: f64,
    /// Whether an error of either is known; without one, the difference may be chance.
    pub is_error_known: bool,
}

impl Analysis<'_> {
    /// In what the advised trial is worse, of queueing, latencies and throughput: a change than vLLM's default,
    /// and the default than the baseline. Empty where that was not measured. What reads the same is not worth a
    /// word.
    pub fn prices(&self) -> Vec<Price> {
        let (before, advised) = match &self.verdict {
            Verdict::Change(found) => (self.default, found.trial),
            Verdict::KeepDefault { default, .. } => (self.baseline, *default),
            Verdict::NoneFeasible(_) | Verdict::NothingMeasured => return Vec::new(),
        };
        let before = before.and_then(|trial| trial.entry.measurement());
        let Some((first, second)) = before.zip(advised.entry.measurement()) else {
            return Vec::new();
        };
        let price = |metric: &'static str| {
            let (before, after) = first.get(metric).zip(second.get(metric))?;
            let change = Change::between(before, after)?;
            let is_price = change.is_beyond_noise() && is_worse(metric, change.relative);
            let differs = quantity(metric, before.value) != quantity(metric, after.value);
            (is_price && differs).then(|| Price {
                metric,
                value: after.value,
                before: before.value,
                is_error_known: is_error_known(before, after),
            })
        };
        METRICS.into_iter().filter_map(price).collect()
    }
}
