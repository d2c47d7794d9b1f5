//! What the owner measured in week 2, as the page of that week gives it.

use crate::analysis::Analysis;

/// A number of week 2.
pub(super) struct Documented {
    pub(super) metric: &'static str,
    /// In the metric's unit.
    pub(super) value: f64,
    /// As it was written.
    pub(super) text: &'static str,
}

/// What week 2 says of the system of a set, as far as it is the same: there is a baseline, of the model
/// that week 2 measured. Of any other set the page does not speak of week 2.
#[derive(Clone, Copy)]
pub(super) struct Week2 {
    measured: &'static [Documented],
    targets: &'static [Documented],
}

impl Week2 {
    pub(super) fn of(analysis: &Analysis<'_>) -> Option<Self> {
        // A folder or an organisation may stand before the name.
        let model = &analysis.set.manifest.backend.model;
        let is_same = model.rsplit('/').next() == Some(MODEL);
        (is_same && analysis.baseline.is_some())
            .then_some(Self { measured: &WEEK2, targets: &TARGETS })
    }

    /// What week 2 measured of a metric.
    pub(super) fn documented(self, metric: &str) -> Option<&'static Documented> {
        self.measured.iter().find(|documented| documented.metric == metric)
    }

    /// What week 2 asks of a metric.
    pub(super) fn target(self, metric: &str) -> Option<&'static Documented> {
        self.targets.iter().find(|target| target.metric == metric)
    }
}

/// The model that week 2 measured.
const MODEL: &str = "Qwen2.5-7B-Instruct";

/// All numbers.
///
/// Week 2 gives two medians that one run cannot have: 12.25 s with 10.47 s of it in the queue, and
/// 0.850 s in its table of percentiles. The second, whose P95 and P99 it also gives, is this one.
pub(super) static WEEK2: [Documented; 8] = [
    of("queue_share", 0.85, "85.0%"),
    of("queue_time_p50_s", 10.47, "10.47 s"),
    of("e2e_p50_s", 0.850, "0.850 s"),
    of("e2e_p95_s", 2.544, "2.544 s"),
    of("e2e_p99_s", 4.396, "4.396 s"),
    of("e2e_p95_very_long_s", 4.396, "4.396 s"),
    of("output_throughput_tok_per_s", 949.0, "949 tok/s"),
    of("request_throughput_per_s", 4.6, "4.6 req/s"),
];

/// The targets that week 2 sets for week 3.
static TARGETS: [Documented; 3] = [
    of("queue_share", 0.5, "< 50%"),
    of("e2e_p95_very_long_s", 3.0, "< 3.0 s"),
    of("output_throughput_tok_per_s", 1200.0, "≥ 1,200 tok/s"),
];

const fn of(metric: &'static str, value: f64, text: &'static str) -> Documented {
    Documented { metric, value, text }
}
