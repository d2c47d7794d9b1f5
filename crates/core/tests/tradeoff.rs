//! Two goals: what the search, the history and the recommendation make of them.

use slotune_core::{
    Constraint, Estimate, Front, Goal, Measurement, Objective, Origin, Outcome, Parameter, Problem,
    SearchSpace, Study, TrialId,
    sampler::{Bayesian, Grid, Random, Sampler},
};

/// The problem of Binh and Korn (1997), as Deb (2001, p. 276) has it: two paraboloids and two circles.
fn problem() -> Problem {
    let space = SearchSpace::new(
        vec![Parameter::float("x", 0.0, 5.0), Parameter::float("y", 0.0, 3.0)],
        vec![],
    );
    let objective = Objective::minimise("f")
        .linear()
        .against(Goal::minimise("g").linear())
        .subject_to(Constraint::at_most("inside", 25.0).linear())
        .subject_to(Constraint::at_least("outside", 7.7).linear());
    Problem::new(space.expect("a valid space"), objective)
}

fn evaluate(x: f64, y: f64) -> Measurement {
    Measurement::new()
        .with("f", 4.0 * (x * x + y * y))
        .with("g", (x - 5.0).powi(2) + (y - 5.0).powi(2))
        .with("inside", (x - 5.0).powi(2) + y * y)
        .with("outside", (x - 8.0).powi(2) + (y + 3.0).powi(2))
}

/// What is worse than this is of no use to anyone; the front ends at (136, 4) and (0, 50).
const REFERENCE: [f64; 2] = [140.0, 50.0];

fn hypervolume(study: &Study) -> f64 {
    let front = study.history().front(study.problem().objective());
    let costs = front.iter().map(|entry| {
        let measurement = entry.measurement().expect("completed");
        ["f", "g"].map(|metric| measurement.value(metric).expect("measured"))
    });
    Front::new(&costs.collect::<Vec<_>>(), REFERENCE).hypervolume()
}

/// That of the true front: x = y up to 3, then y = 3.
fn largest_hypervolume() -> f64 {
    let costs = (0..=50_000).map(|i| f64::from(i) * 1e-4).map(|x| {
        let measurement = evaluate(x, x.min(3.0));
        ["f", "g"].map(|metric| measurement.value(metric).expect("measured"))
    });
    Front::new(&costs.collect::<Vec<_>>(), REFERENCE).hypervolume()
}

fn run(sampler: Box<dyn Sampler>, seed: u64, trials: usize) -> Study {
    let mut study = Study::new(problem(), sampler, seed).expect("a valid problem");
    for _ in 0..trials {
        let trial = study.ask().expect("a suggestion").expect("an endless space");
        let at = |name: &str| trial.configuration.float(name).expect("a number");
        let outcome = Outcome::Completed(evaluate(at("x"), at("y")));
        study.tell(trial.id, outcome, 1.0).expect("a usable outcome");
    }
    study
}

#[test]
fn the_search_covers_the_front_where_random_search_leaves_gaps() {
    let largest = largest_hypervolume();
    let left = |sampler, seed| 1.0 - hypervolume(&run(sampler, seed, 24)) / largest;
    let both: Vec<[f64; 2]> = (0..10)
        .map(|seed| [left(Box::<Bayesian>::default(), seed), left(Box::new(Random), seed)])
        .collect();
    assert!(both.iter().all(|[bayesian, random]| *bayesian < 0.5 * random), "{both:?}");
    assert!(both.iter().all(|[bayesian, _]| *bayesian < 0.04), "{both:?}");
}

#[test]
fn what_is_pending_is_not_proposed_again_and_a_batch_is_spread_over_the_front() {
    let mut study = run(Box::new(Bayesian::default()), 1, 15);
    let batch = study.ask_many(4).expect("suggestions");
    let f = |trial: &slotune_core::Trial| {
        let at = |name: &str| trial.configuration.float(name).expect("a number");
        evaluate(at("x"), at("y")).value("f").expect("measured")
    };
    let mut all: Vec<f64> = batch.iter().map(f).collect();
    all.sort_by(f64::total_cmp);
    assert!(all.windows(2).all(|pair| pair[1] - pair[0] > 1.0), "{all:?}");
    let mut again = run(Box::new(Bayesian::default()), 1, 15);
    assert_eq!(again.ask_many(4).expect("suggestions"), batch);
}

#[test]
fn the_remaining_gain_of_two_goals_is_a_share_of_their_hypervolume() {
    let gain = |trials: usize| {
        let study = run(Box::new(Bayesian::default()), 2, trials);
        study.remaining_gain().expect("models").expect("a front").expected()
    };
    let (early, late) = (gain(8), gain(24));
    assert!(late < 0.5 * early && late < 0.05, "{early} {late}");
    let first = run(Box::new(Random), 2, 1);
    assert_eq!(first.remaining_gain().expect("models"), None, "one trial dominates nothing");
}

/// Twelve widths, each measured once with a fixed pattern of errors: latency and throughput both fall
/// with width up to 9, beyond that latency grows again.
fn widths(objective: Objective) -> Study {
    let space = SearchSpace::new(vec![Parameter::integer("width", 1, 12)], vec![]).expect("valid");
    let all = (1..=12).map(slotune_core::Value::Integer).collect();
    let grid = Grid::new(&space, vec![("width".to_owned(), all)]).expect("levels of the space");
    let mut study = Study::new(Problem::new(space, objective), Box::new(grid), 0).expect("valid");
    while let Some(trial) = study.ask().expect("a suggestion") {
        let width = trial.configuration.float("width").expect("a number");
        let factor = 1.0 + 0.01 * (7.3 * width).sin();
        let estimate = |value: f64| Estimate::new(value * factor, 0.01 * value);
        let latency = 12.0 - 0.8 * width.min(9.0) + (width - 9.0).max(0.0);
        let measurement = Measurement::new()
            .with_estimate("latency", estimate(latency))
            .with_estimate("throughput", estimate(1300.0 - 50.0 * width));
        study.tell(trial.id, Outcome::Completed(measurement), 1.0).expect("usable");
    }
    study
}

fn trials<'a>(all: impl IntoIterator<Item = &'a TrialId>) -> Vec<u64> {
    all.into_iter().map(|id| id.0).collect()
}

#[test]
fn the_front_is_recommended_with_both_medians_and_only_where_targets_are_surely_met() {
    let two = || Objective::minimise("latency").against(Goal::maximise("throughput"));
    let study = widths(two().subject_to(Constraint::at_least("throughput", 1000.0)));
    let front = study.recommend_front().expect("models");
    // Width 6 has a throughput of 1000: as likely below the target as above.
    assert_eq!(trials(front.iter().map(|one| &one.trial)), [4, 3, 2, 1, 0]);
    for candidate in &front {
        let width = candidate.configuration.float("width").expect("a number");
        let [latency, throughput] =
            [candidate.objective, candidate.against].map(|median| median.expect("modelled"));
        assert!((latency / (12.0 - 0.8 * width) - 1.0).abs() < 0.02, "{candidate:?}");
        assert!((throughput / (1300.0 - 50.0 * width) - 1.0).abs() < 0.02, "{candidate:?}");
        assert!(candidate.meets_targets >= 0.95);
    }
    let best = study.recommend().expect("models");
    assert_eq!(best.candidate(), Some(&front[0]), "the best by the first goal");
    let front = widths(two()).recommend_front().expect("models");
    assert_eq!(trials(front.iter().map(|one| &one.trial)), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn with_one_goal_the_front_is_the_best_alone() {
    let study = widths(Objective::minimise("latency"));
    let front = study.recommend_front().expect("models");
    assert_eq!(front.len(), 1);
    assert_eq!((front[0].trial, front[0].against), (TrialId(8), None));
    let measured = study.history().front(study.problem().objective());
    assert_eq!(measured, Vec::from_iter(study.history().best(study.problem().objective())));
}

#[test]
fn the_measured_front_holds_feasible_trials_and_no_lower_bound_of_a_latency() {
    let objective = Objective::minimise("latency")
        .against(Goal::maximise("throughput"))
        .subject_to(Constraint::at_most("share", 0.5).linear());
    let space = SearchSpace::new(vec![Parameter::integer("width", 1, 64)], vec![]).expect("valid");
    let problem = Problem::new(space, objective.clone());
    let mut study = Study::new(problem, Box::new(Random), 0).expect("valid");
    let mut tell = |latency: Estimate, throughput: f64, share: f64| {
        let measurement = Measurement::new()
            .with_estimate("latency", latency)
            .with("throughput", throughput)
            .with("share", share);
        let id = study.ask().expect("a suggestion").expect("one is left").id;
        study.tell(id, Outcome::Completed(measurement), 1.0).expect("usable");
    };
    tell(Estimate::exact(3.0), 30.0, 0.1);
    tell(Estimate::exact(1.0), 20.0, 0.9);
    tell(Estimate { is_lower_bound: true, ..Estimate::exact(2.0) }, 90.0, 0.1);
    tell(Estimate::exact(2.0), 10.0, 0.1);
    tell(Estimate::exact(3.0), 30.0, 0.1);
    tell(Estimate::exact(4.0), 30.0, 0.1);
    let front = study.history().front(&objective);
    assert_eq!(trials(front.iter().map(|entry| &entry.trial.id)), [3, 0]);
    assert_eq!(study.history().best(&objective), Some(front[0]));
}

#[test]
fn a_front_is_measured_again_where_measurements_differ() {
    let levels = || vec![0.5, 1.5, 2.5, 3.5, 4.5];
    let space = SearchSpace::new(
        vec![Parameter::levels("x", levels()), Parameter::levels("y", levels())],
        vec![],
    );
    let objective = Objective::minimise("f").against(Goal::minimise("g"));
    let problem = Problem::new(space.expect("valid"), objective);
    let mut study = Study::new(problem, Box::new(Bayesian::default()), 4).expect("valid");
    for number in 0..40 {
        let trial = study.ask().expect("a suggestion").expect("repeats never end");
        let at = |name: &str| trial.configuration.float(name).expect("a number");
        let truth = evaluate(at("x"), at("y"));
        let mut measured = Measurement::new();
        for metric in ["f", "g"] {
            let value = truth.value(metric).expect("measured");
            let factor = 1.0 + 0.1 * (f64::from(number) * 7.3 + value).sin();
            measured = measured.with_estimate(metric, Estimate::new(value * factor, 0.1 * value));
        }
        study.tell(trial.id, Outcome::Completed(measured), 1.0).expect("usable");
        if study.history().entries().iter().filter(|e| e.trial.origin == Origin::Repeat).count() > 2
        {
            return;
        }
    }
    panic!("no repeats: {:?}", study.history());
}
