//! How long a region is after a history, and what lies in it.

use super::*;
use crate::{
    Constraint, Entry, Measurement, Objective, Outcome, Reason, State, Trial, TrialId,
    sampler::{Manner, Noise},
};

/// Twenty-four parameters: a design of 10 trials, and 8 failures that halve.
fn problem() -> Problem {
    let mut parameters: Vec<Parameter> =
        (0..21).map(|j| Parameter::float(format!("x{j}"), 0.0, 1.0)).collect();
    parameters.push(Parameter::integer("whole", 0, 100));
    parameters.push(Parameter::levels("level", [1, 2, 3]));
    parameters.push(Parameter::categorical("kind", ["a", "b", "c"]));
    let objective = Objective::minimise("f").subject_to(Constraint::at_most("g", 1.0));
    Problem::new(SearchSpace::new(parameters, vec![]).unwrap(), objective)
}

fn completed(f: f64, g: f64) -> Outcome {
    Outcome::Completed(Measurement::new().with("f", f).with("g", g))
}

fn history(states: impl IntoIterator<Item = (Origin, State)>) -> History {
    let points = SobolPoints::new(24, 0).map(|unit| problem().space().configuration_at(&unit));
    let entry = |(id, ((origin, state), configuration))| Entry {
        trial: Trial { id: TrialId(id), configuration, origin, seed: 0 },
        state,
    };
    (0..).zip(states.into_iter().zip(points)).map(entry).collect()
}

/// The length after a design of trials of 100 and these outcomes.
fn length_after(outcomes: impl IntoIterator<Item = Outcome>) -> f64 {
    let design = (0..10).map(|_| completed(100.0, 0.5));
    let told = design.chain(outcomes).map(|outcome| State::Told { outcome, cost: 1.0 });
    length(&problem(), &history(told.map(|state| (Origin::Model, state))))
}

fn is(length: f64, expected: f64) -> bool {
    (length - expected).abs() < 1e-12
}

#[test]
fn the_length_follows_successes_and_failures() {
    let better = |count: u32| (1..=count).map(|i| completed(100.0 - f64::from(i), 0.5));
    let worse = |count: usize| (0..count).map(|_| completed(100.0, 0.5));
    assert!(is(length_after([]), 0.8));
    assert!(is(length_after(better(2)), 0.8));
    assert!(is(length_after(better(3)), 1.6));
    assert!(is(length_after(better(9)), 1.6), "no longer than that");
    assert!(is(length_after(worse(7)), 0.8));
    assert!(is(length_after(worse(8)), 0.4));
    assert!(is(length_after(worse(7).chain(better(1)).chain(worse(7))), 0.8), "not in a row");
    assert!(is(length_after(worse(48)), 0.8 / 64.0));
    assert!(is(length_after(worse(56)), 0.8), "a new one");
    let crash = || Outcome::Infeasible(Reason::new("memory", "does not fit"));
    assert!(is(length_after((0..8).map(|_| crash())), 0.4));
}

#[test]
fn a_trial_nearer_to_the_targets_is_a_success_until_one_meets_them() {
    let missing = |g: f64| completed(1.0, g);
    let design = || (0..10).map(|_| missing(8.0));
    let after = |outcomes: &[Outcome]| {
        let told = design().chain(outcomes.iter().cloned());
        let told = told.map(|outcome| (Origin::Model, State::Told { outcome, cost: 1.0 }));
        length(&problem(), &history(told))
    };
    assert!(is(after(&[missing(4.0), missing(2.0), completed(50.0, 0.9)]), 1.6));
    let then_worse = vec![missing(1.1); 8];
    let feasible_first = [vec![completed(50.0, 0.9)], then_worse].concat();
    assert!(is(after(&feasible_first), 0.4));
}

#[test]
fn pending_failed_and_repeated_trials_say_nothing() {
    let told = |outcome| State::Told { outcome, cost: 1.0 };
    let failed = Outcome::Failed(Reason::new("port", "taken"));
    let design = (0..10).map(|_| (Origin::InitialDesign, told(completed(100.0, 0.5))));
    let silent = (0..30).flat_map(|_| {
        [
            (Origin::Model, State::Pending),
            (Origin::Model, told(failed.clone())),
            (Origin::Repeat, told(completed(100.0, 0.5))),
        ]
    });
    assert!(is(length(&problem(), &history(design.chain(silent))), 0.8));
}

#[test]
fn sides_follow_the_lengthscales_and_candidates_stay_inside() {
    let problem = problem();
    let space = problem.space();
    let measured = SobolPoints::new(24, 0).take(40).map(|unit| {
        // The first parameter alone matters.
        let f = 1.0 + 20.0 * (unit[0] - 0.5).powi(2);
        (Origin::Sampled, State::Told { outcome: completed(f, 0.5), cost: 1.0 })
    });
    let history = history(measured);
    let surrogate = Surrogate::fit(&problem, &history, &[], Manner::new(Noise::Learnt)).unwrap();
    let region = Region::around_incumbent(&problem, &history, &surrogate);
    let Region::Around { centre, moved, .. } = &region else { panic!("a box") };
    let lengthscales = surrogate.lengthscales().unwrap();
    let is_inside = |j: &usize| region.bounds(*j).0 > 0.0 && region.bounds(*j).1 < 1.0;
    let inside: Vec<usize> = (0..21).filter(is_inside).collect();
    assert!(inside.len() >= 2, "{inside:?}");
    let share = |&j: &usize| (region.bounds(j).1 - region.bounds(j).0) / lengthscales[j];
    let shares: Vec<f64> = inside.iter().map(share).collect();
    assert!(shares.iter().all(|share| (share / shares[0] - 1.0).abs() < 1e-9), "{shares:?}");
    assert!(moved[23] < moved[0], "the category less often");
    let mut configuration = Configuration::new();
    for unit in region.walk(space.parameters().len(), 3).take(200) {
        region.move_to(space, &mut configuration, &unit);
        assert_eq!(space.check(&configuration), Ok(()));
        let point = space.encode(&configuration);
        for (j, &coordinate) in point.coordinates().iter().enumerate() {
            let (low, high) = region.bounds(j);
            // Whole numbers are the nearest ones.
            let slack = if j == 21 { 0.005 } else { 1e-12 };
            assert!((low - slack..=high + slack).contains(&coordinate), "{j}: {coordinate}");
        }
    }
    assert_eq!(region.incumbents(&surrogate), std::slice::from_ref(centre));
}
