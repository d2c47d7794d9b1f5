//! Verdicts on histories whose truth is known.

use super::*;
use crate::{Bound, Outcome, Parameter, SearchSpace, Study, sampler::Grid};

/// Told trials over a line of 12 widths: latency falls with width, and so does throughput.
fn study(target: f64, noise: f64, latency: impl Fn(f64) -> f64) -> Study {
    let space = SearchSpace::new(vec![Parameter::integer("width", 1, 12)], vec![]).unwrap();
    let widths = (1..=12).map(crate::Value::Integer).collect();
    let grid = Grid::new(&space, vec![("width".to_owned(), widths)]).unwrap();
    let objective =
        Objective::minimise("latency").subject_to(Constraint::at_least("throughput", target));
    let mut study = Study::new(Problem::new(space, objective), Box::new(grid), 0).unwrap();
    while let Some(trial) = study.ask().unwrap() {
        let width = trial.configuration.float("width").unwrap();
        // A fixed pattern of noise that favours no side.
        let factor = 1.0 + noise * (7.3 * width).sin();
        let estimate = |value: f64| Estimate::new(value * factor, noise * value);
        let measurement = Measurement::new()
            .with_estimate("latency", estimate(latency(width)))
            .with_estimate("throughput", estimate(1300.0 - 50.0 * width));
        study.tell(trial.id, Outcome::Completed(measurement), 1.0).unwrap();
    }
    study
}

#[test]
fn a_clear_gain_is_recommended_with_its_interval() {
    let study = study(1000.0, 0.01, |width| 12.0 - 0.8 * width);
    let Recommendation::Better(best) = study.recommend().unwrap() else { panic!("a gain") };
    let width = best.configuration.float("width").unwrap();
    assert!((4.0..=6.0).contains(&width), "{width}");
    let gain = best.gain.unwrap();
    let truth = 1.0 - (12.0 - 0.8 * width) / 11.2;
    assert!(gain.low > 0.0 && gain.low < truth && truth < gain.high, "{gain:?} {truth}");
    assert!(best.meets_targets >= SURE && best.objective.unwrap() < 10.0);
}

#[test]
fn a_recommendation_is_in_doubt_until_it_was_measured_often_enough_or_is_sure() {
    let doubtful = |noise: f64, enough: usize| {
        let study = study(1000.0, noise, |width| 12.0 - 0.8 * width);
        let manner = Manner::new(Noise::Learnt);
        let surrogate = Surrogate::fit(study.problem(), study.history(), &[], manner).unwrap();
        Recommendation::in_doubt(&surrogate, study.problem(), study.history(), enough)
    };
    let width = doubtful(0.04, 2).expect("it may miss 1000").integer("width").unwrap();
    assert!((4..=6).contains(&width), "{width}");
    assert_eq!(doubtful(0.04, 1), None, "once is enough");
    assert_eq!(doubtful(0.001, 2), None, "all are far from 1000 or meet it");
}

#[test]
fn without_a_gain_beyond_noise_the_default_is_kept() {
    let study = study(600.0, 0.05, |_| 10.0);
    let Recommendation::KeepDefault(default) = study.recommend().unwrap() else {
        panic!("all are equal")
    };
    assert_eq!(default.trial, TrialId(0));
}

#[test]
fn when_no_target_is_met_the_closest_trial_and_the_binding_metric_are_named() {
    let study = study(2000.0, 0.01, |width| 12.0 - 0.8 * width);
    let Recommendation::NoneMeetsTargets { closest, binding } = study.recommend().unwrap() else {
        panic!("1250 is the largest throughput")
    };
    assert_eq!(binding.as_deref(), Some("throughput"));
    assert!(closest.unwrap().configuration.integer("width").unwrap() <= 2);
    assert_eq!(study.problem().objective().constraints[0].bound, Bound::AtLeast(2000.0));
}

#[test]
fn an_empty_history_recommends_nothing() {
    let problem = study(600.0, 0.0, |_| 1.0).problem().clone();
    let empty = Recommendation::of(&problem, &History::new()).unwrap();
    assert_eq!(empty, Recommendation::NoneMeetsTargets { closest: None, binding: None });
    assert_eq!(empty.candidate(), None);
}

/// Of three changes one matters, one does nothing, and one is bound to it by a rule.
#[test]
fn changes_that_do_nothing_are_left_out() {
    let parameters = vec![
        Parameter::integer("width", 1, 12),
        Parameter::float("idle", 0.0, 1.0),
        Parameter::boolean("split"),
        Parameter::integer("piece", 1, 8).only_if("split", true),
    ];
    let space = SearchSpace::new(parameters, vec![]).unwrap();
    let objective =
        Objective::minimise("latency").subject_to(Constraint::at_least("throughput", 900.0));
    let sampler = Box::new(crate::sampler::Sobol);
    let mut study = Study::new(Problem::new(space, objective), sampler, 3).unwrap();
    for _ in 0..30 {
        let trial = study.ask().unwrap().unwrap();
        let width = trial.configuration.float("width").unwrap();
        let measurement = Measurement::new()
            .with("latency", 12.0 - 0.6 * width)
            .with("throughput", 1300.0 - 30.0 * width);
        study.tell(trial.id, Outcome::Completed(measurement), 1.0).unwrap();
    }
    let with = |width: i64, idle: f64, split: bool| {
        let plain =
            Configuration::new().with("width", width).with("idle", idle).with("split", split);
        if split { plain.with("piece", 3) } else { plain }
    };
    let base = with(2, 0.1, false);
    let simpler = study.simpler(&with(11, 0.8, true), &base).unwrap().expect("two do nothing");
    assert_eq!(simpler.configuration, with(11, 0.1, false));
    assert_eq!(simpler.configuration.changes_from(&base), Configuration::new().with("width", 11));
    assert!((simpler.objective / 5.4 - 1.0).abs() < 0.02, "{simpler:?}");
    assert!(simpler.meets_targets >= SURE);
    // The other way round too, where a parameter of the base comes back to life.
    let back = study.simpler(&with(11, 0.8, false), &with(2, 0.1, true)).unwrap().unwrap();
    assert_eq!(back.configuration, with(11, 0.1, true));
    assert_eq!(study.simpler(&with(11, 0.1, false), &base).unwrap(), None, "it is needed");
    assert_eq!(study.simpler(&base, &base).unwrap(), None);
}
