//! Kinds of latency: of each, a run has several statistics.

use slotune_core::Objective;
use slotune_serving::{
    RequestRecord,
    metrics::{Metric, Statistic},
};

/// A kind of latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Latency {
    E2e,
    Ttft,
    Tpot,
    Itl,
    QueueTime,
}

impl Latency {
    /// The kind that a metric is a statistic of; `None` of what is no latency.
    pub(crate) fn of(metric: &str) -> Option<Self> {
        match Metric::from_name(metric).ok()? {
            Metric::E2e(_) | Metric::E2eP95Of(_) => Some(Self::E2e),
            Metric::Ttft(_) => Some(Self::Ttft),
            Metric::Tpot(_) => Some(Self::Tpot),
            Metric::Itl(_) => Some(Self::Itl),
            Metric::QueueTime(_) => Some(Self::QueueTime),
            Metric::QueueShare
            | Metric::OutputThroughput
            | Metric::RequestThroughput
            | Metric::Goodput
            | Metric::CompletedShare => None,
        }
    }

    /// The kinds that the goals are about, each once, that of the first goal first. Where no goal is a
    /// latency, E2E latency: it holds all others.
    pub(crate) fn asked(objective: &Objective) -> Vec<Self> {
        let second = objective.against.as_ref().map(|goal| goal.metric.as_str());
        let goals = std::iter::once(objective.metric.as_str()).chain(second);
        let mut asked: Vec<Self> = goals.filter_map(Self::of).collect();
        asked.dedup();
        if asked.is_empty() { vec![Self::E2e] } else { asked }
    }

    /// The name of its metric of a statistic.
    pub(crate) fn metric(self, statistic: Statistic) -> String {
        let metric = match self {
            Self::E2e => Metric::E2e,
            Self::Ttft => Metric::Ttft,
            Self::Tpot => Metric::Tpot,
            Self::Itl => Metric::Itl,
            Self::QueueTime => Metric::QueueTime,
        };
        metric(statistic).name()
    }

    /// What it is called within a sentence.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::E2e => "E2E latency",
            Self::Ttft => "TTFT",
            Self::Tpot => "TPOT",
            Self::Itl => "ITL",
            Self::QueueTime => "queue time",
        }
    }

    /// What a request has of it, seconds: one value or none, of inter-token latencies many.
    pub(crate) fn of_request(self, request: &RequestRecord) -> Vec<f64> {
        let one = match self {
            Self::Itl => return request.inter_token_latencies_s().collect(),
            Self::E2e => request.e2e_s(),
            Self::Ttft => request.ttft_s(),
            Self::Tpot => request.tpot_s(),
            Self::QueueTime => request.queue_time_s.filter(|_| request.is_completed()),
        };
        one.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use slotune_core::Goal;

    use super::*;

    #[test]
    fn every_latency_of_the_catalogue_is_of_the_kind_that_names_it() {
        for metric in Metric::all() {
            let is_latency = metric.unit() == "s";
            let kind = Latency::of(&metric.name());
            assert_eq!(kind.is_some(), is_latency, "{metric}");
            assert!(kind.is_none_or(|kind| metric.label().contains(kind.label())), "{metric}");
        }
        assert_eq!(Latency::Ttft.metric(Statistic::P99), "ttft_p99_s");
    }

    #[test]
    fn what_is_asked_is_that_of_the_goals() {
        let of = |objective: Objective| Latency::asked(&objective);
        assert_eq!(of(Objective::minimise("ttft_p95_s")), [Latency::Ttft]);
        assert_eq!(of(Objective::maximise("goodput_per_s")), [Latency::E2e]);
        let throughput = Objective::maximise("output_throughput_tok_per_s");
        assert_eq!(of(throughput.against(Goal::minimise("itl_p99_s"))), [Latency::Itl]);
        let ttft = Objective::minimise("ttft_p95_s");
        assert_eq!(
            of(ttft.clone().against(Goal::minimise("tpot_p95_s"))),
            [Latency::Ttft, Latency::Tpot]
        );
        assert_eq!(of(ttft.against(Goal::minimise("ttft_p50_s"))), [Latency::Ttft]);
    }
}
