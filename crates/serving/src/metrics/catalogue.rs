//! The catalogue of metrics: what each is called, in which unit, and which way is better.

use std::fmt;

use slotune_core::Direction;

use crate::{
    LengthClass,
    nearest::{did_you_mean, nearest},
};

/// A metric of a run.
///
/// Latencies are of completed requests, from the *intended* send time; E2E latency and TTFT also
/// take requests that were under way when a run was stopped, as lower bounds. A metric that is
/// undefined for a run is absent from its measurement.
///
/// ```
/// use slotune_core::Objective;
/// use slotune_serving::metrics::{Metric, Statistic};
/// let objective = Objective::minimise(Metric::E2e(Statistic::P95));
/// assert_eq!(objective.metric, "e2e_p95_s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// E2E latency: intended send to last token, seconds.
    E2e(Statistic),
    /// Time to first token: intended send to first token, seconds.
    Ttft(Statistic),
    /// Time per output token after the first, one value a request, seconds: (E2E − TTFT) /
    /// (output tokens − 1). Undefined for requests of one token.
    Tpot(Statistic),
    /// Inter-token latency: each gap between successive chunks, many a request, seconds. Undefined
    /// where chunk times were not kept.
    Itl(Statistic),
    /// Time in the server's queue, seconds. Undefined where the server does not tell; where it
    /// tells only the sum over all requests, and all completed, only the mean is defined.
    QueueTime(Statistic),
    /// 95th percentile of the E2E latency of one class of requests, seconds. Undefined where none
    /// of the class completed.
    E2eP95Of(LengthClass),
    /// Queue time over E2E latency, both summed over requests whose queue time is known.
    QueueShare,
    /// Output tokens of completed requests over the window, tokens/s.
    OutputThroughput,
    /// Completed requests over the window, requests/s.
    RequestThroughput,
    /// Completed requests that meet the SLO over the window, requests/s. Undefined without an SLO.
    Goodput,
    /// Completed requests over all requests. Where requests were rejected or failed, latencies are
    /// those of the requests that made it and look better than they were: bound this metric in an
    /// objective that may overload the server.
    CompletedShare,
}

/// What is made of many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statistic {
    /// Arithmetic mean.
    Mean,
    /// Median.
    P50,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
}

impl Statistic {
    /// All statistics.
    pub const ALL: [Self; 4] = [Self::Mean, Self::P50, Self::P95, Self::P99];

    /// Which percentile it is, 0 to 100; `None` for the mean.
    pub fn percent(self) -> Option<f64> {
        match self {
            Self::Mean => None,
            Self::P50 => Some(50.0),
            Self::P95 => Some(95.0),
            Self::P99 => Some(99.0),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "P50",
            Self::P95 => "P95",
            Self::P99 => "P99",
        }
    }
}

impl Metric {
    /// All metrics.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::E2e, Self::Ttft, Self::Tpot, Self::Itl, Self::QueueTime]
            .into_iter()
            .flat_map(|latency| Statistic::ALL.into_iter().map(latency))
            .chain(LengthClass::ALL.into_iter().map(Self::E2eP95Of))
            .chain([
                Self::QueueShare,
                Self::OutputThroughput,
                Self::RequestThroughput,
                Self::Goodput,
                Self::CompletedShare,
            ])
    }

    /// The metric of that name.
    ///
    /// # Errors
    /// When there is none; the error offers the most similar name.
    pub fn from_name(name: &str) -> Result<Self, UnknownMetric> {
        Self::all().find(|metric| metric.name() == name).ok_or_else(|| {
            let names: Vec<String> = Self::all().map(Self::name).collect();
            let all = || names.iter().map(String::as_str);
            // Whoever knows the words may not know their order, or the unit.
            let has_all_words = |known: &&str| {
                name.split('_').all(|word| known.split('_').any(|part| part == word))
            };
            let nearest = all().find(has_all_words).or_else(|| nearest(name, all()));
            let nearest = nearest.map(str::to_owned);
            UnknownMetric { name: name.to_owned(), nearest, known: names }
        })
    }

    /// Its name in measurements, objectives and stored tables; the unit stands last, shares have
    /// none.
    pub fn name(self) -> String {
        match self {
            Self::E2e(statistic) => format!("e2e_{}_s", statistic.name()),
            Self::Ttft(statistic) => format!("ttft_{}_s", statistic.name()),
            Self::Tpot(statistic) => format!("tpot_{}_s", statistic.name()),
            Self::Itl(statistic) => format!("itl_{}_s", statistic.name()),
            Self::QueueTime(statistic) => format!("queue_time_{}_s", statistic.name()),
            Self::E2eP95Of(class) => format!("e2e_p95_{}_s", class.name()),
            Self::QueueShare => "queue_share".to_owned(),
            Self::OutputThroughput => "output_throughput_tok_per_s".to_owned(),
            Self::RequestThroughput => "request_throughput_per_s".to_owned(),
            Self::Goodput => "goodput_per_s".to_owned(),
            Self::CompletedShare => "completed_share".to_owned(),
        }
    }

    /// Its name for people, without the unit.
    pub fn label(self) -> String {
        match self {
            Self::E2e(statistic) => format!("{} E2E latency", statistic.label()),
            Self::Ttft(statistic) => format!("{} TTFT", statistic.label()),
            Self::Tpot(statistic) => format!("{} TPOT", statistic.label()),
            Self::Itl(statistic) => format!("{} ITL", statistic.label()),
            Self::QueueTime(statistic) => format!("{} queue time", statistic.label()),
            Self::E2eP95Of(class) => format!("P95 E2E latency, {}", class.label()),
            Self::QueueShare => "queue share of E2E latency".to_owned(),
            Self::OutputThroughput => "output throughput".to_owned(),
            Self::RequestThroughput => "request throughput".to_owned(),
            Self::Goodput => "goodput".to_owned(),
            Self::CompletedShare => "completed share of requests".to_owned(),
        }
    }

    /// Its unit: `s`, `tok/s`, `req/s`, or empty for a share from 0 to 1.
    pub fn unit(self) -> &'static str {
        match self {
            Self::E2e(_)
            | Self::Ttft(_)
            | Self::Tpot(_)
            | Self::Itl(_)
            | Self::QueueTime(_)
            | Self::E2eP95Of(_) => "s",
            Self::OutputThroughput => "tok/s",
            Self::RequestThroughput | Self::Goodput => "req/s",
            Self::QueueShare | Self::CompletedShare => "",
        }
    }

    /// Which way is better.
    pub fn direction(self) -> Direction {
        match self {
            Self::OutputThroughput
            | Self::RequestThroughput
            | Self::Goodput
            | Self::CompletedShare => Direction::Maximise,
            Self::E2e(_)
            | Self::Ttft(_)
            | Self::Tpot(_)
            | Self::Itl(_)
            | Self::QueueTime(_)
            | Self::E2eP95Of(_)
            | Self::QueueShare => Direction::Minimise,
        }
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.name()
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// A name that no metric has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric `{name}`{}; known are: {}", did_you_mean(nearest.as_deref()), known.join(", "))]
pub struct UnknownMetric {
    /// The name seen.
    pub name: String,
    /// The known name that is most like it, if one is.
    pub nearest: Option<String>,
    /// All names.
    pub known: Vec<String>,
}
