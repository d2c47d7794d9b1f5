//! Past sets asked for other targets.

use slotune_core::{Constraint, Estimate, Goal, Measurement, Objective, Outcome};
use slotune_report::{
    comparison::Judgement,
    inquiry::{Inquiry, InquiryError, retargeted},
};
use slotune_results::{ResultSet, StudyRole};
use slotune_serving::{Caveat, CaveatClass};

use crate::synthetic::{configuration, set, study, trial};

/// Trials of `max_num_seqs` 256, 512, ... with these latencies (s) and throughputs (tokens/s).
fn measured(values: &[(f64, f64)]) -> ResultSet {
    let trials = (0_u64..).zip(values).map(|(id, &(p95_s, throughput))| {
        let measurement = Measurement::new()
            .with_estimate("e2e_p95_s", Estimate::new(p95_s, 0.01))
            .with("output_throughput_tok_per_s", throughput);
        let seqs = 256 << id;
        trial("search", id, configuration(seqs, 0.9, true), Outcome::Completed(measurement))
    });
    set(vec![study("search", StudyRole::Search, "bayesian", 10)], trials.collect())
}

fn objective(least: f64) -> Objective {
    Objective::minimise("e2e_p95_s")
        .subject_to(Constraint::at_least("output_throughput_tok_per_s", least))
}

fn ask(set: &ResultSet, objective: Objective) -> Inquiry {
    Inquiry::new(&[("a".to_owned(), set)], objective).expect("a metric")
}

const VALUES: [(f64, f64); 5] =
    [(3.0, 1000.0), (2.0, 900.0), (1.0, 500.0), (2.5, 800.0), (2.0, 950.0)];

#[test]
fn the_best_for_other_targets_is_found_after_the_fact() {
    let set = measured(&VALUES);
    for (least, trial, feasible) in [(0.0, 2, 5), (600.0, 1, 4), (920.0, 4, 2), (1000.0, 0, 1)] {
        let inquiry = ask(&set, objective(least));
        assert_eq!(inquiry.best.as_ref().map(|found| found.trial), Some(trial), "{least}");
        assert_eq!((inquiry.feasible, inquiry.trials), (feasible, 5));
        assert_eq!(inquiry.closest, None);
    }
    let inquiry = ask(&set, objective(1500.0));
    assert_eq!(inquiry.best, None);
    let closest = inquiry.closest.as_ref().unwrap();
    assert_eq!(closest.trial, 0);
    assert_eq!(closest.misses, ["output_throughput_tok_per_s >= 1500"]);
    let whole = ask(&set, objective(1_500.123_456_789));
    let text = whole.to_string();
    assert!(
        text.contains("asked: minimize P95 E2E latency\n       output throughput ≥ 1,500 tok/s\n")
    );
    assert!(text.contains("  misses output throughput ≥ 1,500 tok/s\n"), "{text}");
    let json = serde_json::to_string(&whole).unwrap();
    assert!(
        json.contains("\"misses\":[\"output_throughput_tok_per_s >= 1500.123456789\"]"),
        "{json}"
    );
    let throughput = ask(&set, Objective::maximise("output_throughput_tok_per_s"));
    assert_eq!(throughput.best.as_ref().unwrap().trial, 0);
    assert_eq!(throughput.front.iter().map(|found| found.trial).collect::<Vec<_>>(), [0, 4, 2]);
    let text = throughput.to_string();
    assert!(text.contains("better in both output_throughput_tok_per_s and e2e_p95_s:"), "{text}");
}

#[test]
fn the_front_holds_what_nothing_beats_in_both() {
    let set = measured(&VALUES);
    let against = objective(0.0).against(Goal::minimise("output_throughput_tok_per_s"));
    let only = ask(&set, against);
    assert_eq!(only.front.iter().map(|found| found.trial).collect::<Vec<_>>(), [2]);
    assert_eq!(only.front[0].against, Some(500.0));
    let text = only.to_string();
    assert!(
        text.contains(
            "better in both e2e_p95_s and output_throughput_tok_per_s, targets left aside:"
        ),
        "{text}"
    );
    let front = |set: &ResultSet| -> Vec<u64> {
        ask(set, objective(0.0)).front.iter().map(|found| found.trial).collect()
    };
    assert_eq!(front(&set), [2, 4, 0], "1 is as fast as 4 with less throughput, 3 is beaten");
    let mut bounded = set;
    let measurement = Measurement::new()
        .with_estimate("e2e_p95_s", Estimate { is_lower_bound: true, ..Estimate::new(0.5, 0.0) })
        .with("output_throughput_tok_per_s", 2000.0);
    let configuration = configuration(64, 0.9, true);
    bounded.trials.push(trial("search", 5, configuration, Outcome::Completed(measurement)));
    assert_eq!(front(&bounded), [2, 4, 0], "a lower bound wins nothing");
    let inquiry = ask(&bounded, objective(0.0));
    assert_eq!(inquiry.best.as_ref().unwrap().trial, 2);
    assert_eq!(inquiry.doubts.len(), 1);
    assert_eq!(inquiry.doubts[0].trial, 5);
}

#[test]
fn what_changed_between_dates_is_told_in_their_order() {
    let mut later = measured(&[(3.0, 1000.0), (2.5, 900.0)]);
    later.manifest.created = "2026-12-01T00:00:00Z".to_owned();
    later.manifest.backend.vllm_version = "0.33.0".to_owned();
    let earlier = measured(&[(3.0, 1000.0), (2.0, 900.0), (1.0, 500.0)]);
    // Named in the other order.
    let sets = [("new".to_owned(), &later), ("old".to_owned(), &earlier)];
    let inquiry = Inquiry::new(&sets, objective(0.0)).unwrap();
    let drift: Vec<_> = inquiry
        .drift
        .iter()
        .map(|drift| (drift.before.0.as_str(), drift.after.0.as_str(), drift.judgement))
        .collect();
    assert_eq!(drift, [("old", "new", Judgement::Same), ("old", "new", Judgement::Worse)]);
    assert_eq!(inquiry.caveats, ["old: vLLM's version differs: 0.33.0; 0.25.1"]);
    assert_eq!(inquiry.best.as_ref().unwrap().set, "old");
    let text = inquiry.to_string();
    assert!(text.contains("worse    2.00 ± 0.01 s in old, 2.50 ± 0.01 s in new"), "{text}");
}

#[test]
fn trials_with_caveats_are_doubted() {
    let mut set = measured(&VALUES[..2]);
    set.trials[1].caveats = vec![Caveat::new(CaveatClass::NotSteady, "latency never settled")];
    let inquiry = ask(&set, objective(0.0));
    assert_eq!(inquiry.doubts.len(), 1);
    assert_eq!(inquiry.doubts[0].reason, "latency never settled (not_steady)");
    assert!(inquiry.to_string().contains("a:search/1  latency never settled"), "{inquiry}");
}

#[test]
fn the_same_doubt_of_many_trials_is_one_line() {
    let mut set = measured(&VALUES);
    for position in [0, 2, 3, 4] {
        set.trials[position].caveats = vec![Caveat::new(CaveatClass::NotSteady, "never settled")];
    }
    set.trials[1].caveats = vec![Caveat::new(CaveatClass::ClientLate, "sent late")];
    let inquiry = ask(&set, objective(0.0));
    assert_eq!(inquiry.doubts.len(), 5, "one a trial for machines");
    let text = inquiry.to_string();
    let (_, doubts) = text.split_once("to trust less:\n").expect("some");
    assert_eq!(
        doubts,
        "  4 trials  never settled (not_steady): a:search/0, 2 to 4\n  a:search/1  sent late (client_late)\n"
    );
    // The set is named once.
    for trial in &mut set.trials[3..] {
        trial.study = "grid".to_owned();
    }
    let text = ask(&set, objective(0.0)).to_string();
    assert!(text.contains(": a:search/0, 2; grid/3, 4\n"), "{text}");
}

#[test]
fn repeats_without_errors_are_not_said_to_differ_beyond_noise() {
    let mut set = measured(&VALUES[..1]);
    for (id, p95_s) in [(1, 2.0), (2, 3.0)] {
        let measurement = Measurement::new().with("e2e_p95_s", p95_s);
        let outcome = Outcome::Completed(measurement);
        set.trials.push(trial("search", id, configuration(64, 0.9, true), outcome));
    }
    let inquiry = ask(&set, objective(0.0));
    assert_eq!(
        inquiry.doubts[0].reason,
        "a repeat of search/1 that measured 3.00 s where that had 2.00 s: nothing is known of the noise within runs"
    );
}

#[test]
fn bounds_replace_those_on_the_same_metric() {
    let given = [Constraint::at_least("output_throughput_tok_per_s", 5.0)];
    let of = |objective: &Objective| -> Vec<String> {
        objective.constraints.iter().map(ToString::to_string).collect()
    };
    let before = objective(1.0).subject_to(Constraint::at_most("queue_share", 0.5));
    let after = retargeted(&before, None, &given);
    assert_eq!(of(&after), ["queue_share <= 0.5", "output_throughput_tok_per_s >= 5"]);
    assert_eq!(after.metric, "e2e_p95_s");
    let other = retargeted(&before, Some(Objective::minimise("ttft_p95_s")), &given);
    assert_eq!((other.metric.as_str(), other.constraints), ("ttft_p95_s", after.constraints));
}

#[test]
fn nothing_to_ask_and_unknown_metrics_are_refused() {
    assert_eq!(Inquiry::new(&[], objective(0.0)), Err(InquiryError::NoSet));
    let set = measured(&VALUES);
    let error = Inquiry::new(&[("a".to_owned(), &set)], Objective::minimise("e2e_p95"));
    assert!(error.unwrap_err().to_string().contains("did you mean `e2e_p95_s`?"));
}
