//! What past studies add to a search, and that unrelated ones take nothing from it.

use slotune_core::{
    Configuration, Constraint, History, Measurement, Objective, Origin, Outcome, Parameter,
    Problem, SearchSpace, Study,
    sampler::{Bayesian, Sampler, Sobol},
};

fn problem() -> Problem {
    let parameters = ["a", "b", "c", "d"].map(|name| Parameter::float(name, 0.0, 1.0)).to_vec();
    let objective =
        Objective::minimise("latency").subject_to(Constraint::at_least("throughput", 1.0));
    Problem::new(SearchSpace::new(parameters, vec![]).expect("a valid space"), objective)
}

/// A valley around `centre`; throughput falls towards one corner.
fn evaluate(configuration: &Configuration, centre: [f64; 4], scale: f64) -> Measurement {
    let x = ["a", "b", "c", "d"].map(|name| configuration.float(name).expect("a number"));
    let square: f64 = x.iter().zip(centre).map(|(x, centre)| (x - centre).powi(2)).sum();
    let sum: f64 = x.iter().sum();
    Measurement::new()
        .with("latency", scale * (3.0 * square).exp())
        .with("throughput", scale * (1.0 - sum / 4.0).exp())
}

fn run(sampler: Box<dyn Sampler>, trials: usize, seed: u64, centre: [f64; 4], scale: f64) -> Study {
    let mut study = Study::new(problem(), sampler, seed).expect("valid");
    for _ in 0..trials {
        let trial = study.ask().expect("a suggestion").expect("an endless space");
        let outcome = Outcome::Completed(evaluate(&trial.configuration, centre, scale));
        study.tell(trial.id, outcome, 1.0).expect("a usable outcome");
    }
    study
}

const CENTRE: [f64; 4] = [0.7, 0.2, 0.4, 0.3];

/// 40 trials of a study on another machine: half as fast, its valley a little elsewhere.
fn related() -> History {
    run(Box::new(Sobol), 40, 1, [0.72, 0.22, 0.38, 0.3], 2.0).history().clone()
}

/// 40 trials of something else: what is good there is bad here.
fn unrelated() -> History {
    run(Box::new(Sobol), 40, 1, [0.0, 0.9, 1.0, 1.0], 2.0).history().clone()
}

/// Median log regret over seeds after some trials.
fn regret(past: &[History], trials: usize) -> f64 {
    const SEEDS: u64 = 15;
    let one = |seed| {
        let study =
            run(Box::new(Bayesian::learning_from(past.to_vec())), trials, seed, CENTRE, 1.0);
        let best = study.history().best(study.problem().objective()).expect("a feasible trial");
        best.measurement().and_then(|m| m.value("latency")).expect("measured").ln()
    };
    let mut regrets: Vec<f64> = (0..SEEDS).map(one).collect();
    regrets.sort_by(f64::total_cmp);
    regrets[regrets.len() / 2]
}

#[test]
fn a_related_study_saves_trials() {
    let (alone, helped) = (regret(&[], 8), regret(&[related()], 8));
    assert!(helped < 0.5 * alone, "{helped} with the past, {alone} without");
}

#[test]
fn an_unrelated_study_does_no_harm() {
    let (alone, misled) = (regret(&[], 18), regret(&[unrelated()], 18));
    // Its best configurations are tried first, which costs a trial or two: less than 1 % by then.
    assert!(misled < alone + 0.01, "{misled} with the past, {alone} without");
    let (alone, misled) = (regret(&[], 24), regret(&[unrelated()], 24));
    assert!(misled < 1.5 * alone, "{misled} with the past, {alone} without");
}

#[test]
fn among_several_the_related_one_counts() {
    let past = [unrelated(), related(), unrelated()];
    let (alone, helped) = (regret(&[], 8), regret(&past, 8));
    assert!(helped < alone, "{helped} with the past, {alone} without");
}

#[test]
fn the_best_of_the_past_is_tried_first_and_the_design_is_short() {
    let past = related();
    let best =
        past.best(problem().objective()).expect("a feasible trial").trial.configuration.clone();
    let study = run(Box::new(Bayesian::learning_from(vec![past])), 5, 9, CENTRE, 1.0);
    let entries = study.history().entries();
    assert_eq!(entries[0].trial.configuration, best);
    let origins: Vec<Origin> = entries.iter().map(|entry| entry.trial.origin).collect();
    assert_eq!(origins[..3], [Origin::InitialDesign; 3]);
    assert_eq!(origins[3..], [Origin::Model; 2]);
}

#[test]
fn a_past_that_does_not_fit_the_space_or_lacks_the_metric_is_ignored() {
    let other = SearchSpace::new(vec![Parameter::float("z", 0.0, 1.0)], vec![]).expect("valid");
    let objective = Objective::minimise("cost");
    let mut study = Study::new(Problem::new(other, objective), Box::new(Sobol), 0).expect("valid");
    let trial = study.ask().expect("a suggestion").expect("an endless space");
    let outcome = Outcome::Completed(Measurement::new().with("cost", -1.0));
    study.tell(trial.id, outcome, 1.0).expect("a usable outcome");
    let past = vec![study.history().clone(), History::new()];
    let with = run(Box::new(Bayesian::learning_from(past)), 8, 3, CENTRE, 1.0);
    assert_eq!(with.history().len(), 8);
}
