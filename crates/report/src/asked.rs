//! What an objective asks for, and what is shown beside it.

use slotune_core::{Goal, Objective};
use slotune_results::Manifest;
use slotune_serving::{Workload, metrics::Metric};

const THROUGHPUT: &str = "output_throughput_tok_per_s";

/// The metrics of the goals, that of the first goal first.
pub(crate) fn goals(objective: &Objective) -> impl Iterator<Item = &str> {
    objective.metrics().take(1 + usize::from(objective.against.is_some()))
}

/// The goal to show beside the first: the second, or else what the first mostly costs, which is throughput,
/// and for a throughput latency.
pub(crate) fn beside(objective: &Objective) -> Goal {
    match &objective.against {
        Some(second) => second.clone(),
        None if objective.metric == THROUGHPUT => Goal::minimise("e2e_p95_s"),
        None => Goal::maximise(THROUGHPUT),
    }
}

/// Whether nobody can have more of a metric than the requests of a workload ask for.
pub(crate) fn is_capped(metric: &str, workload: &Workload) -> bool {
    let throughputs = [Metric::OutputThroughput, Metric::RequestThroughput];
    workload.is_open_loop() && throughputs.iter().any(|throughput| throughput.name() == metric)
}

/// Why a search for throughput may find nothing.
pub(crate) fn capped(manifest: &Manifest) -> Option<&'static str> {
    is_capped(&manifest.objective.metric, &manifest.workload).then_some(
        "requests arrive at their own pace, so no configuration has more throughput than they ask for: raise \
         the rate, or maximise `goodput_per_s`",
    )
}

/// Why trials of a set may not be compared, where they served requests of their own.
pub fn unlike_loads(workload: &Workload) -> Option<String> {
    match workload {
        Workload::OfEachTrial { description } => Some(format!(
            "trials served requests of their own ({description}); what is better may have served a lighter load"
        )),
        Workload::Synthetic(_) | Workload::Replay(_) => None,
    }
}

/// The metrics without those that came before.
pub(crate) fn each_once<'m>(metrics: impl IntoIterator<Item = &'m str>) -> Vec<&'m str> {
    let mut once = Vec::new();
    for metric in metrics {
        if !once.contains(&metric) {
            once.push(metric);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use slotune_core::Constraint;

    use super::*;

    #[test]
    fn what_is_beside_a_goal_is_never_the_goal() {
        let ttft = Objective::minimise("ttft_p95_s").subject_to(Constraint::at_most("x", 1.0));
        assert_eq!(goals(&ttft).collect::<Vec<_>>(), ["ttft_p95_s"]);
        assert_eq!(beside(&ttft), Goal::maximise(THROUGHPUT));
        let two = ttft.against(Goal::minimise("tpot_p95_s"));
        assert_eq!(goals(&two).collect::<Vec<_>>(), ["ttft_p95_s", "tpot_p95_s"]);
        assert_eq!(beside(&two), Goal::minimise("tpot_p95_s"));
        assert_eq!(beside(&Objective::maximise(THROUGHPUT)), Goal::minimise("e2e_p95_s"));
        assert_eq!(each_once(["a", "b", "a", "c", "b"]), ["a", "b", "c"]);
    }
}
