//! The search as a statistical claim.

use slotune_core::{
    Configuration, Constraint, Measurement, Objective, Outcome, Parameter, Problem, Reason, Rule,
    SearchSpace, Study,
    sampler::{Bayesian, Random, Sampler},
};

fn problem() -> Problem {
    let space = SearchSpace::new(
        vec![
            Parameter::integer("width", 1, 512).log(),
            Parameter::integer("budget", 16, 2048).log(),
            Parameter::float("fill", 0.5, 0.95),
            Parameter::boolean("split"),
            Parameter::categorical("kind", ["a", "b", "c"]),
        ],
        vec![Rule::at_least("budget", "width")],
    );
    let objective =
        Objective::minimise("latency").subject_to(Constraint::at_least("throughput", 60.0));
    Problem::new(space.expect("a valid space"), objective)
}

/// A server in miniature: wide is fast until it queues, full is good until it does not fit.
fn evaluate(configuration: &Configuration) -> Outcome {
    let [width, budget, fill] =
        ["width", "budget", "fill"].map(|name| configuration.float(name).expect("a number"));
    let split = configuration.boolean("split").expect("a boolean");
    let kind = match configuration.text("kind") {
        Some("a") => 1.0,
        Some("b") => 0.85,
        _ => 1.3,
    };
    if fill > 0.75 + 0.2 / (1.0 + budget / 1024.0) {
        return Outcome::Infeasible(Reason::new("memory", "does not fit"));
    }
    let step = 1.0 + budget / 500.0 + width / 300.0;
    let wait = 30.0 / (width * fill);
    let latency = kind * (step + wait) * if split { 0.8 + 8.0 / budget } else { 1.0 };
    let throughput = width * fill / (0.3 * step) * if split { 0.9 } else { 1.0 };
    Outcome::Completed(Measurement::new().with("latency", latency).with("throughput", throughput))
}

/// Smallest feasible latency on a net of all widths, every eighth budget and 46 fills.
const OPTIMUM: f64 = 1.3876;

fn median_regret(sampler: fn() -> Box<dyn Sampler>, trials: usize) -> f64 {
    const SEEDS: u64 = 9;
    let mut regrets: Vec<f64> = (0..SEEDS)
        .map(|seed| {
            let mut study = Study::new(problem(), sampler(), seed).expect("a valid problem");
            for _ in 0..trials {
                let trial = study.ask().expect("a suggestion").expect("an endless space");
                let outcome = evaluate(&trial.configuration);
                study.tell(trial.id, outcome, 1.0).expect("a usable outcome");
            }
            let best = study.history().best(study.problem().objective());
            let latency = best.and_then(|entry| entry.measurement()?.value("latency"));
            latency.map_or(f64::INFINITY, |latency| latency / OPTIMUM - 1.0)
        })
        .collect();
    regrets.sort_by(f64::total_cmp);
    regrets[regrets.len() / 2]
}

#[test]
fn bayesian_search_beats_random_search_by_a_wide_margin() {
    let bayesian = median_regret(|| Box::new(Bayesian::default()), 25);
    let random = median_regret(|| Box::new(Random), 25);
    assert!(bayesian < 0.1 * random && bayesian < 0.02, "{bayesian:.4} against {random:.4}");
}
