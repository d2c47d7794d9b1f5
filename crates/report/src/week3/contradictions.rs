//! Where the baseline of a set contradicts the impact or the cause that week 2 gives for an issue.
//!
//! The page quotes week 2 as it was written. The baseline of a set is another run, perhaps under another
//! load, and what was concluded from the first need not hold for the second.

use slotune_core::Value;
use slotune_results::StoredTrial;
use slotune_serving::LengthClass;

use super::{arguments::in_effect, documented::Week2};
use crate::{
    analysis::value,
    format::{fixed, percent, quantity, setting, significant},
};

/// Ratio of P95 to P50 below which there is no long tail.
const SHORT_TAIL: f64 = 2.0;

/// Share of a latency below which a part of it is small.
const SMALL: f64 = 0.1;

/// Share by which a number may be above another and still be called the same.
const SAME: f64 = 0.1;

/// Against "requests spent most of their time waiting", for `max_num_seqs` was too small.
pub(super) fn queue_not_so(_: Week2, baseline: &StoredTrial) -> Option<String> {
    let share = value(baseline, "queue_share").filter(|share| *share <= 0.5)?;
    let setting = in_effect(baseline, "max_num_seqs")
        .map_or(String::new(), |value| format!(" = {}", setting(Some(&value))));
    Some(format!(
        "requests do not spend most of their time waiting ({} of it), so a queue before `max_num_seqs`{setting} is not the primary bottleneck.",
        percent(share),
    ))
}

/// Against "could not meet < 3s", "super-linear scaling" and "without chunked prefill".
pub(super) fn long_sequences_not_so(week2: Week2, baseline: &StoredTrial) -> Option<String> {
    const VERY_LONG: &str = "e2e_p95_very_long_s";
    let very_long = value(baseline, VERY_LONG)?;
    let mut found = Vec::new();
    if let Some(target) = week2.target(VERY_LONG).filter(|target| very_long < target.value) {
        found.push(format!(
            "very long outputs take {} at P95, which is {}",
            quantity(VERY_LONG, very_long),
            target.text
        ));
    }
    // The least by which the lengths themselves differ.
    let lengths = f64::from(*LengthClass::VeryLong.output_tokens().start())
        / f64::from(*LengthClass::Tiny.output_tokens().end());
    if let Some(ratio) = value(baseline, "e2e_p95_tiny_s").map(|tiny| very_long / tiny)
        && ratio < lengths
    {
        found.push(format!(
            "very long outputs have at least {} times the tokens of tiny ones and take {} times as long, so the latency grows more slowly than the length, not faster",
            fixed(lengths, 0),
            significant(ratio),
        ));
    }
    if in_effect(baseline, "enable_chunked_prefill") == Some(Value::Boolean(true)) {
        found.push("the baseline has chunked prefill".to_owned());
    }
    (!found.is_empty()).then(|| format!("{}.", found.join("; ")))
}

/// Against a P95 of 3 times the P50, and against the queue as its cause.
pub(super) fn tail_not_so(week2: Week2, baseline: &StoredTrial) -> Option<String> {
    let [p50, p95] = ["e2e_p50_s", "e2e_p95_s"];
    let mut found = Vec::new();
    let ratio = value(baseline, p95)? / value(baseline, p50)?;
    if ratio < SHORT_TAIL
        && let Some((slow, median)) = week2.documented(p95).zip(week2.documented(p50))
    {
        found.push(format!(
            "the tail is short: P95 is {} times P50, where week 2 has {} times",
            significant(ratio),
            significant(slow.value / median.value),
        ));
    }
    if let Some(queue) = value(baseline, "queue_time_p95_s")
        && queue < SMALL * value(baseline, p95)?
    {
        found.push(format!(
            "the queue hardly adds to it, with a P95 queue time of {}",
            quantity("queue_time_p95_s", queue)
        ));
    }
    (!found.is_empty()).then(|| format!("{}.", found.join("; ")))
}

/// Against "could only serve ~400,000 requests/day".
pub(super) fn capacity_not_so(week2: Week2, baseline: &StoredTrial) -> Option<String> {
    const SECONDS_A_DAY: f64 = 86_400.0;
    const REQUESTS: &str = "request_throughput_per_s";
    let served = value(baseline, REQUESTS)?;
    let documented = week2.documented(REQUESTS)?.value;
    (served > (1.0 + SAME) * documented).then(|| {
        format!(
            "the baseline serves {} requests a day, {} times as many.",
            fixed(served * SECONDS_A_DAY, 0),
            significant(served / documented),
        )
    })
}
