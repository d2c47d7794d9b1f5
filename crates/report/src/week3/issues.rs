//! What was wrong before: the four issues of week 2, as this set's baseline has them.

use serde::Serialize;
use slotune_results::StoredTrial;
use slotune_serving::metrics::Statistic;

use super::{
    contradictions::{capacity_not_so, long_sequences_not_so, queue_not_so, tail_not_so},
    documented::Week2,
    wording::kind,
};
use crate::{
    analysis::{Analysis, value},
    format::{fixed, heading, percent, quantity, significant},
    latency::Latency,
};

/// One issue; sentences.
#[derive(Serialize)]
pub(super) struct Issue {
    /// What it is about.
    heading: &'static str,
    /// What was measured of it.
    measured: String,
    /// What that says; empty where it was not measured.
    reading: String,
    /// What it says against the impact and the cause that week 2 gives; empty where it does not, and in a
    /// set that week 2 is not about.
    contradiction: String,
}

/// The issues in week 2's order, of the baseline; without one, of vLLM's default.
pub(super) fn issues(analysis: &Analysis<'_>) -> [Issue; 4] {
    let latencies = latencies(analysis);
    let tails: Vec<String> = latencies
        .iter()
        .flat_map(|latency| {
            [Statistic::P50, Statistic::P95, Statistic::P99].map(|s| latency.metric(s))
        })
        .collect();
    let issue = |heading, metrics: &[&str], read: &dyn Fn(&StoredTrial) -> Option<String>| Issue {
        heading,
        measured: measured(analysis, metrics),
        reading: before(analysis).and_then(|(trial, _)| read(trial)).unwrap_or_default(),
        contradiction: String::new(),
    };
    let tail_metrics: Vec<&str> = tails.iter().map(String::as_str).collect();
    let mut issues = [
        issue("Queue Time", &["queue_time_p50_s", "queue_share", "e2e_p50_s"], &queue),
        issue(
            "Long Sequences",
            &["e2e_p95_very_long_s", "e2e_p95_tiny_s", "e2e_p95_medium_s"],
            &long_sequences,
        ),
        issue("Tail Latency", &tail_metrics, &|trial| tail(&latencies, trial)),
        issue(
            "Request Capacity",
            &["output_throughput_tok_per_s", "request_throughput_per_s", "goodput_per_s"],
            &capacity,
        ),
    ];
    if let (Some(week2), Some(baseline)) = (Week2::of(analysis), analysis.baseline) {
        let not_so = [queue_not_so, long_sequences_not_so, tail_not_so, capacity_not_so];
        for (issue, not_so) in issues.iter_mut().zip(not_so) {
            issue.contradiction = not_so(week2, baseline).unwrap_or_default();
        }
    }
    issues
}

/// The latencies whose tail is told: those of the goals, and beside week 2's the one that it measured.
fn latencies(analysis: &Analysis<'_>) -> Vec<Latency> {
    let mut asked = Latency::asked(analysis.objective());
    if Week2::of(analysis).is_some() && !asked.contains(&Latency::E2e) {
        asked.insert(0, Latency::E2e);
    }
    asked
}

/// What there was before the search, and what it is called.
fn before<'a>(analysis: &Analysis<'a>) -> Option<(&'a StoredTrial, &'static str)> {
    let baseline = analysis.baseline.map(|trial| (trial, "baseline"));
    baseline.or(analysis.default.map(|trial| (trial, "default")))
}

fn measured(analysis: &Analysis<'_>, metrics: &[&str]) -> String {
    match before(analysis) {
        None => "this result set has no baseline trial.".to_owned(),
        Some((trial, name)) if trial.entry.measurement().is_none() => {
            format!("the {name} trial was not measured.")
        }
        Some((trial, _)) => {
            let seen = metrics.iter().filter_map(|m| Some((m, value(trial, m)?)));
            let seen: Vec<String> =
                seen.map(|(m, v)| format!("{} {}", heading(m), quantity(m, v))).collect();
            if seen.is_empty() {
                "not recorded.".to_owned()
            } else {
                format!("{} ({}).", seen.join("; "), kind(&analysis.set.manifest.backend))
            }
        }
    }
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

/// One sentence for each of the latencies.
fn tail(latencies: &[Latency], trial: &StoredTrial) -> Option<String> {
    let of = |latency: &Latency| {
        let ratio = value(trial, &latency.metric(Statistic::P95))?
            / value(trial, &latency.metric(Statistic::P50))?;
        ratio.is_finite().then(|| {
            format!(
                "The slowest 5% have at least {} times the median {}.",
                significant(ratio),
                latency.label()
            )
        })
    };
    let sentences: Vec<String> = latencies.iter().filter_map(of).collect();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

fn capacity(trial: &StoredTrial) -> Option<String> {
    const SECONDS_A_DAY: f64 = 86_400.0;
    let a_day = value(trial, "request_throughput_per_s")? * SECONDS_A_DAY;
    Some(format!("That is {} requests a day.", fixed(a_day, 0)))
}
