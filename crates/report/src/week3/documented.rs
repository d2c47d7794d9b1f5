//! What the owner measured in week 2, as the page of that week gives it.

/// A number of week 2.
pub(super) struct Documented {
    pub(super) metric: &'static str,
    /// In the metric's unit.
    pub(super) value: f64,
    /// As it was written.
    pub(super) text: &'static str,
}

/// The number of a metric, as it was written.
pub(super) fn week2(metric: &str) -> Option<&'static str> {
    WEEK2.iter().find(|documented| documented.metric == metric).map(|documented| documented.text)
}

/// All numbers.
///
/// Week 2 gives two medians that one run cannot have: 12.25 s with 10.47 s of it in the queue, and
/// 0.850 s in its table of percentiles. The second, whose P95 and P99 it also gives, is this one.
pub(super) const WEEK2: [Documented; 8] = [
    of("queue_share", 0.85, "85.0%"),
    of("queue_time_p50_s", 10.47, "10.47 s"),
    of("e2e_p50_s", 0.850, "0.850 s"),
    of("e2e_p95_s", 2.544, "2.544 s"),
    of("e2e_p99_s", 4.396, "4.396 s"),
    of("e2e_p95_very_long_s", 4.396, "4.396 s"),
    of("output_throughput_tok_per_s", 949.0, "949 tok/s"),
    of("request_throughput_per_s", 4.6, "4.6 req/s"),
];

const fn of(metric: &'static str, value: f64, text: &'static str) -> Documented {
    Documented { metric, value, text }
}
