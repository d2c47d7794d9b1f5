//! Search on a budget of cost, as a statistical claim.

use slotune_core::{
    Configuration, History, Measurement, Objective, Outcome, Parameter, Problem, SearchSpace,
    Study, sampler::Bayesian,
};

const SEEDS: u64 = 36;

/// What a trial costs, in seconds.
type Cost = fn(&Configuration) -> f64;

fn problem() -> Problem {
    let space = SearchSpace::new(
        vec![
            Parameter::integer("width", 1, 20),
            Parameter::integer("fill", 1, 12),
            Parameter::integer("captures", 1, 6),
        ],
        vec![],
    );
    Problem::new(space.expect("a valid space"), Objective::minimise("latency"))
}

fn number(configuration: &Configuration, name: &str) -> f64 {
    configuration.float(name).expect("a number")
}

/// Several valleys, the best at width 14 and fill 9, where it is 1; captures matter little.
fn latency(configuration: &Configuration) -> f64 {
    let [width, fill, captures] =
        ["width", "fill", "captures"].map(|name| number(configuration, name));
    let (across, along) = ((width - 14.0) / 20.0, (fill - 9.0) / 12.0);
    let wave = (0.7 * width + 0.5 * fill - 14.3).sin().powi(2);
    1.0 + 4.0 * across.powi(2) + 3.0 * along.powi(2) + 0.5 * wave + 0.01 * (captures - 2.0).abs()
}

/// From 60 to 600: what is captured at start-up takes time, and most of it is never used.
fn by_captures(configuration: &Configuration) -> f64 {
    60.0 * 10_f64.powf((number(configuration, "captures") - 1.0) / 5.0)
}

/// From 60 to 600: the nearer to the best, the dearer.
fn by_quality(configuration: &Configuration) -> f64 {
    let across = (number(configuration, "width") - 14.0) / 20.0;
    let along = (number(configuration, "fill") - 9.0) / 12.0;
    60.0 * 10_f64.powf((1.0 - across.hypot(along)).max(0.0))
}

fn even(_: &Configuration) -> f64 {
    300.0
}

/// Asks and tells until the budget is spent, or there are `trials`.
fn run(sampler: Bayesian, seed: u64, budget: f64, trials: usize, cost: Cost) -> History {
    let mut study = Study::new(problem(), Box::new(sampler), seed).expect("a valid problem");
    let mut spent = 0.0;
    while spent < budget && study.history().len() < trials {
        let trial = study.ask().expect("a suggestion").expect("a configuration left");
        let cost = cost(&trial.configuration);
        spent += cost;
        let measured = Measurement::new().with("latency", latency(&trial.configuration));
        study.tell(trial.id, Outcome::Completed(measured), cost).expect("a usable outcome");
    }
    study.history().clone()
}

/// Mean over the seeds of the simple regret when the budget is spent.
fn mean_regret(is_aware: bool, budget: f64, cost: Cost) -> f64 {
    let regret = |seed| {
        let sampler = Bayesian::default();
        let sampler = if is_aware { sampler.within_cost(budget, usize::MAX) } else { sampler };
        let history = run(sampler, seed, budget, usize::MAX, cost);
        let latencies = history.entries().iter().map(|entry| latency(&entry.trial.configuration));
        latencies.fold(f64::INFINITY, f64::min) - 1.0
    };
    (0..SEEDS).map(regret).sum::<f64>() / SEEDS as f64
}

#[test]
fn what_is_dear_and_useless_is_left_out() {
    let (plain, aware) =
        (mean_regret(false, 4_000.0, by_captures), mean_regret(true, 4_000.0, by_captures));
    assert!(aware < 0.6 * plain, "{aware:.4} against {plain:.4}");
}

#[test]
fn what_is_dear_and_good_is_found_too() {
    let (plain, aware) =
        (mean_regret(false, 6_000.0, by_quality), mean_regret(true, 6_000.0, by_quality));
    assert!(aware < 1.25 * plain, "{aware:.4} against {plain:.4}");
}

/// Even costs, costs that follow no configuration, and a budget that the trials will not spend.
#[test]
fn where_cost_does_not_matter_it_changes_nothing() {
    // Each configuration has its own: what two have in common says nothing.
    let by_chance = |configuration: &Configuration| {
        let [width, fill, captures] =
            ["width", "fill", "captures"].map(|name| number(configuration, name));
        60.0 * 10_f64.powf((999.0 * width * fill + 131.0 * captures).sin().abs())
    };
    let is_the_same = |seed: u64, cost: Cost, budget: f64| {
        let plain = run(Bayesian::default(), seed, f64::INFINITY, 25, cost);
        let aware = run(Bayesian::default().within_cost(budget, 25), seed, f64::INFINITY, 25, cost);
        plain == aware
    };
    assert!(is_the_same(3, even, 9_000.0));
    assert!(is_the_same(3, by_captures, 20_000.0));
    // Now and then a few costs do seem to follow the configuration.
    let same = (0..16).filter(|&seed| is_the_same(seed, by_chance, 9_000.0)).count();
    assert!(same >= 12, "in {same} of 16 runs");
}
