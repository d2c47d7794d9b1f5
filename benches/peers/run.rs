//! One run: a sampler on a problem from one seed.

use std::{collections::VecDeque, time::Duration};

use rand_distr::{Distribution, StandardNormal};
use slotune_core::{
    Configuration, Measurement, Outcome, Reason, Study, random::stream, sampler::Sampler,
};

use crate::benchmark::Benchmark;

/// Random points that every sampler begins with, in the peers' protocol.
const PROTOCOL_INITIAL: usize = 10;

/// How a run is made.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) evaluations: usize,
    /// Standard deviation of the logarithm of every outcome.
    pub(crate) noise: f64,
    /// Trials in flight.
    pub(crate) in_flight: usize,
    /// Whether the peers' random points come first, or the sampler's own initial design.
    pub(crate) protocol_design: bool,
    /// Whether trial 0 is the optimum, as if the user's default were.
    pub(crate) default_is_optimum: bool,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// True regret of the best configuration evaluated so far, after each trial.
    pub(crate) regrets: Vec<f64>,
    /// Whether each trial was truly feasible.
    pub(crate) feasible: Vec<bool>,
    /// Whether each trial crashed.
    pub(crate) crashed: Vec<bool>,
    /// Trials that nobody but the model proposed.
    pub(crate) by_model: Vec<bool>,
    /// Time in the sampler.
    pub(crate) asking: Duration,
    pub(crate) asks: usize,
    pub(crate) configurations: Vec<Configuration>,
}

/// Runs a sampler.
///
/// # Errors
/// When the study refuses a suggestion or an outcome.
pub(crate) fn run(
    benchmark: &Benchmark,
    sampler: Box<dyn Sampler>,
    seed: u64,
    setting: &Setting,
) -> Result<Run, Box<dyn std::error::Error + Send + Sync>> {
    let mut study = Study::new(benchmark.problem.clone(), sampler, seed)?;
    if setting.default_is_optimum
        && let Some((best, _)) = benchmark.best()
    {
        study.enqueue(best.clone())?;
    }
    if setting.protocol_design {
        for configuration in benchmark.protocol_design(seed, PROTOCOL_INITIAL) {
            study.enqueue(configuration)?;
        }
    }
    let (mut asking, mut asks) = (Duration::ZERO, 0);
    let mut in_flight = VecDeque::new();
    while study.history().len() < setting.evaluations {
        let (trial, duration) = timed(|| study.ask());
        let Some(trial) = trial? else { break };
        asking += duration;
        asks += 1;
        in_flight.push_back(trial);
        if in_flight.len() >= setting.in_flight
            && let Some(trial) = in_flight.pop_front()
        {
            let outcome = evaluate(benchmark, &trial.configuration, trial.seed, setting.noise);
            study.tell(trial.id, outcome, 1.0)?;
        }
    }
    for trial in in_flight {
        let outcome = evaluate(benchmark, &trial.configuration, trial.seed, setting.noise);
        study.tell(trial.id, outcome, 1.0)?;
    }

    let optimum = benchmark.optimum();
    let trials = || study.history().entries().iter().map(|entry| &entry.trial);
    let truths: Vec<_> = trials().map(|trial| benchmark.truth(&trial.configuration)).collect();
    let mut best = f64::INFINITY;
    let regrets = trials()
        .map(|trial| {
            best = best.min(benchmark.regret(&trial.configuration, optimum));
            best
        })
        .collect();
    let is_feasible = |truth: &Option<_>| truth.as_ref().is_some_and(|t| benchmark.is_feasible(t));
    Ok(Run {
        regrets,
        feasible: truths.iter().map(is_feasible).collect(),
        crashed: truths.iter().map(Option::is_none).collect(),
        by_model: trials().map(|trial| trial.origin == slotune_core::Origin::Model).collect(),
        asking,
        asks,
        configurations: trials().map(|trial| trial.configuration.clone()).collect(),
    })
}

/// What a trial tells: the truth with noise, of which the seed is the trial's own.
fn evaluate(benchmark: &Benchmark, configuration: &Configuration, seed: u64, noise: f64) -> Outcome {
    let Some(truth) = benchmark.truth(configuration) else {
        return Outcome::Infeasible(Reason::new("crash", "the configuration does not start"));
    };
    let mut random = stream(seed, "measurement noise", 0);
    let mut noisy = |value: f64| {
        let z: f64 = StandardNormal.sample(&mut random);
        value * (noise * z).exp()
    };
    let objective = benchmark.problem.objective();
    let measurement = Measurement::new().with(&objective.metric, noisy(truth.objective));
    let constraints = objective.constraints.iter().zip(truth.constraints);
    Outcome::Completed(constraints.fold(measurement, |measurement, (constraint, value)| {
        measurement.with(&constraint.metric, noisy(value))
    }))
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = std::time::Instant::now();
    let result = work();
    (result, started.elapsed())
}
