//! What an objective asks for, and what is shown beside it.

use slotune_core::Objective;

const THROUGHPUT: &str = "output_throughput_tok_per_s";

/// The metrics of the goals, that of the first goal first.
pub(crate) fn goals(objective: &Objective) -> impl Iterator<Item = &str> {
    objective.metrics().take(1 + usize::from(objective.against.is_some()))
}

/// The metric to show beside that of the first goal: that of the second, or else what such a goal mostly
/// costs, which is throughput, and for a throughput latency.
pub(crate) fn beside(objective: &Objective) -> &str {
    match &objective.against {
        Some(second) => &second.metric,
        None if objective.metric == THROUGHPUT => "e2e_p95_s",
        None => THROUGHPUT,
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
    use slotune_core::{Constraint, Goal};

    use super::*;

    #[test]
    fn what_is_beside_a_goal_is_never_the_goal() {
        let ttft = Objective::minimise("ttft_p95_s").subject_to(Constraint::at_most("x", 1.0));
        assert_eq!(goals(&ttft).collect::<Vec<_>>(), ["ttft_p95_s"]);
        assert_eq!(beside(&ttft), THROUGHPUT);
        let two = ttft.against(Goal::minimise("tpot_p95_s"));
        assert_eq!(goals(&two).collect::<Vec<_>>(), ["ttft_p95_s", "tpot_p95_s"]);
        assert_eq!(beside(&two), "tpot_p95_s");
        assert_eq!(beside(&Objective::maximise(THROUGHPUT)), "e2e_p95_s");
        assert_eq!(each_once(["a", "b", "a", "c", "b"]), ["a", "b", "c"]);
    }
}
