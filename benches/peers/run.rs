//! One run: a sampler on a problem from one seed.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use rand_distr::{Distribution, StandardNormal};
use slotune_core::{
    Configuration, Estimate, Measurement, Origin, Outcome, Reason, Recommendation, Study, Trial,
    random::stream,
    sampler::{Bayesian, Part, Random, Sampler, Sobol},
};

use crate::{
    Error,
    benchmark::Benchmark,
    in_flight::InFlight,
    python::{Peer, Worker},
};

/// Random configurations that every sampler begins with, in the peers' protocol.
const PROTOCOL_DESIGN: usize = 10;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The Bayesian search.
    Slotune,
    /// The same without one of its parts.
    Without(Part),
    /// Quasi-random search.
    Sobol,
    /// On a table, the protocol's permutation to its end; elsewhere, uniform points.
    Random,
    /// Another tool's.
    Python(Peer),
}

impl Contender {
    fn sampler(self) -> Box<dyn Sampler> {
        match self {
            Self::Slotune => Box::new(Bayesian::default()),
            Self::Without(part) => Box::new(Bayesian::default().without(part)),
            Self::Sobol => Box::new(Sobol),
            // A peer's proposals are enqueued, so that the study never asks this one.
            Self::Random | Self::Python(_) => Box::new(Random),
        }
    }
}

impl FromStr for Contender {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let ours = [Self::Slotune, Self::Sobol, Self::Random].into_iter();
        let ours = ours.chain(Part::ALL.map(Self::Without));
        let mut all = ours.chain(Peer::ALL.map(Self::Python));
        let named = all.find(|contender| contender.to_string() == name);
        named.ok_or_else(|| format!("there is no sampler `{name}`; see --help"))
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slotune => f.write_str("slotune"),
            Self::Without(part) => write!(f, "slotune-without-{part}"),
            Self::Sobol => f.write_str("sobol"),
            Self::Random => f.write_str("random"),
            Self::Python(peer) => peer.fmt(f),
        }
    }
}

/// How a run is made.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) evaluations: usize,
    /// Standard deviation of the logarithm of every outcome.
    pub(crate) noise: f64,
    /// Trials in flight.
    pub(crate) in_flight: usize,
    /// Standard deviation of the logarithm of how long an evaluation takes.
    pub(crate) duration_spread: f64,
    /// Whether the peers' random configurations come first, or the sampler's own initial design.
    pub(crate) protocol_design: bool,
    /// Whether trial 0 is the optimum, as if the user's default were.
    pub(crate) default_is_optimum: bool,
    /// Share of the table that crashes.
    pub(crate) crash_share: f64,
    /// Where peers run.
    pub(crate) python: Option<PathBuf>,
}

impl Setting {
    /// Starts the process of a peer; `None` for a sampler that needs none.
    ///
    /// # Errors
    /// When the setting is not for peers, or Python or a package is missing.
    pub(crate) fn worker(
        &self,
        contender: Contender,
        benchmark: &Benchmark,
        seed: u64,
    ) -> Result<Option<Worker>, Error> {
        let Contender::Python(peer) = contender else { return Ok(None) };
        let Some(python) = &self.python else {
            return Err(format!("{peer} runs in Python: name its interpreter with --python").into());
        };
        if self.in_flight > 1 || !self.protocol_design {
            let text = "is told the protocol's design and asked for one trial at a time: leave out";
            return Err(format!("{peer} {text} --in-flight and --own-design").into());
        }
        Worker::start(peer, python, &benchmark.problem, seed).map(Some)
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// True regret of the best configuration evaluated so far, after each trial.
    pub(crate) regrets: Vec<f64>,
    /// Whether each trial was truly feasible.
    pub(crate) feasible: Vec<bool>,
    /// Whether each trial that the model proposed crashed.
    pub(crate) model_crashed: Vec<bool>,
    /// Time in the sampler, and how often it was asked.
    pub(crate) asking: Duration,
    pub(crate) asks: usize,
    pub(crate) recommended: Recommended,
}

/// What the study recommends at the end, judged by the truth.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Recommended {
    /// To keep trial 0.
    Default { regret: f64 },
    /// Another configuration; infinite regret where it is truly infeasible.
    Other { regret: f64 },
    /// That no configuration meets the targets.
    Nothing,
}

/// Runs a sampler.
///
/// # Errors
/// When the study refuses a suggestion or an outcome, or a peer fails.
pub(crate) fn run(
    benchmark: &Benchmark,
    contender: Contender,
    seed: u64,
    setting: &Setting,
) -> Result<Run, Error> {
    let benchmark = &benchmark.with_crashes(setting.crash_share, seed);
    let mut study = Study::new(benchmark.problem.clone(), contender.sampler(), seed)?;
    let mut worker = setting.worker(contender, benchmark, seed)?;
    let mut given = 0;
    if setting.default_is_optimum
        && let Some((best, _)) = benchmark.best()
    {
        study.enqueue(best.clone())?;
        given += 1;
    }
    if setting.protocol_design {
        let count = match contender {
            Contender::Random => setting.evaluations,
            _ => PROTOCOL_DESIGN,
        };
        for configuration in benchmark.protocol_design(seed, count) {
            study.enqueue(configuration)?;
            given += 1;
        }
    }
    let (mut asking, mut asks) = (Duration::ZERO, 0);
    let mut in_flight = InFlight::new(setting.duration_spread);
    loop {
        let wanted = study.history().len() < setting.evaluations;
        if wanted && in_flight.len() < setting.in_flight.max(1) {
            let is_given = study.history().len() < given;
            let (trial, duration) = timed(|| {
                if let Some(worker) = worker.as_mut().filter(|_| !is_given) {
                    study.enqueue(worker.propose(study.problem(), study.history())?)?;
                }
                Ok::<_, Error>(study.ask()?)
            });
            if let Some(trial) = trial? {
                asks += usize::from(!is_given);
                asking += if is_given { Duration::ZERO } else { duration };
                in_flight.start(trial);
                continue;
            }
        }
        let Some((trial, seconds)) = in_flight.finish() else { break };
        let outcome = evaluate(benchmark, &trial, setting.noise);
        study.tell(trial.id, outcome, seconds)?;
    }
    let by_model = |trial: &Trial| match contender {
        Contender::Python(_) => trial.id.0 >= given as u64,
        _ => matches!(trial.origin, Origin::Model | Origin::Repeat),
    };
    judged(benchmark, &study, by_model, asking, asks)
}

/// A finished study against the truth.
fn judged(
    benchmark: &Benchmark,
    study: &Study,
    by_model: impl Fn(&Trial) -> bool,
    asking: Duration,
    asks: usize,
) -> Result<Run, Error> {
    let optimum = benchmark.optimum();
    let regret = |configuration: &Configuration| benchmark.regret(configuration, optimum);
    let recommended = match study.recommend()? {
        Recommendation::Better(candidate) => {
            Recommended::Other { regret: regret(&candidate.configuration) }
        }
        Recommendation::KeepDefault(candidate) => {
            Recommended::Default { regret: regret(&candidate.configuration) }
        }
        Recommendation::NoneMeetsTargets { .. } => Recommended::Nothing,
    };
    let trials = || study.history().entries().iter().map(|entry| &entry.trial);
    let truth = |trial: &Trial| benchmark.truth(&trial.configuration);
    let mut best = f64::INFINITY;
    let incumbent = |trial: &Trial| {
        best = best.min(regret(&trial.configuration));
        best
    };
    Ok(Run {
        regrets: trials().map(incumbent).collect(),
        feasible: trials().map(|t| truth(t).is_some_and(|t| benchmark.is_feasible(&t))).collect(),
        model_crashed: trials()
            .filter(|trial| by_model(trial))
            .map(|trial| truth(trial).is_none())
            .collect(),
        asking,
        asks,
        recommended,
    })
}

/// What a trial tells: the truth with noise, drawn by the trial's own seed, and how large that noise
/// is.
fn evaluate(benchmark: &Benchmark, trial: &Trial, noise: f64) -> Outcome {
    let Some(truth) = benchmark.truth(&trial.configuration) else {
        return Outcome::Infeasible(Reason::new("crash", "the configuration does not start"));
    };
    let mut random = stream(trial.seed, "measurement noise", 0);
    let mut noisy = |value: f64| {
        let z: f64 = StandardNormal.sample(&mut random);
        let measured = value * (noise * z).exp();
        Estimate::new(measured, noise * measured.abs())
    };
    let objective = benchmark.problem.objective();
    let measurement = Measurement::new().with_estimate(&objective.metric, noisy(truth.objective));
    let constraints = objective.constraints.iter().zip(truth.constraints);
    Outcome::Completed(constraints.fold(measurement, |measurement, (constraint, value)| {
        measurement.with_estimate(&constraint.metric, noisy(value))
    }))
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = std::time::Instant::now();
    let result = work();
    (result, started.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm;

    fn setting(evaluations: usize) -> Setting {
        Setting {
            evaluations,
            noise: 0.0,
            in_flight: 1,
            duration_spread: 0.0,
            protocol_design: true,
            default_is_optimum: false,
            crash_share: 0.0,
            python: Some("python3".into()),
        }
    }

    /// Random search has no freedom: its hits after 20, 40 and 60 trials are those of the peers'
    /// stored runs (seeds 0 to 19, problem I90).
    #[test]
    fn random_search_is_that_of_the_peers() {
        let problems = storm::problems();
        let benchmark = problems.iter().find(|p| p.name == "I90").unwrap();
        let hits = |n: usize| {
            let hit = |seed: &u64| {
                let run = run(benchmark, Contender::Random, *seed, &setting(n)).unwrap();
                run.regrets[n - 1] <= 0.05
            };
            (0..20).filter(hit).count()
        };
        assert_eq!([40, 60].map(hits), [12, 13]);
    }

    /// A change of the search must not find less: hits after 20 and 40 trials on E75 and E90, seeds 0 to 7,
    /// beside those of random search and of slotune as it was on 2026-11-28, before axes were warped.
    #[test]
    fn the_search_hits_as_often_as_it_did_and_far_more_often_than_random() {
        const STORED: [usize; 2] = [3, 15];
        let problems = storm::problems();
        let chosen = || problems.iter().filter(|p| ["E75", "E90"].contains(&p.name));
        let runs = |contender| -> Vec<Run> {
            let of_seeds = |benchmark| {
                (0..8).map(move |seed| run(benchmark, contender, seed, &setting(40)).unwrap())
            };
            chosen().flat_map(of_seeds).collect()
        };
        let hits = |runs: &[Run]| {
            [20, 40].map(|n| runs.iter().filter(|run| run.regrets[n - 1] <= 0.05).count())
        };
        let (search, random) = (runs(Contender::Slotune), runs(Contender::Random));
        let (found, by_chance) = (hits(&search), hits(&random));
        assert!(found[0] >= STORED[0] && found[1] >= STORED[1], "{found:?} {STORED:?}");
        assert!(found[1] >= 3 * by_chance[1].max(1), "{found:?} {by_chance:?}");
        let mut regrets: Vec<f64> = search.iter().map(|run| run.regrets[39]).collect();
        regrets.sort_by(f64::total_cmp);
        assert!(regrets[8] <= 0.0, "the median regret was 0: {regrets:?}");
    }

    #[test]
    fn noise_crashes_and_trials_in_flight_are_what_was_asked_for() {
        let problems = storm::problems();
        let hard = Setting {
            noise: 0.05,
            in_flight: 3,
            duration_spread: 1.0,
            crash_share: 0.2,
            ..setting(14)
        };
        let run = run(&problems[0], Contender::Slotune, 1, &hard).unwrap();
        assert_eq!((run.regrets.len(), run.asks, run.model_crashed.len()), (14, 4, 4));
        let crashing = problems[0].with_crashes(0.2, 1);
        let rows = problems[0].protocol_design(0, usize::MAX);
        let crashes = rows.iter().filter(|row| crashing.truth(row).is_none()).count();
        assert!((0.1..=0.2).contains(&(crashes as f64 / rows.len() as f64)), "{crashes}");
    }

    #[test]
    fn a_peer_begins_with_the_protocols_rows_and_is_asked_for_the_others() {
        let problems = storm::problems();
        let peer = Contender::Python(Peer::PythonRandom);
        let [ours, theirs] = [Contender::Random, peer]
            .map(|contender| run(&problems[2], contender, 3, &setting(14)).unwrap());
        assert_eq!(theirs.regrets[..10], ours.regrets[..10]);
        assert_ne!(theirs.feasible, ours.feasible);
        assert_eq!((theirs.regrets.len(), theirs.asks, theirs.model_crashed.len()), (14, 4, 4));
        let pending = run(&problems[2], peer, 3, &Setting { in_flight: 2, ..setting(14) });
        assert!(pending.unwrap_err().to_string().contains("--in-flight"));
    }
}
