//! What a suggestion does not depend on, and the search in many dimensions.

use super::*;
use crate::{
    Constraint, Measurement, Objective, Parameter, Reason, SearchSpace, Study, sampler::Random,
};

/// A study of 60 random trials of a space with a continuous parameter, of which some did not start.
fn random_study() -> Study {
    let space = SearchSpace::new(
        vec![
            Parameter::integer("width", 1, 512).log(),
            Parameter::float("fill", 0.5, 0.95),
            Parameter::categorical("kind", ["a", "b", "c"]),
        ],
        vec![],
    );
    let objective =
        Objective::minimise("latency").subject_to(Constraint::at_least("throughput", 30.0));
    let problem = Problem::new(space.unwrap(), objective);
    let mut study = Study::new(problem, Box::new(Random), 4).unwrap();
    for trial in study.ask_many(60).unwrap() {
        let width = trial.configuration.float("width").unwrap();
        let fill = trial.configuration.float("fill").unwrap();
        let outcome = if width * fill > 300.0 {
            Outcome::Infeasible(Reason::new("memory", "does not fit"))
        } else {
            let latency = 20.0 / width + fill * width / 40.0;
            let measured = Measurement::new().with("latency", latency);
            Outcome::Completed(measured.with("throughput", width * fill))
        };
        study.tell(trial.id, outcome, 60.0 + width).unwrap();
    }
    study
}

#[test]
fn one_thread_and_two_give_the_same_suggestions() {
    let study = random_study();
    let suggest = |threads| {
        let sampler = Bayesian::default().within_cost(30_000.0, usize::MAX);
        let sampler = Bayesian { threads: Threads(threads), ..sampler };
        sampler.suggest(study.problem(), study.history(), 3, 4).unwrap()
    };
    assert_eq!(suggest(1), suggest(2));
}

/// Thirty parameters: 19 real, one of them conditional, 6 whole, 4 booleans and a category.
fn many_parameters() -> Problem {
    let whole = (0..6).map(|j| Parameter::integer(format!("whole{j}"), -5, 10));
    let real = (0..18).map(|j| Parameter::float(format!("real{j}"), -5.0, 10.0));
    let flags = (0..4).map(|j| Parameter::boolean(format!("flag{j}")));
    let mut parameters: Vec<Parameter> = real.chain(whole).chain(flags).collect();
    parameters.push(Parameter::categorical("kind", ["a", "b", "c"]));
    parameters.push(Parameter::float("extra", -5.0, 10.0).only_if("flag0", true));
    let objective = Objective::minimise("f").subject_to(Constraint::at_most("g", 1.0).linear());
    Problem::new(SearchSpace::new(parameters, vec![]).unwrap(), objective)
}

/// A bowl whose sides differ, with neighbours that depend on each other and flags that matter; the mean
/// of the numbers is bounded so that one in twenty points is feasible.
fn bowl(configuration: &Configuration) -> (f64, f64) {
    let names = (0..18).map(|j| format!("real{j}")).chain((0..6).map(|j| format!("whole{j}")));
    let numbers = names.chain(["extra".to_owned()]);
    let x: Vec<f64> = numbers.filter_map(|name| configuration.float(&name)).collect();
    let squares = x.iter().enumerate().map(|(j, x)| {
        let j = j as f64;
        ((x - 2.0 - 2.0 * j.sin()) / 5.0).powi(2) / (1.0 + j / 4.0)
    });
    let coupled = x.windows(2).map(|pair| ((pair[0] - pair[1] - 1.0) / 10.0).powi(2));
    let wrong = (0..4)
        .filter(|j| configuration.boolean(&format!("flag{j}")) != Some(j % 2 == 0))
        .count() as f64
        + match configuration.text("kind") {
            Some("a") => 1.0,
            Some("b") => 0.0,
            _ => 2.0,
        };
    let f = 1.0 + squares.sum::<f64>() + 0.5 * coupled.sum::<f64>() + 0.3 * wrong;
    (f, x.iter().sum::<f64>() / x.len() as f64)
}

/// The study after so many trials.
fn search(trials: usize) -> Study {
    let mut study = Study::new(many_parameters(), Box::<Bayesian>::default(), 1).unwrap();
    while study.history().len() < trials {
        let trial = study.ask().unwrap().unwrap();
        let (f, g) = bowl(&trial.configuration);
        let measured = Measurement::new().with("f", f).with("g", g);
        study.tell(trial.id, Outcome::Completed(measured), 1.0).unwrap();
    }
    study
}

/// Suggestions in many dimensions are allowed, told apart from pending ones, and found again from the
/// history alone.
#[test]
fn a_region_is_found_again_from_the_history() {
    let mut study = search(14);
    let pending = study.ask_many(2).unwrap();
    let history = study.history().clone();
    let mut again =
        Study::resume(many_parameters(), Box::<Bayesian>::default(), 1, history).unwrap();
    let (next, next_again) = (study.ask_many(2).unwrap(), again.ask_many(2).unwrap());
    assert_eq!(next, next_again);
    for trial in &next {
        assert_eq!(many_parameters().space().check(&trial.configuration), Ok(()));
        assert!(pending.iter().all(|other| other.configuration != trial.configuration));
    }
}
