//! Conclusions from result sets built in code.

use crate::synthetic::{
    COST_S, START_UP_S, configuration, labelled, main_job, measurement, objective, reference_of,
    set, study, trial,
};
use proptest::prelude::*;
use slotune_core::{
    Bound, Configuration, Direction, Entry, Estimate, History, Measurement, Outcome, Reason, Value,
};
use slotune_report::analysis::{Analysis, Change, Verdict, best, failure_groups, misses};
use slotune_results::{ResultSet, StoredTrial, StudyRole};

/// A set of a default and search trials with these objectives, all feasible.
fn with_values(default: Option<(f64, f64)>, search: &[(f64, f64)]) -> ResultSet {
    let feasible = |(value, standard_error): (f64, f64)| {
        let measured = measurement(0.1, 0.9, 1.0, 1500.0);
        Outcome::Completed(
            measured.with_estimate("e2e_p95_s", Estimate::new(value, standard_error)),
        )
    };
    let setting = || configuration(512, 0.9, true);
    let mut trials: Vec<StoredTrial> = default
        .map(|value| labelled("default", trial("reference", 0, setting(), feasible(value))))
        .into_iter()
        .collect();
    let search = search.iter().enumerate();
    trials
        .extend(search.map(|(i, &value)| trial("bayesian", i as u64, setting(), feasible(value))));
    let studies = vec![
        study("reference", StudyRole::Reference, "given", 1),
        study("bayesian", StudyRole::Search, "bayesian", 10),
    ];
    set(studies, trials)
}

#[test]
fn a_winner_beyond_noise_is_recommended() {
    let set = with_values(Some((2.0, 0.02)), &[(1.9, 0.02), (1.0, 0.01), (1.0, 0.01)]);
    let Verdict::Change(found) = Analysis::new(&set).verdict else { panic!("a change is due") };
    assert_eq!(found.trial.entry.trial.id.0, 1, "the earliest of equals");
    let change = found.change.expect("the default was measured");
    assert!((change.relative + 0.5).abs() < 1e-12);
    assert!((change.standard_error - 0.5 * 0.01 * 2_f64.sqrt()).abs() < 1e-12);
    assert!(found.default_misses.is_empty());
}

#[test]
fn a_difference_within_noise_keeps_the_default() {
    let set = with_values(Some((2.0, 0.05)), &[(1.9, 0.05)]);
    let Verdict::KeepDefault { default, best } = Analysis::new(&set).verdict else {
        panic!("0.1 is within 1.96 × 0.07")
    };
    assert_eq!(default.label.as_deref(), Some("default"));
    assert_eq!(best.expect("something was found").trial.study, "bayesian");
}

#[test]
fn a_worse_winner_keeps_the_default_unless_the_default_misses_a_target() {
    let mut set = with_values(Some((1.0, 0.0)), &[(1.5, 0.0)]);
    assert!(matches!(Analysis::new(&set).verdict, Verdict::KeepDefault { .. }));
    // Now the default misses the queue target, so there is nothing to keep.
    let slow = measurement(0.8, 0.9, 1.0, 1500.0);
    set.trials[0] = labelled(
        "default",
        trial("reference", 0, configuration(256, 0.9, true), Outcome::Completed(slow)),
    );
    let Verdict::Change(found) = Analysis::new(&set).verdict else {
        panic!("the default misses a target")
    };
    assert_eq!(found.default_misses.len(), 1);
    assert_eq!(found.default_misses[0].constraint.metric, "queue_share");
}

#[test]
fn without_a_default_the_winner_is_recommended() {
    let set = with_values(None, &[(1.5, 0.0)]);
    let Verdict::Change(found) = Analysis::new(&set).verdict else { panic!("nothing to keep") };
    assert_eq!(found.change, None);
}

#[test]
fn a_default_of_nothing_is_beaten_by_something() {
    let mut set = with_values(Some((0.0, 0.0)), &[(0.0, 0.0), (4.0, 0.1)]);
    assert!(matches!(Analysis::new(&set).verdict, Verdict::KeepDefault { .. }));
    set.manifest.objective.direction = Direction::Maximise;
    let Verdict::Change(found) = Analysis::new(&set).verdict else { panic!("4 is more than 0") };
    assert_eq!((found.trial.entry.trial.id.0, found.change), (1, None));
    assert_eq!(Analysis::new(&set).verdict.advised(), Some(found.trial));
}

#[test]
fn where_none_is_feasible_the_closest_and_its_binding_target_are_named() {
    let mut set = main_job();
    set.manifest.objective.constraints[0].bound = Bound::AtLeast(5000.0);
    let Verdict::NoneFeasible(near) = Analysis::new(&set).verdict else {
        panic!("5000 tok/s is out of reach")
    };
    assert_eq!(near.binding.constraint.metric, "output_throughput_tok_per_s");
    let reached = near.binding.value.expect("throughput was measured");
    let highest = set
        .trials
        .iter()
        .filter(|t| t.study == "bayesian")
        .filter_map(|t| t.entry.measurement()?.value("output_throughput_tok_per_s"))
        .fold(0.0, f64::max);
    assert!((reached - highest).abs() < 1e-9);
    assert!((near.binding.shortfall - (5000.0 - highest) / 5000.0).abs() < 1e-12);
}

#[test]
fn an_empty_set_gives_no_verdict() {
    let set = set(vec![study("bayesian", StudyRole::Search, "bayesian", 30)], vec![]);
    let analysis = Analysis::new(&set);
    assert_eq!(analysis.verdict, Verdict::NothingMeasured);
    assert!(analysis.sweeps.is_empty() && analysis.failures.is_empty());
    assert_eq!(analysis.search().expect("the study exists").best(), None);
}

#[test]
fn curves_never_get_worse_and_count_trials_to_a_target() {
    let set = main_job();
    let analysis = Analysis::new(&set);
    assert_eq!(analysis.curves.len(), 3, "the reference study has no curve");
    for curve in &analysis.curves {
        let incumbents: Vec<f64> =
            curve.points.iter().filter_map(|point| point.incumbent).collect();
        assert!(incumbents.windows(2).all(|pair| pair[1] <= pair[0]));
        let best = curve.best().expect("every study has a feasible trial");
        let reached = curve.trials_to_reach(&set.manifest.objective, best).expect("it was reached");
        assert_eq!(curve.best_within(reached), Some(best));
        assert!(curve.best_within(reached - 1).is_none_or(|before| before > best));
        assert_eq!(curve.trials_to_reach(&set.manifest.objective, best / 2.0), None);
        assert_eq!(curve.best_within(0), None);
    }
    let grid = analysis.grid().expect("there is a grid");
    assert_eq!((grid.points.len(), grid.infeasible(), grid.failed()), (60, 8, 0));
    assert!((grid.cost() - 60.0 * COST_S).abs() < 1e-9);
    let start_up_s = grid.start_up_s().expect("servers told");
    assert!((start_up_s - 52.0 * START_UP_S).abs() < 1e-9, "of those that came up");
}

#[test]
fn sweeps_show_what_the_formula_does() {
    let set = main_job();
    let analysis = Analysis::new(&set);
    let of = |name: &str| analysis.sweeps.iter().find(|s| s.parameter == name).expect("it varied");
    let seqs = of("max_num_seqs");
    assert_eq!(seqs.levels.iter().map(|l| l.trials.len()).collect::<Vec<_>>(), [12; 5]);
    assert_eq!(
        seqs.levels.iter().map(slotune_report::analysis::Level::infeasible).collect::<Vec<_>>(),
        [0, 0, 0, 4, 4]
    );
    assert_eq!(
        seqs.best_level(analysis.objective()).and_then(|l| l.value.cloned()),
        Some(1024.into())
    );
    assert!(seqs.effect(analysis.objective()).expect("measured") > 1.0);
    assert_eq!(of("stream_interval").effect(analysis.objective()), Some(0.0));
    assert_eq!(seqs.levels[0].best(analysis.objective()), None, "256 misses the queue target");
    let queue: Vec<f64> = seqs.levels.iter().filter_map(|l| l.median("queue_time_p50_s")).collect();
    assert!(queue.windows(2).all(|pair| pair[1] < pair[0]));
}

#[test]
fn values_are_compared_over_the_same_settings_of_the_others() {
    // Latency follows from the utilization alone; 512 was not tried, or did not run, at the first.
    let of = |id, seqs, utilization, outcome: Option<f64>| {
        let outcome = outcome.map_or_else(
            || Outcome::Infeasible(Reason::new("memory", "none left")),
            |p95| Outcome::Completed(measurement(0.1, 0.9, p95, 1500.0)),
        );
        trial("grid", id, configuration(seqs, utilization, true), outcome)
    };
    let grid = vec![study("grid", StudyRole::Comparison, "grid", 4)];
    for hole in [vec![], vec![of(3, 512, 0.7, None)]] {
        let mut trials = vec![
            of(0, 256, 0.7, Some(1.0)),
            of(1, 256, 0.9, Some(2.0)),
            of(2, 512, 0.9, Some(2.0)),
        ];
        trials.extend(hole);
        let set = set(grid.clone(), trials);
        let analysis = Analysis::new(&set);
        let sweep = |name| analysis.sweeps.iter().find(|s| s.parameter == name).expect("it varied");
        let seqs = sweep("max_num_seqs");
        assert_eq!((seqs.settings, seqs.effect(analysis.objective())), (1, Some(0.0)));
        assert_eq!(sweep("gpu_memory_utilization").effect(analysis.objective()), Some(1.0));
    }
    let unlike = vec![of(0, 256, 0.7, Some(1.0)), of(1, 512, 0.9, Some(2.0))];
    let set = set(grid, unlike);
    let analysis = Analysis::new(&set);
    assert_eq!(analysis.sweeps[0].settings, 0);
    assert_eq!(analysis.sweeps[0].effect(analysis.objective()), Some(1.0), "a hint");
}

#[test]
fn many_values_that_cannot_be_compared_make_a_few_ranges() {
    let trials = (0..17_u64).map(|id| {
        let seqs = 8 + 8 * (id.cast_signed() * 5 % 17);
        let utilization = 0.7 + 0.01 * id as f64;
        let measured = measurement(0.1, 0.9, 1.0 + id as f64, 1500.0);
        trial("search", id, configuration(seqs, utilization, true), Outcome::Completed(measured))
    });
    let studies = vec![study("search", StudyRole::Search, "bayesian", 17)];
    let mut set = set(studies, trials.collect());
    let sweep = |set: &ResultSet| -> Vec<(Option<Value>, Option<Value>, usize)> {
        let analysis = Analysis::new(set);
        let levels = analysis.sweeps[0].levels.iter();
        levels.map(|l| (l.value.cloned(), l.to.cloned(), l.trials.len())).collect()
    };
    let range = |from: i64, to: i64, trials| (Some(from.into()), Some(to.into()), trials);
    assert_eq!(
        sweep(&set),
        [
            range(8, 24, 3),
            range(32, 48, 3),
            range(56, 72, 3),
            range(80, 96, 3),
            range(104, 120, 3),
            range(128, 136, 2)
        ]
    );
    let page = slotune_report::week3::page(&set).unwrap();
    assert!(
        page.contains("| 8 to 24 | 3 |") && page.contains("`max_num_seqs` at 8 to 24, 32 to 48")
    );
    assert!(page.contains("do not tell what `max_num_seqs` does by itself"), "{page}");
    set.trials.truncate(6);
    assert_eq!(sweep(&set).len(), 6, "few are shown one by one");
}

#[test]
fn constraints_tell_whom_they_exclude() {
    let mut set = main_job();
    // The fastest trial has a throughput of about 1500: a bound above excludes it and binds.
    set.manifest.objective.constraints[0].bound = Bound::AtLeast(1500.0);
    let analysis = Analysis::new(&set);
    let [throughput, very_long, queue] = &analysis.constraints[..] else { panic!("three targets") };
    let excluded = throughput.excludes.expect("throughput binds");
    let winner = analysis.verdict.trial().expect("something is feasible");
    let p95 = |t: &StoredTrial| t.entry.measurement().and_then(|m| m.value("e2e_p95_s"));
    assert!(p95(excluded) < p95(winner));
    assert!(very_long.missed >= very_long.missed_alone);
    assert_eq!(queue.excludes, None);
}

#[test]
fn failures_are_grouped_with_the_impossible_first() {
    let failed = |id, class: &str, message: &str| {
        trial("bayesian", id, Configuration::new(), Outcome::Failed(Reason::new(class, message)))
    };
    let infeasible = |id, class: &str, message: &str| {
        trial(
            "bayesian",
            id,
            Configuration::new(),
            Outcome::Infeasible(Reason::new(class, message)),
        )
    };
    let trials = [
        failed(0, "network", "reset"),
        infeasible(1, "memory", "first"),
        infeasible(2, "memory", "second"),
        infeasible(3, "invalid", "rejected"),
    ];
    let groups = failure_groups(&trials);
    let seen: Vec<_> =
        groups.iter().map(|g| (g.infeasible, g.class, g.trials.len(), g.example)).collect();
    assert_eq!(
        seen,
        [
            (true, "invalid", 1, "rejected"),
            (true, "memory", 2, "first"),
            (false, "network", 1, "reset")
        ]
    );
}

#[test]
fn a_change_from_nothing_or_to_no_number_is_none() {
    let estimate = |value| Estimate::exact(value);
    assert_eq!(Change::between(estimate(0.0), estimate(1.0)), None);
    assert_eq!(Change::between(estimate(1.0), estimate(f64::NAN)), None);
    let gone =
        Change::between(estimate(2.0), estimate(0.0)).expect("a fall to nothing is a change");
    assert!((gone.relative + 1.0).abs() < 1e-15 && gone.is_beyond_noise());
    let same = Change::between(estimate(2.0), estimate(2.0)).expect("no change is a change of 0");
    assert!(!same.is_beyond_noise());
}

#[test]
fn a_metric_that_was_not_measured_is_missed() {
    let objective = objective();
    let missed =
        misses(&objective, &Measurement::new().with("e2e_p95_s", 1.0).with("queue_share", 0.1));
    assert_eq!(missed.len(), 2);
    assert!(missed.iter().all(|miss| miss.value.is_none() && miss.shortfall.is_infinite()));
}

#[test]
fn a_default_that_did_not_run_is_not_kept() {
    let mut set = main_job();
    let default = set
        .trials
        .iter_mut()
        .find(|t| t.label.as_deref() == Some("default"))
        .expect("there is one");
    *default = labelled("default", reference_of(1, configuration(4096, 0.95, true)));
    assert!(matches!(Analysis::new(&set).verdict, Verdict::Change(_)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The incumbent of a report is the one that the search itself would name.
    #[test]
    fn best_agrees_with_the_history(values in prop::collection::vec((0.1_f64..5.0, 800.0_f64..1600.0), 0..12)) {
        let trials: Vec<StoredTrial> = values
            .iter()
            .enumerate()
            .map(|(i, &(p95, throughput))| {
                trial("s", i as u64, Configuration::new(), Outcome::Completed(measurement(0.1, 0.9, p95, throughput)))
            })
            .collect();
        let history: History = trials.iter().map(|t| t.entry.clone()).collect();
        let expected: Option<&Entry> = history.best(&objective());
        prop_assert_eq!(best(&objective(), &trials).map(|t| &t.entry), expected);
    }
}
