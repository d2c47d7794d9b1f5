//! What was wrong before: the four issues of week 2, as this set's baseline has them.

use serde::Serialize;
use slotune_results::StoredTrial;

use super::wording::kind;
use crate::{
    analysis::{Analysis, value},
    format::{fixed, heading, percent, quantity, significant},
};

/// One issue.
#[derive(Serialize)]
pub(super) struct Issue {
    /// What it is about.
    heading: &'static str,
    /// What was measured of it.
    measured: String,
    /// What that says; empty where it was not measured.
    reading: String,
}

/// The issues in week 2's order, of the baseline; without one, of vLLM's default.
pub(super) fn issues(analysis: &Analysis<'_>) -> [Issue; 4] {
    type Read = fn(&StoredTrial) -> Option<String>;
    const ISSUES: [(&str, &[&str], Read); 4] = [
        ("Queue Time", &["queue_time_p50_s", "queue_share", "e2e_p50_s"], queue),
        (
            "Long Sequences",
            &["e2e_p95_very_long_s", "e2e_p95_tiny_s", "e2e_p95_medium_s"],
            long_sequences,
        ),
        ("Tail Latency", &["e2e_p50_s", "e2e_p95_s", "e2e_p99_s"], tail),
        (
            "Request Capacity",
            &["output_throughput_tok_per_s", "request_throughput_per_s"],
            capacity,
        ),
    ];
    let before = analysis.baseline.map(|trial| (trial, "baseline"));
    let before = before.or(analysis.default.map(|trial| (trial, "default")));
    let kind = kind(&analysis.set.manifest.backend);
    ISSUES.map(|(issue, metrics, read)| {
        let measured = match before {
            None => "this result set has no baseline trial".to_owned(),
            Some((trial, name)) if trial.entry.measurement().is_none() => {
                format!("the {name} trial was not measured")
            }
            Some((trial, _)) => {
                let seen = metrics.iter().filter_map(|m| Some((m, value(trial, m)?)));
                let seen: Vec<String> =
                    seen.map(|(m, v)| format!("{} {}", heading(m), quantity(m, v))).collect();
                if seen.is_empty() {
                    "not recorded".to_owned()
                } else {
                    format!("{} ({kind})", seen.join("; "))
                }
            }
        };
        let reading = before.and_then(|(trial, _)| read(trial)).unwrap_or_default();
        Issue { heading: issue, measured, reading }
    })
}

fn queue(trial: &StoredTrial) -> Option<String> {
    let share = value(trial, "queue_share")?;
    let verdict = if share > 0.5 {
        "requests wait longer than they are served"
    } else {
        "most of the latency is prefill and decode"
    };
    Some(format!("The queue has {} of the latency: {verdict}.", percent(share)))
}

fn long_sequences(trial: &StoredTrial) -> Option<String> {
    let ratio = value(trial, "e2e_p95_very_long_s")? / value(trial, "e2e_p95_tiny_s")?;
    ratio.is_finite().then(|| {
        format!("Very long outputs take {} times as long as tiny ones.", significant(ratio))
    })
}

fn tail(trial: &StoredTrial) -> Option<String> {
    let ratio = value(trial, "e2e_p95_s")? / value(trial, "e2e_p50_s")?;
    ratio.is_finite().then(|| {
        format!("The slowest 5% take at least {} times as long as the median.", significant(ratio))
    })
}

fn capacity(trial: &StoredTrial) -> Option<String> {
    const SECONDS_A_DAY: f64 = 86_400.0;
    let a_day = value(trial, "request_throughput_per_s")? * SECONDS_A_DAY;
    Some(format!("That is {} requests a day.", fixed(a_day, 0)))
}
