//! The loop: what it refuses, and that stopping and going on changes nothing.

use super::*;
use crate::{
    Constraint, Direction, Objective, Parameter, Reason, Rule, SearchSpace,
    history::Entry,
    sampler::{Bayesian, Random},
};

fn problem() -> Problem {
    let space = SearchSpace::new(
        vec![Parameter::integer("width", 1, 64).log(), Parameter::float("fill", 0.0, 1.0)],
        vec![Rule::at_least("width", 2.0)],
    );
    let objective =
        Objective::minimise("latency").subject_to(Constraint::at_least("throughput", 10.0));
    Problem::new(space.unwrap(), objective)
}

fn study() -> Study {
    Study::new(problem(), Box::new(Random), 0).unwrap()
}

fn measure(configuration: &Configuration) -> Outcome {
    let width = configuration.float("width").unwrap();
    let fill = configuration.float("fill").unwrap();
    if width > 50.0 {
        return Outcome::Infeasible(Reason::new("memory", "does not fit"));
    }
    let measurement = Measurement::new()
        .with("latency", 1.0 + (width.log2() - 4.0).powi(2) + fill)
        .with("throughput", width * (0.5 + fill));
    Outcome::Completed(measurement)
}

fn complete() -> Measurement {
    Measurement::new().with("latency", 1.0).with("throughput", 20.0)
}

#[test]
fn a_bound_must_be_a_usable_number() {
    for bound in [f64::NAN, f64::INFINITY, -1e300] {
        let objective =
            Objective::minimise("latency").subject_to(Constraint::at_most("share", bound));
        let problem = Problem::new(problem().space().clone(), objective);
        let error = Study::new(problem, Box::new(Random), 0).unwrap_err();
        assert!(
            matches!(&error, StudyError::Constraint { metric, .. } if metric == "share"),
            "{error}"
        );
    }
}

#[test]
fn outcomes_that_cannot_be_learnt_from_are_refused_and_can_be_corrected() {
    let mut study = study();
    let id = study.ask().unwrap().unwrap().id;
    let before = study.history().clone();
    let mut refused = |outcome: Outcome, cost: f64| {
        let error = study.tell(id, outcome, cost).unwrap_err();
        assert_eq!(study.history(), &before);
        error
    };
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e101] {
        let error = refused(Outcome::Completed(complete().with("latency", value)), 1.0);
        assert!(
            matches!(&error, TellError::OutOfRange { metric, field: "value", .. } if metric == "latency"),
            "{error}"
        );
    }
    for standard_error in [f64::NAN, -0.1, 1e300] {
        let estimate = Estimate::new(1.0, standard_error);
        let error = refused(Outcome::Completed(complete().with_estimate("latency", estimate)), 1.0);
        assert!(matches!(error, TellError::OutOfRange { field: "standard error", .. }), "{error}");
    }
    let error = refused(Outcome::Completed(Measurement::new().with("latency", 1.0)), 1.0);
    assert!(
        matches!(&error, TellError::MissingMetric { metric, measured, .. } if metric == "throughput" && measured == "latency"),
        "{error}"
    );
    for cost in [f64::NAN, -1.0] {
        let error = refused(Outcome::Completed(complete()), cost);
        assert!(matches!(error, TellError::Cost { .. }), "{error}");
    }
    study.tell(id, Outcome::Completed(complete()), 1.0).unwrap();
}

#[test]
fn only_pending_trials_can_be_told() {
    let mut study = study();
    let error = study.tell(TrialId(0), Outcome::Completed(complete()), 1.0).unwrap_err();
    assert_eq!(error, TellError::NeverAsked { id: TrialId(0), asked: 0 });
    let id = study.ask().unwrap().unwrap().id;
    study.tell(id, Outcome::Failed(Reason::new("port", "taken")), 1.0).unwrap();
    let error = study.tell(id, Outcome::Completed(complete()), 1.0).unwrap_err();
    assert_eq!(error, TellError::ToldTwice { id, first: "failed" });
}

#[test]
fn a_history_of_another_problem_is_refused() {
    let trial = |id, configuration| Trial {
        id: TrialId(id),
        configuration,
        origin: Origin::Given,
        seed: 0,
    };
    let fitting = || Configuration::new().with("width", 8).with("fill", 0.5);
    let resume = |entry: Entry| {
        Study::resume(problem(), Box::new(Random), 0, [entry].into_iter().collect()).unwrap_err()
    };
    let pending = |trial| Entry { trial, state: State::Pending };
    let error = resume(pending(trial(1, fitting())));
    assert_eq!(error, StudyError::Numbering { id: TrialId(1), position: 0 });
    let error = resume(pending(trial(0, fitting().with("depth", 1))));
    assert!(matches!(error, StudyError::Configuration { .. }), "{error}");
    let outcome = Outcome::Completed(Measurement::new());
    let error =
        resume(Entry { trial: trial(0, fitting()), state: State::Told { outcome, cost: 0.0 } });
    assert!(matches!(error, StudyError::Outcome { .. }), "{error}");
}

#[test]
fn given_configurations_come_first_and_must_belong() {
    let mut study = study();
    let error = study.enqueue(Configuration::new().with("width", 1).with("fill", 0.5)).unwrap_err();
    assert!(matches!(error, ConfigurationError::BreaksRule { .. }), "{error}");
    let baseline = Configuration::new().with("width", 32).with("fill", 0.5);
    study.enqueue(baseline.clone()).unwrap();
    let trials = study.ask_many(3).unwrap();
    assert_eq!(trials.len(), 3);
    assert_eq!((&trials[0].configuration, trials[0].origin), (&baseline, Origin::Given));
    assert!(trials[1..].iter().all(|trial| trial.origin == Origin::Sampled));
}

/// A study stopped after any number of trials, written, read and gone on with.
#[test]
fn resuming_equals_never_having_stopped() {
    let run = |mut study: Study, until: usize| {
        while study.history().len() < until {
            let trial = study.ask().unwrap().unwrap();
            let outcome = measure(&trial.configuration);
            study.tell(trial.id, outcome, 1.0).unwrap();
        }
        study
    };
    let new = || Study::new(problem(), Box::new(Bayesian::default()), 4).unwrap();
    let uninterrupted = run(new(), 12);
    for stop in [3, 8] {
        let stored = serde_json::to_string(run(new(), stop).history()).unwrap();
        let history: History = serde_json::from_str(&stored).unwrap();
        let resumed = Study::resume(problem(), Box::new(Bayesian::default()), 4, history).unwrap();
        assert_eq!(run(resumed, 12).history(), uninterrupted.history(), "stopped after {stop}");
    }
    assert!(uninterrupted.history().entries().iter().any(Entry::is_infeasible));
}

#[test]
fn the_best_is_the_earliest_of_the_best_feasible() {
    let mut study = study();
    for (latency, throughput) in [(3.0, 20.0), (1.0, 9.0), (2.0, 10.0), (2.0, 30.0)] {
        let id = study.ask().unwrap().unwrap().id;
        let measurement =
            Measurement::new().with("latency", latency).with("throughput", throughput);
        study.tell(id, Outcome::Completed(measurement), 1.0).unwrap();
    }
    let id = study.ask().unwrap().unwrap().id;
    study.tell(id, Outcome::Infeasible(Reason::new("memory", "")), 1.0).unwrap();
    let best = |objective: &Objective| study.history().best(objective).unwrap().trial.id;
    let mut objective = study.problem().objective().clone();
    assert_eq!(best(&objective), TrialId(2));
    objective.direction = Direction::Maximise;
    assert_eq!(best(&objective), TrialId(0));
    assert_eq!(History::new().best(&objective), None);
}
