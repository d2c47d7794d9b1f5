//! A run, made ready to compute every metric for any resample of its requests.

use super::{MeasureError, Metric, Slo, population::Population};
use crate::{LengthClass, RequestRecord, RequestStatus, Run};

/// A run, made ready to compute every metric for any resample of its requests: sorted once,
/// walked for each resample.
#[derive(Debug)]
pub(super) struct Sample {
    requests: Vec<RequestValues>,
    e2e: Population,
    ttft: Population,
    tpot: Population,
    itl: Population,
    queue_time: Population,
    e2e_by_class: Vec<(LengthClass, Population)>,
    /// From the first intended send to the last token of a completed request, or to the end of a
    /// run that was cut short, seconds.
    window_s: f64,
    /// Whether requests were under way when the run ended.
    e2e_is_lower_bound: bool,
    /// Whether some of those waited for their first token.
    ttft_is_lower_bound: bool,
    has_slo: bool,
    /// Sum of queue times, where the server tells only that.
    queue_time_sum_s: Option<f64>,
}

/// What sums are made of.
#[derive(Debug)]
struct RequestValues {
    is_completed: bool,
    is_good: bool,
    output_tokens: u32,
    e2e_s: f64,
    /// Queue time, where the server tells it, of a completed request.
    queue_time_s: Option<f64>,
}

impl Sample {
    /// Checks the records and sorts what is to be sorted.
    pub(super) fn new(run: &Run, slo: &Slo) -> Result<Self, MeasureError> {
        for (field, limit) in slo.limits() {
            if let Some(value) = limit.filter(|limit| !(limit.is_finite() && *limit > 0.0)) {
                return Err(MeasureError::Slo { field, value });
            }
        }
        let records = &run.records;
        records.iter().try_for_each(check)?;
        let population = |value: &dyn Fn(&RequestRecord) -> Option<f64>| {
            let values = (0..).zip(records);
            Population::new(values.filter_map(|(i, record)| Some((i, value(record)?))))
        };
        // What is known of a latency whose request was under way when the run ended.
        let so_far_s = |record: &RequestRecord| {
            record.is_unfinished().then(|| (run.end_s - record.intended_s).max(0.0))
        };
        let first_token_s = |record: &RequestRecord| {
            let first_s = record.first_token_s.filter(|_| record.is_unfinished())?;
            Some(first_s - record.intended_s)
        };
        let gaps = (0..).zip(records).flat_map(|(i, record): (u32, &RequestRecord)| {
            record.inter_token_latencies_s().map(move |gap| (i, gap))
        });
        let of_class = |class| {
            population(&move |record| {
                record.e2e_s().filter(|_| LengthClass::of(record.output_tokens) == class)
            })
        };
        let all_completed = records.iter().all(RequestRecord::is_completed);
        let none_tells = records.iter().all(|record| record.queue_time_s.is_none());
        Ok(Self {
            requests: records.iter().map(|record| RequestValues::new(record, slo)).collect(),
            e2e: population(&|record| record.e2e_s().or_else(|| so_far_s(record))),
            ttft: population(&|record| {
                record.ttft_s().or_else(|| first_token_s(record)).or_else(|| so_far_s(record))
            }),
            tpot: population(&RequestRecord::tpot_s),
            itl: Population::new(gaps),
            queue_time: population(&|record| record.queue_time_s.filter(|_| record.is_completed())),
            e2e_by_class: LengthClass::ALL
                .into_iter()
                .map(|class| (class, of_class(class)))
                .collect(),
            window_s: window_s(run)?,
            e2e_is_lower_bound: records.iter().any(RequestRecord::is_unfinished),
            ttft_is_lower_bound: records
                .iter()
                .any(|record| record.is_unfinished() && record.first_token_s.is_none()),
            has_slo: slo.has_limits(),
            // The server's sum is over all scheduled requests, so it says nothing about the
            // completed ones unless they are the same.
            queue_time_sum_s: run
                .server
                .queue_time_sum_s
                .filter(|sum_s| all_completed && none_tells && sum_s.is_finite() && *sum_s >= 0.0),
        })
    }

    /// Number of requests, completed or not.
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether a metric is known only to be what it comes to, or larger.
    pub(super) fn is_lower_bound(&self, metric: Metric) -> bool {
        match metric {
            Metric::E2e(_) | Metric::E2eP95Of(_) => self.e2e_is_lower_bound,
            Metric::Ttft(_) => self.ttft_is_lower_bound,
            _ => false,
        }
    }

    /// Hands `emit` every metric that is defined when the i-th request is counted `counts[i]`
    /// times.
    pub(super) fn metrics(&self, counts: &[u32], mut emit: impl FnMut(Metric, f64)) {
        self.e2e.statistics(counts, |statistic, value| emit(Metric::E2e(statistic), value));
        self.ttft.statistics(counts, |statistic, value| emit(Metric::Ttft(statistic), value));
        self.tpot.statistics(counts, |statistic, value| emit(Metric::Tpot(statistic), value));
        self.itl.statistics(counts, |statistic, value| emit(Metric::Itl(statistic), value));
        self.queue_time
            .statistics(counts, |statistic, value| emit(Metric::QueueTime(statistic), value));
        for (class, population) in &self.e2e_by_class {
            if let Some(value) = population.p95(counts) {
                emit(Metric::E2eP95Of(*class), value);
            }
        }
        let sums = self.sums(counts);
        if sums.e2e_of_known_queue_s > 0.0 {
            emit(Metric::QueueShare, sums.queue_time_s / sums.e2e_of_known_queue_s);
        }
        if self.window_s > 0.0 {
            emit(Metric::OutputThroughput, sums.output_tokens as f64 / self.window_s);
            emit(Metric::RequestThroughput, sums.completed as f64 / self.window_s);
            if self.has_slo {
                emit(Metric::Goodput, sums.good as f64 / self.window_s);
            }
        }
        emit(Metric::CompletedShare, sums.completed as f64 / self.requests.len() as f64);
    }

    /// The metrics that the server's sum of queue times gives where no request has its own. They
    /// cannot be resampled.
    pub(super) fn metrics_of_server_sum(&self) -> Vec<(Metric, f64)> {
        let Some(sum_s) = self.queue_time_sum_s else { return Vec::new() };
        let e2e_s: f64 = self.requests.iter().map(|request| request.e2e_s).sum();
        let mean = (Metric::QueueTime(super::Statistic::Mean), sum_s / self.requests.len() as f64);
        let share = (e2e_s > 0.0).then(|| (Metric::QueueShare, sum_s / e2e_s));
        std::iter::once(mean).chain(share).collect()
    }

    fn sums(&self, counts: &[u32]) -> Sums {
        let mut sums = Sums::default();
        for (request, &count) in
            self.requests.iter().zip(counts).filter(|(request, _)| request.is_completed)
        {
            let times = u64::from(count);
            sums.completed += times;
            sums.good += if request.is_good { times } else { 0 };
            sums.output_tokens += times * u64::from(request.output_tokens);
            if let Some(queue_time_s) = request.queue_time_s {
                sums.queue_time_s += f64::from(count) * queue_time_s;
                sums.e2e_of_known_queue_s += f64::from(count) * request.e2e_s;
            }
        }
        sums
    }
}

/// Sums over counted, completed requests.
#[derive(Default)]
struct Sums {
    completed: u64,
    good: u64,
    output_tokens: u64,
    queue_time_s: f64,
    e2e_of_known_queue_s: f64,
}

impl RequestValues {
    fn new(record: &RequestRecord, slo: &Slo) -> Self {
        Self {
            is_completed: record.is_completed(),
            is_good: slo.is_met(record),
            output_tokens: record.output_tokens,
            e2e_s: record.e2e_s().unwrap_or_default(),
            queue_time_s: record.queue_time_s,
        }
    }
}

/// From the first intended send to the last token of a completed request, or to the end of a run
/// that was cut short, seconds.
fn window_s(run: &Run) -> Result<f64, MeasureError> {
    let records = &run.records;
    if records.is_empty() {
        return Err(MeasureError::NoRequests);
    }
    let start_s = records.iter().map(|record| record.intended_s).fold(f64::INFINITY, f64::min);
    let completed = records.iter().filter(|record| record.is_completed());
    let end_s = completed.filter_map(|record| record.last_token_s).max_by(f64::total_cmp);
    let cut_short = records.iter().any(RequestRecord::is_unfinished).then_some(run.end_s);
    end_s.map(|end_s| cut_short.unwrap_or(end_s).max(end_s) - start_s).ok_or_else(|| {
        MeasureError::NoneCompleted {
            requests: records.len(),
            example: match &records[0].status {
                RequestStatus::Rejected(text) => format!("rejected: {text}"),
                RequestStatus::Failed(text) => format!("failed: {text}"),
                RequestStatus::NotSent => "not sent".to_owned(),
                RequestStatus::Unfinished | RequestStatus::Completed => "unfinished".to_owned(),
            },
        }
    })
}

/// Whether a record can be measured.
fn check(record: &RequestRecord) -> Result<(), MeasureError> {
    let broken = |problem| Err(MeasureError::Record { index: record.index, problem });
    if !record.intended_s.is_finite() {
        return broken("its intended send time is not finite");
    }
    if !record.is_completed() {
        return Ok(());
    }
    let (Some(first_s), Some(last_s)) = (record.first_token_s, record.last_token_s) else {
        return broken("it completed without a first or last token");
    };
    if record.output_tokens == 0 {
        return broken("it completed with 0 output tokens");
    }
    // Written so that NaN fails.
    if !(record.intended_s <= first_s && first_s <= last_s && last_s.is_finite()) {
        return broken("its intended send, first token and last token are not in order");
    }
    if record
        .queue_time_s
        .is_some_and(|queue_time_s| !(queue_time_s.is_finite() && queue_time_s >= 0.0))
    {
        return broken("its queue time is negative or not finite");
    }
    let times = &record.chunk_times_s;
    if times.iter().any(|time_s| !time_s.is_finite()) || !times.is_sorted() {
        return broken("its chunk times are not finite or run backwards");
    }
    Ok(())
}
