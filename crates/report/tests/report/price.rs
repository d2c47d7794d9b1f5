//! What a recommendation costs, what the targets exclude, and what was not alike.

use slotune_core::{Bound, Estimate, Objective, Outcome};
use slotune_report::{
    advice::Advice,
    analysis::{Analysis, Price},
    comparison::{Comparison, Judgement},
    inquiry::Inquiry,
    week3::page,
};
use slotune_results::{ResultSet, StoredTrial, StudyRole};
use slotune_serving::{Workload, workload::Arrivals};

use crate::synthetic::{configuration, labelled, measurement, set, study, trial};

/// A default with a P95 of 3 s; a search that reaches 1.9 s with a longer queue; and a grid that reaches 1 s and waits
/// for more of the latency than the targets allow.
fn excluded() -> ResultSet {
    let measured = |queue, p50, p95| Outcome::Completed(measurement(queue, p50, p95, 1500.0));
    let studies = vec![
        study("reference", StudyRole::Reference, "given", 1),
        study("search", StudyRole::Search, "bayesian", 1),
        study("grid", StudyRole::Comparison, "grid", 2),
    ];
    let trials = vec![
        labelled(
            "default",
            trial("reference", 0, configuration(1024, 0.9, true), measured(0.1, 1.0, 3.0)),
        ),
        trial("search", 0, configuration(512, 0.9, true), measured(0.3, 1.0, 1.9)),
        trial("grid", 0, configuration(512, 0.7, true), measured(0.3, 1.0, 2.0)),
        trial("grid", 1, configuration(256, 0.7, true), measured(0.6, 1.0, 1.0)),
    ];
    let mut set = set(studies, trials);
    set.manifest.objective.constraints[1].bound = Bound::AtMost(5.0);
    set
}

#[test]
fn a_target_that_excludes_a_trial_of_another_study_binds() {
    let set = excluded();
    let analysis = Analysis::new(&set);
    let excludes: Vec<Option<String>> =
        analysis.constraints.iter().map(|effect| effect.excludes.map(StoredTrial::name)).collect();
    assert_eq!(excludes, [None, None, Some("grid/1".to_owned())]);
    let page = page(&set).unwrap();
    let sentence = "Without the target queue share of E2E latency ≤ 50%, `grid/1` would win, with a P95 E2E latency of 1.00 s.";
    assert!(page.contains(sentence), "{page}");
    assert!(page.contains("| `grid/1`: 1.00 s |"), "{page}");
    let text = Advice::new(&analysis).unwrap().to_string();
    let line =
        "\nwithout the target queue share of E2E latency ≤ 50%, grid/1 would win with 1.00 s\n";
    assert!(text.contains(line), "{text}");
    // What noise may make is no price: the search's 1.9 s have an error of 1.2 %.
    let mut close = set;
    let measured = Outcome::Completed(measurement(0.6, 1.0, 1.89, 1500.0));
    close.trials[3] = trial("grid", 1, configuration(256, 0.7, true), measured);
    let text = Advice::new(&Analysis::new(&close)).unwrap().to_string();
    assert!(!text.contains("would win"), "{text}");
}

#[test]
fn a_recommendation_tells_what_it_is_worse_in() {
    let set = excluded();
    let analysis = Analysis::new(&set);
    let advice = Advice::new(&analysis).unwrap();
    assert_eq!(advice.verdict, "change");
    let price =
        |metric, value, before, is_error_known| Price { metric, value, before, is_error_known };
    assert_eq!(
        advice.prices,
        [price("queue_share", 0.3, 0.1, true), price("ttft_p95_s", 0.4, 0.2, false)]
    );
    let text = advice.to_string();
    let line = "\nworse than vLLM's default: queue share of E2E latency 30.0% against 10.0%; P95 TTFT 0.400 s against 0.200 s (no error is known)\n";
    assert!(text.contains(line), "{text}");
    let json = serde_json::to_value(&advice).unwrap();
    assert_eq!(json["prices"][0]["before"], 0.1);
}

#[test]
fn what_comes_closest_tells_all_that_it_misses() {
    let mut set = excluded();
    set.manifest.objective.constraints[0].bound = Bound::AtLeast(1600.0);
    set.manifest.objective.constraints[2].bound = Bound::AtMost(0.09);
    let advice = Advice::new(&Analysis::new(&set)).unwrap();
    let closest = advice.closest.as_ref().expect("nothing meets them");
    assert_eq!((closest.trial.study.as_str(), closest.trial.trial), ("reference", 0));
    assert_eq!(closest.misses, ["queue_share <= 0.09", "output_throughput_tok_per_s >= 1600"]);
    let text = advice.to_string();
    assert!(
        text.contains("closest came reference/0, which misses queue share of E2E latency ≤ 9% (reached 10.0%) and output throughput ≥ 1,600 tok/s (reached 1,500 tok/s)"),
        "{text}"
    );
    let page = page(&set).unwrap();
    assert!(page.contains(" It also misses output throughput ≥ 1,600 tok/s"), "{page}");
    assert!(page.contains("Relax these targets, or widen the search space."), "{page}");
    let json = serde_json::to_value(&advice).unwrap();
    assert_eq!(json["closest"]["study"], "reference");
}

/// A baseline that is closer to the targets than the default and the search, and has the shorter queue.
#[test]
fn the_baseline_may_come_closest_and_the_default_be_worse_than_it() {
    let mut set = excluded();
    let measured = Outcome::Completed(measurement(0.05, 1.0, 4.0, 1500.0));
    let baseline = trial("reference", 1, configuration(256, 0.9, true), measured);
    set.trials.push(labelled("baseline", baseline));
    set.manifest.objective.constraints[2].bound = Bound::AtMost(0.04);
    let advice = Advice::new(&Analysis::new(&set)).unwrap();
    let closest = advice.closest.as_ref().unwrap();
    assert_eq!((closest.trial.study.as_str(), closest.trial.trial), ("reference", 1));

    set.trials.retain(|trial| trial.study == "reference");
    let page_of = |set: &ResultSet| page(set).unwrap();
    assert!(page_of(&set).contains("meets the targets, and nothing was searched yet.**"));
    set.manifest.objective.constraints.pop();
    let advice = Advice::new(&Analysis::new(&set)).unwrap();
    assert_eq!(advice.verdict, "keep_default");
    let text = advice.to_string();
    let line = "worse than the baseline: queue share of E2E latency 10.0% against 5.00%; P95 TTFT 0.200 s against 0.150 s";
    assert!(text.contains(line), "{text}");
    assert!(
        page_of(&set).contains("It is worse than the baseline in queue share"),
        "{}",
        page_of(&set)
    );
}

#[test]
fn a_throughput_that_the_requests_cap_is_told() {
    let mut set = excluded();
    set.manifest.objective = Objective::maximise("output_throughput_tok_per_s");
    let capped = "requests arrive at their own pace, so no configuration has more throughput";
    let says = |set: &ResultSet| {
        let text = Advice::new(&Analysis::new(set)).unwrap().to_string();
        (
            text.starts_with("keep default"),
            text.contains(capped),
            page(set).unwrap().contains(capped),
        )
    };
    assert_eq!(says(&set), (true, true, true));
    // In a closed loop they wait for the server.
    let Workload::Synthetic(synthetic) = &mut set.manifest.workload else {
        panic!("it is synthetic")
    };
    synthetic.arrivals = Arrivals::Closed { concurrency: 8 };
    assert_eq!(says(&set), (true, false, false));
}

#[test]
fn a_set_without_a_search_says_what_it_can_be_asked() {
    let mut set = excluded();
    set.trials.retain(|trial| trial.study == "grid");
    set.manifest.studies.retain(|study| study.name == "grid");
    let advice = Advice::new(&Analysis::new(&set)).unwrap();
    let text = advice.to_string();
    assert!(
        text.contains("this set holds no measured trial of a search; `slotune analyse`"),
        "{text}"
    );
}

#[test]
fn trials_that_served_unlike_loads_are_not_called_alike() {
    let mut set = excluded();
    let alike = Inquiry::new(&[("a".to_owned(), &set)], set.manifest.objective.clone()).unwrap();
    assert_eq!(alike.caveats, Vec::<String>::new());
    let description = "chat at 6/s or 8/s".to_owned();
    set.manifest.workload = Workload::OfEachTrial { description };
    let unlike = Inquiry::new(&[("a".to_owned(), &set)], set.manifest.objective.clone()).unwrap();
    assert_eq!(
        unlike.caveats,
        [
            "a: trials served requests of their own (chat at 6/s or 8/s); what is better may have served a lighter load"
        ]
    );
    let page = page(&set).unwrap();
    assert!(!page.contains("served the same workload"), "{page}");
    let note = "trials served requests of their own (chat at 6/s or 8/s)";
    assert!(page.contains(note) && !page.contains("medians compare like with like"), "{page}");
    let advice = Advice::new(&Analysis::new(&set)).unwrap().to_string();
    assert!(advice.contains(note), "{advice}");
    let compared = Comparison::new((&set, &set.trials[0]), (&set, &set.trials[1]));
    assert!(compared.to_string().contains(note), "{compared}");
    assert!(set.manifest.workload.schedule().is_err());
}

#[test]
fn the_front_tells_who_misses_a_target_and_who_is_known_by_another_name() {
    let set = excluded();
    let objective = set.manifest.objective.clone();
    let text = Inquiry::new(&[("a".to_owned(), &set)], objective).unwrap().to_string();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("a:grid/1")).collect();
    assert!(lines[0].ends_with("  misses queue share of E2E latency ≤ 50%"), "{text}");
    let mut default = set.clone();
    default.trials.retain(|trial| trial.study == "reference");
    let objective = default.manifest.objective.clone();
    let text = Inquiry::new(&[("a".to_owned(), &default)], objective).unwrap().to_string();
    assert!(text.contains("a:reference/0 (default)  "), "{text}");
}

#[test]
fn what_reads_the_same_is_the_same_whatever_its_error_says() {
    let mut set = excluded();
    let with = |value: f64, error: f64| {
        let measured = measurement(0.1, 1.0, 2.0, 1500.0);
        Outcome::Completed(
            measured.with_estimate("request_throughput_per_s", Estimate::new(value, error)),
        )
    };
    set.trials = vec![
        trial("search", 0, configuration(512, 0.9, true), with(6.2601, 1e-6)),
        trial("search", 1, configuration(256, 0.9, true), with(6.26, 1e-6)),
        trial("search", 2, configuration(256, 0.7, true), with(6.9, 1.0)),
    ];
    let judge = |set: &ResultSet, after: usize| {
        let comparison = Comparison::new((set, &set.trials[0]), (set, &set.trials[after]));
        let row = comparison.metrics.iter().find(|row| row.metric == "request_throughput_per_s");
        (row.unwrap().judgement, comparison.to_string())
    };
    let (judgement, text) = judge(&set, 1);
    assert_eq!(judgement, Judgement::Same);
    assert!(!text.contains("worse"), "{text}");
    // An error that only arithmetic has made is none.
    set.trials[1] = trial("search", 1, configuration(256, 0.9, true), with(6.0, 1e-6));
    let (judgement, text) = judge(&set, 1);
    assert_eq!(judgement, Judgement::Unknown);
    assert!(text.contains(" unknown, no error is known\n"), "{text}");
    // No difference was shown, which is not to say that there is none.
    let (judgement, text) = judge(&set, 2);
    assert_eq!(judgement, Judgement::Same);
    assert!(text.contains(" within noise\n"), "{text}");
}
