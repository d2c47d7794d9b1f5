//! Metrics made from request records: every formula once, for simulated and real servers alike.
//!
//! - Latencies count from the *intended* send time, so a late client is charged to latency and not
//!   hidden (no coordinated omission). They are of completed requests; where a run ended with
//!   requests under way, E2E latency and TTFT take those with the time they had been under way, and
//!   their estimates are lower bounds ([`Estimate::is_lower_bound`]).
//! - The window of throughputs reaches from the first intended send to the last token of a
//!   completed request, or to the end of a run that was cut short.
//! - Percentiles are of type 7 ([`percentile`]).
//! - A metric that is undefined for a run is absent, never 0.
//!
//! [`Metric`] is the catalogue with the formulas; [`measure`] computes all of it.

mod catalogue;
mod population;
mod request;
mod sample;
mod statistics;
mod steady;

use std::collections::BTreeMap;

use rand::RngExt;
use slotune_core::{Estimate, Measurement, random::stream};

use self::{sample::Sample, statistics::standard_deviation};
use crate::{Latency, RequestRecord, Run};

pub use catalogue::{Metric, Statistic, UnknownMetric};
pub use request::Slo;
pub use statistics::{Interval, confidence_interval, mean_interval, percentile};
pub use steady::{SteadyState, steady_state};

/// How to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasureOptions {
    /// The limits of a good request.
    pub slo: Slo,
    /// Bootstrap replicates that the standard errors come from. Below 2, standard errors are 0,
    /// which means unknown.
    pub replicates: u32,
    /// Root of the bootstrap's random stream.
    pub seed: u64,
}

impl Default for MeasureOptions {
    /// No limits, 200 replicates, seed 0.
    fn default() -> Self {
        Self { slo: Slo::default(), replicates: 200, seed: 0 }
    }
}

/// Computes every metric that is defined for the run, each with its standard error.
///
/// Standard errors are the standard deviation over bootstrap replicates (Efron 1979), each of
/// which draws as many requests as there are, with replacement; one draw serves all metrics. The
/// window stays as it was. Requests that queue together are late together, which drawing them one
/// by one does not see: under load, take the standard error as a lower bound and repeat trials for
/// a better one.
///
/// # Errors
/// When there is no request, or none completed (an overloaded or broken server: there is no
/// latency, and 0 would be the best one), or a record contradicts itself, or a limit is no positive
/// number.
pub fn measure(run: &Run, options: &MeasureOptions) -> Result<Measurement, MeasureError> {
    let sample = Sample::new(run, &options.slo)?;
    let mut replicates: BTreeMap<Metric, Vec<f64>> = BTreeMap::new();
    resample(&sample, options, |metric, value| replicates.entry(metric).or_default().push(value));
    let mut measurement = Measurement::new();
    let mut add = |metric: Metric, value| {
        let standard_error =
            replicates.get(&metric).map_or(0.0, |values| standard_deviation(values));
        let is_lower_bound = sample.is_lower_bound(metric);
        let estimate = Estimate { value, standard_error, is_lower_bound };
        measurement = std::mem::take(&mut measurement).with_estimate(metric, estimate);
    };
    sample.metrics(&vec![1; sample.len()], &mut add);
    for (metric, value) in sample.metrics_of_server_sum() {
        add(metric, value);
    }
    Ok(measurement)
}

/// A percentile, 0 to 100, of a latency over the first so many requests, seconds: what a trial's opening has
/// of it. A lower bound where the run ended while some of them were under way; `None` where none of them is
/// known to have taken any time.
pub fn opening(run: &Run, requests: u32, latency: Latency, percent: f64) -> Option<Estimate> {
    let first = || run.records.iter().take(requests as usize);
    let is_open = |record: &RequestRecord| latency.is_open(record);
    let known_s = |record: &RequestRecord| match latency {
        _ if is_open(record) => Some((run.end_s - record.intended_s).max(0.0)),
        Latency::Ttft if record.is_unfinished() => Some(record.first_token_s? - record.intended_s),
        _ => latency.of(record),
    };
    let mut latencies_s: Vec<f64> = first().filter_map(known_s).collect();
    latencies_s.sort_by(f64::total_cmp);
    let value = percentile(&latencies_s, percent)?;
    Some(Estimate { value, standard_error: 0.0, is_lower_bound: first().any(is_open) })
}

/// The bootstrap replicates of one metric, those that [`measure`] takes its standard error from;
/// empty where the metric is undefined.
///
/// For [`confidence_interval`], also of the difference or ratio of two runs: combine their
/// replicates pair by pair.
///
/// # Errors
/// As [`measure`].
pub fn replicates(
    run: &Run,
    metric: Metric,
    options: &MeasureOptions,
) -> Result<Vec<f64>, MeasureError> {
    let sample = Sample::new(run, &options.slo)?;
    let mut values = Vec::new();
    resample(&sample, options, |of, value| {
        if of == metric {
            values.push(value);
        }
    });
    Ok(values)
}

/// Hands `emit` the metrics of every bootstrap replicate.
fn resample(sample: &Sample, options: &MeasureOptions, mut emit: impl FnMut(Metric, f64)) {
    let mut generator = stream(options.seed, "metrics/bootstrap", 0);
    let mut counts = vec![0_u32; sample.len()];
    for _ in 0..options.replicates {
        counts.fill(0);
        for _ in 0..counts.len() {
            counts[generator.random_range(0..sample.len())] += 1;
        }
        sample.metrics(&counts, &mut emit);
    }
}

/// Why a run cannot be measured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The schedule was empty.
    #[error("the run has no requests; give a workload that sends some")]
    NoRequests,
    /// Nothing was served, so there is no latency.
    #[error(
        "none of {requests} requests completed (the first: {example}); lower the load, or look into the server's log"
    )]
    NoneCompleted {
        /// Number of requests.
        requests: usize,
        /// What became of the first one.
        example: String,
    },
    /// A record contradicts itself: a fault of the backend.
    #[error("record {index} cannot be measured: {problem}; this is a fault of the backend")]
    Record {
        /// The request's position in the schedule.
        index: u32,
        /// What is wrong.
        problem: &'static str,
    },
    /// A limit is no positive number.
    #[error("SLO: `{field}` is {value}, but must be a finite number above 0")]
    Slo {
        /// The limit.
        field: &'static str,
        /// The number seen.
        value: f64,
    },
}

#[cfg(test)]
mod tests;
