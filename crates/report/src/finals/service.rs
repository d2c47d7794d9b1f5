//! What the requests of a contender got: percentiles of their latencies, and how many were served well.

use serde::Serialize;
use slotune_core::Estimate;
use slotune_results::StoredTrial;
use slotune_serving::{
    LengthClass, RequestRecord,
    metrics::{Metric, Slo, percentile},
};

use crate::{analysis::Contender, latency::Latency};

/// What the requests of all rounds of a contender got.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceLevel {
    /// Requests that are known; 0 where none were kept.
    pub requests: usize,
    /// Share of them that completed within every limit; `None` where there are no limits or no
    /// requests.
    pub within_slo: Option<f64>,
    /// Requests within every limit, requests/s: the mean over the rounds and its standard error.
    pub goodput_per_s: Option<Estimate>,
    /// Output tokens, tokens/s: likewise.
    pub output_throughput_tok_per_s: Option<Estimate>,
    /// Latencies of the completed requests: E2E, TTFT, TPOT, then E2E by class of output length.
    pub latencies: Vec<LatencyPercentiles>,
}

/// Percentiles of one latency over the requests of all rounds together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyPercentiles {
    /// `e2e`, `ttft`, `tpot`, or `e2e_` and the length class.
    pub latency: String,
    /// Completed requests that have it.
    pub requests: usize,
    /// Median, seconds; this and what follows is `None` of no requests.
    pub p50_s: Option<f64>,
    /// 95th percentile, seconds.
    pub p95_s: Option<f64>,
    /// 99th percentile, seconds.
    pub p99_s: Option<f64>,
}

impl ServiceLevel {
    /// Asks `requests` for the records of every repeat, one after another.
    pub(super) fn new<E>(
        contender: &Contender<'_>,
        slo: &Slo,
        requests: &mut impl FnMut(&StoredTrial) -> Result<Vec<RequestRecord>, E>,
    ) -> Result<Self, E> {
        let [mut e2e, mut ttft, mut tpot] = [const { Vec::new() }; 3];
        let mut by_class = LengthClass::ALL.map(|class| (class, Vec::new()));
        let (mut known, mut good) = (0, 0);
        for trial in &contender.repeats {
            for record in requests(trial)? {
                known += 1;
                good += usize::from(slo.is_met(&record));
                e2e.extend(record.e2e_s());
                ttft.extend(record.ttft_s());
                tpot.extend(record.tpot_s());
                let class = LengthClass::of(record.output_tokens);
                for (_, values) in by_class.iter_mut().filter(|(own, _)| *own == class) {
                    values.extend(record.e2e_s());
                }
            }
        }
        let whole = [("e2e", e2e), ("ttft", ttft), ("tpot", tpot)];
        let whole = whole.map(|(name, values)| LatencyPercentiles::new(name.to_owned(), values));
        let classes = by_class.map(|(class, values)| {
            LatencyPercentiles::new(format!("e2e_{}", class.name()), values)
        });
        let average = contender.average();
        Ok(Self {
            requests: known,
            within_slo: (known > 0 && slo.has_limits()).then(|| good as f64 / known as f64),
            goodput_per_s: average.get(&Metric::Goodput.name()),
            output_throughput_tok_per_s: average.get(&Metric::OutputThroughput.name()),
            latencies: if known > 0 { whole.into_iter().chain(classes).collect() } else { vec![] },
        })
    }
}

impl LatencyPercentiles {
    fn new(latency: String, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let [p50_s, p95_s, p99_s] = [50.0, 95.0, 99.0].map(|percent| percentile(&values, percent));
        Self { latency, requests: values.len(), p50_s, p95_s, p99_s }
    }

    /// What it is called over a row.
    pub(crate) fn heading(&self) -> String {
        let class = LengthClass::ALL
            .into_iter()
            .find(|class| self.latency == format!("e2e_{}", class.name()));
        match (class, self.latency.as_str()) {
            (Some(class), _) => format!("{}, {}", Latency::E2e.label(), class.label()),
            (None, "ttft") => Latency::Ttft.label().to_owned(),
            (None, "tpot") => Latency::Tpot.label().to_owned(),
            (None, _) => Latency::E2e.label().to_owned(),
        }
    }

    /// The limit of a good request on it, seconds.
    pub(crate) fn limit_s(&self, slo: &Slo) -> Option<f64> {
        match self.latency.as_str() {
            "ttft" => slo.ttft_s,
            "tpot" => slo.tpot_s,
            _ => slo.e2e_s,
        }
    }

    /// P50, P95 and P99, seconds.
    pub(crate) fn percentiles_s(&self) -> [Option<f64>; 3] {
        [self.p50_s, self.p95_s, self.p99_s]
    }
}
