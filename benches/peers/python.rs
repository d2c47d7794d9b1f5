//! Samplers of other tools, which run in Python: a process a run, spoken to in lines of JSON.
//!
//! `worker.py` is the other side and describes the messages. Nothing is evaluated there.

use std::{
    collections::BTreeMap,
    fmt,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::{Deserialize, Serialize};
use slotune_core::{
    Bound, Configuration, Domain, Entry, Estimate, History, Measurement, Objective, Problem, Scale,
};

use crate::Error;

const WORKER: &str = include_str!("worker.py");

/// Names and versions of what a sampler runs on.
pub(crate) type Versions = BTreeMap<String, String>;

/// A sampler that runs in Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Uniform along each axis, without any package: shows that the way through Python works.
    PythonRandom,
    OptunaTpe,
    OptunaGp,
    BoTorch,
    Egobox,
    Smac3,
}

impl Peer {
    pub(crate) const ALL: [Self; 6] = [
        Self::PythonRandom,
        Self::OptunaTpe,
        Self::OptunaGp,
        Self::BoTorch,
        Self::Egobox,
        Self::Smac3,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::PythonRandom => "python-random",
            Self::OptunaTpe => "optuna-tpe",
            Self::OptunaGp => "optuna-gp",
            Self::BoTorch => "botorch",
            Self::Egobox => "egobox",
            Self::Smac3 => "smac3",
        }
    }

    /// What it needs, as `pip` and the versions call it.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::PythonRandom => &[],
            Self::OptunaTpe => &["optuna"],
            Self::OptunaGp => &["optuna", "scipy", "torch"],
            Self::BoTorch => &["botorch", "gpytorch", "torch"],
            Self::Egobox => &["egobox", "numpy"],
            Self::Smac3 => &["smac", "ConfigSpace"],
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A peer at work on one problem. Its process ends with it.
#[derive(Debug)]
pub(crate) struct Worker {
    name: &'static str,
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    versions: Versions,
    /// Trials of the history that it was told of.
    told: usize,
}

/// The first message.
#[derive(Serialize)]
struct Start<'a> {
    sampler: &'a str,
    packages: &'a [&'a str],
    seed: u64,
    axes: Vec<Option<u128>>,
    constraints: usize,
}

/// Every other message: what was evaluated since the last one.
#[derive(Serialize)]
struct News {
    told: Vec<Told>,
}

/// A finished trial, on the scales that the protocol lets a peer see.
#[derive(Debug, PartialEq, Serialize)]
struct Told {
    point: Vec<f64>,
    /// `None` where it crashed.
    objective: Option<f64>,
    /// Each met at 0 or below.
    constraints: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Versions(Versions),
    Point(Vec<f64>),
    Error(String),
}

impl Worker {
    /// # Errors
    /// When Python cannot be run or lacks a package; says what to install.
    pub(crate) fn start(
        peer: Peer,
        python: &Path,
        problem: &Problem,
        seed: u64,
    ) -> Result<Self, Error> {
        Self::start_with(peer.name(), peer.packages(), python, problem, seed)
    }

    fn start_with(
        name: &'static str,
        packages: &[&str],
        python: &Path,
        problem: &Problem,
        seed: u64,
    ) -> Result<Self, Error> {
        let mut command = Command::new(python);
        command.args(["-c", WORKER]).stdin(Stdio::piped()).stdout(Stdio::piped());
        // One thread each, as the protocol has it.
        for pool in ["OMP", "OPENBLAS", "MKL", "RAYON"] {
            command.env(format!("{pool}_NUM_THREADS"), "1");
        }
        let mut process = command.spawn().map_err(|error| {
            format!("{name}: `{}` does not run ({error}); see --python", python.display())
        })?;
        let (questions, answers) =
            process.stdin.take().zip(process.stdout.take()).ok_or("pipes")?;
        let answers = BufReader::new(answers);
        let mut worker =
            Self { name, process, questions, answers, versions: Versions::new(), told: 0 };
        let start = Start {
            sampler: name,
            packages,
            seed,
            axes: problem.space().parameters().iter().map(|p| levels(p.domain())).collect(),
            constraints: problem.objective().constraints.len(),
        };
        match worker.answer(&start)? {
            Answer::Versions(versions) => worker.versions = versions,
            _ => return Err(format!("{name}: Python did not answer with versions").into()),
        }
        Ok(worker)
    }

    /// What it runs on.
    pub(crate) fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Its next proposal after the history, all of whose trials have ended.
    ///
    /// # Errors
    /// When the peer fails, or proposes no point of the space.
    pub(crate) fn propose(
        &mut self,
        problem: &Problem,
        history: &History,
    ) -> Result<Configuration, Error> {
        let new = &history.entries()[self.told..];
        let told = new.iter().map(|entry| told(problem, entry)).collect();
        self.told = history.len();
        match self.answer(&News { told })? {
            Answer::Point(point)
                if point.len() == problem.space().parameters().len()
                    && point.iter().all(|x| (-1e-9..=1.0 + 1e-9).contains(x)) =>
            {
                Ok(problem.space().nearest(&point))
            }
            Answer::Point(point) => {
                Err(format!("{}: {point:?} is no point of the unit cube", self.name).into())
            }
            _ => Err(format!("{}: Python did not answer with a point", self.name).into()),
        }
    }

    fn answer(&mut self, message: &impl Serialize) -> Result<Answer, Error> {
        let died = |_| format!("{}: Python has ended; its standard error says why", self.name);
        writeln!(self.questions, "{}", serde_json::to_string(message)?).map_err(died)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.is_empty() {
            return Err(died(std::io::ErrorKind::UnexpectedEof.into()).into());
        }
        match serde_json::from_str(&line)? {
            Answer::Error(error) => Err(format!("{}: {error}", self.name).into()),
            answer => Ok(answer),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Between questions it holds nothing worth keeping. An error here means that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The number of values of an axis whose values lie evenly; `None` for one that peers shall take for
/// continuous.
fn levels(domain: &Domain) -> Option<u128> {
    match domain {
        Domain::Integer { scale: Scale::Log, .. } => None,
        _ => domain.size(),
    }
}

fn told(problem: &Problem, entry: &Entry) -> Told {
    let point = problem.space().encode(&entry.trial.configuration).coordinates().to_vec();
    let seen = entry.measurement().and_then(|measurement| seen(problem.objective(), measurement));
    let (objective, constraints) = seen.unzip();
    Told { point, objective, constraints: constraints.unwrap_or_default() }
}

/// The objective, or its logarithm, and for each constraint how far it is missed: by ln(bound / value)
/// on a log scale, by difference on a linear one.
fn seen(objective: &Objective, measurement: &Measurement) -> Option<(f64, Vec<f64>)> {
    let on = |scale: Scale, number: f64| if scale == Scale::Log { number.ln() } else { number };
    let missed = objective.constraints.iter().map(|constraint| {
        let Estimate { value, .. } = measurement.get(&constraint.metric)?;
        let gap = on(constraint.scale, value) - on(constraint.scale, constraint.bound.value());
        Some(if matches!(constraint.bound, Bound::AtLeast(_)) { -gap } else { gap })
    });
    Some((
        on(objective.scale, measurement.value(&objective.metric)?),
        missed.collect::<Option<_>>()?,
    ))
}

#[cfg(test)]
mod tests {
    use slotune_core::{
        Constraint, Outcome, Parameter, Reason, SearchSpace, Study, sampler::Random,
    };

    use super::*;

    fn problem() -> Problem {
        let space = SearchSpace::new(
            vec![Parameter::levels("a", vec![1_i64, 10, 100]), Parameter::float("b", 0.0, 4.0)],
            vec![],
        );
        let objective =
            Objective::minimise("latency").subject_to(Constraint::at_least("throughput", 8.0));
        Problem::new(space.unwrap(), objective)
    }

    fn python() -> &'static Path {
        Path::new("python3")
    }

    #[test]
    fn a_peer_sees_level_indices_and_logarithms_and_no_number_of_a_crash() {
        let mut study = Study::new(problem(), Box::new(Random), 0).unwrap();
        for level in [10_i64, 100] {
            let configuration = Configuration::new().with("a", level).with("b", 3.0);
            study.enqueue(configuration).unwrap();
        }
        let trials = study.ask_many(2).unwrap();
        let measured = Measurement::new().with("latency", 5.0).with("throughput", 2.0);
        study.tell(trials[0].id, Outcome::Completed(measured), 1.0).unwrap();
        study.tell(trials[1].id, Outcome::Infeasible(Reason::new("crash", "")), 1.0).unwrap();
        let entries = study.history().entries();
        let completed = told(&problem(), &entries[0]);
        assert_eq!(completed.point, [0.5, 0.75]);
        assert_eq!(completed.objective, Some(5.0_f64.ln()));
        assert!((completed.constraints[0] - 4.0_f64.ln()).abs() < 1e-15, "{completed:?}");
        let crashed = Told { point: vec![1.0, 0.75], objective: None, constraints: vec![] };
        assert_eq!(told(&problem(), &entries[1]), crashed);
    }

    #[test]
    fn proposals_lie_on_levels_and_follow_from_the_seed() {
        let proposals = |seed| -> Vec<Configuration> {
            let mut worker = Worker::start(Peer::PythonRandom, python(), &problem(), seed).unwrap();
            assert!(worker.versions().contains_key("python"));
            (0..30).map(|_| worker.propose(&problem(), &History::new()).unwrap()).collect()
        };
        let first = proposals(1);
        for level in [1, 10, 100] {
            assert!(first.iter().any(|p| p.integer("a") == Some(level)), "{level} never comes");
        }
        assert_eq!(proposals(1), first);
        assert_ne!(proposals(2), first);
    }

    #[test]
    fn a_missing_package_or_interpreter_is_named() {
        let missing = ["no-such-package-of-slotune"];
        let error = Worker::start_with("python-random", &missing, python(), &problem(), 0);
        let text = error.unwrap_err().to_string();
        assert!(text.ends_with("-m pip install no-such-package-of-slotune"), "{text}");
        let error = Worker::start(Peer::PythonRandom, Path::new("no/python"), &problem(), 0);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("no/python") && text.contains("--python"), "{text}");
    }
}
