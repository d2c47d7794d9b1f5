//! The command `slotune`: simulates a server, reads what the library wrote, and looks at the machine. It
//! holds no logic of its own.

#![expect(clippy::print_stderr, reason = "a command talks to its user")]

mod calibrate;
mod doctor;
mod simulate;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use serde_json::json;
use slotune::{
    core::Trial,
    report::{
        analysis::{Analysis, Verdict},
        week3,
    },
    results::{Loaded, ResultSet, StoredTrial},
    serving::Provenance,
};

/// Auto-tunes LLM servers with Bayesian optimisation.
///
/// `simulate` says what one configuration would do. `report` and `recommend` read result sets: folders
/// that a study wrote, such as the one that `cargo run --release --example qwen_week3` leaves behind.
/// `calibrate` fits the simulator to one. `doctor` looks at the machine before a study of a real server.
///
/// Exit status: 0 done, 1 could not be done or a problem was found, 2 wrong usage, 3 the answer is
/// negative: no configuration to recommend, or the simulated server does not start or dies.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulates one configuration of a server under a list of requests
    ///
    /// Latencies, throughput, memory and start-up time of a vLLM server with the given engine arguments,
    /// from the discrete-event simulator, in a fraction of a second and without a GPU; or why it would
    /// not start.
    Simulate(Box<simulate::Options>),
    /// Writes the Week-3 page and its pictures from a result set
    Report {
        /// Folder of the result set
        results: PathBuf,
        /// Folder for the page and the pictures [default: the result set's]
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Prints the configuration that a result set recommends
    ///
    /// The verdict is one of `change`, `keep_default`, `no_configuration_meets_the_targets` and
    /// `nothing_measured`.
    Recommend {
        /// Folder of the result set
        results: PathBuf,
        /// Prints one JSON object: `verdict`, `simulated`, `complete`, `configuration`, `metrics`,
        /// `vllm_serve`
        #[arg(long)]
        json: bool,
    },
    /// Fits a GPU preset of the simulator to measured runs
    ///
    /// Replays every run of a result set in the simulator and moves the preset's costs until latencies
    /// agree; prints how well they do, also for runs that were left out, and writes a preset for --gpu.
    Calibrate(calibrate::Options),
    /// Checks whether this machine can start and measure a real server
    ///
    /// Looks at the command, the version, the model, the port, the GPU, open files and disk, and
    /// measures how much the load generator can take. Starts nothing but `vllm --version`.
    Doctor(doctor::Options),
}

/// Exit status when there is no configuration to recommend, and when a simulated server fails.
const FAILURE: u8 = 3;

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Simulate(options) => simulate::run(&options),
        Command::Report { results, out } => report(&results, out.as_deref().unwrap_or(&results)),
        Command::Recommend { results, json } => recommend(&results, json),
        Command::Calibrate(options) => calibrate::run(&options),
        Command::Doctor(options) => doctor::run(&options),
    };
    result.unwrap_or_else(|error| match error.downcast_ref::<io::Error>() {
        // Whoever reads the output, such as `head`, has seen enough.
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        _ => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    })
}

type Error = Box<dyn std::error::Error + Send + Sync>;

fn report(results: &Path, folder: &Path) -> Result<ExitCode, Error> {
    let loaded = read(results)?;
    let mut out = io::stdout().lock();
    let requests = |trial: &StoredTrial| {
        loaded.requests(&trial.study, trial.entry.trial.id).map(Option::unwrap_or_default)
    };
    let written = week3::write(&loaded.set, requests, folder)?;
    for path in std::iter::once(&written.page).chain(&written.pictures) {
        writeln!(out, "{}", path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn recommend(results: &Path, as_json: bool) -> Result<ExitCode, Error> {
    let loaded = read(results)?;
    let mut out = io::stdout().lock();
    let analysis = Analysis::new(&loaded.set);
    let verdict = match &analysis.verdict {
        Verdict::Change(_) => "change",
        Verdict::KeepDefault { .. } => "keep_default",
        Verdict::NoneFeasible(_) => "no_configuration_meets_the_targets",
        Verdict::NothingMeasured => "nothing_measured",
    };
    let trial = analysis.verdict.advised();
    let backend = &loaded.set.manifest.backend;
    let simulated = matches!(backend.provenance, Provenance::Simulated(_));
    let unfinished: Vec<String> = analysis
        .curves
        .iter()
        .map(|curve| (curve.study, curve.points.len() as u64))
        .filter(|&(study, done)| done < study.trials)
        .map(|(study, done)| format!("study {} has {done} of {} trials", study.name, study.trials))
        .collect();
    let command = trial
        .map(|trial| week3::as_run(trial, backend))
        .transpose()?
        .map(|arguments| arguments.vllm_serve_command(&backend.model));
    if as_json {
        let value = json!({
            "verdict": verdict,
            "simulated": simulated,
            "complete": unfinished.is_empty(),
            "configuration": trial.map(|trial| &trial.entry.trial.configuration),
            "metrics": trial.and_then(|trial| trial.entry.measurement()),
            "vllm_serve": command,
        });
        writeln!(out, "{value:#}")?;
    } else {
        let objective = analysis.objective();
        let value = |trial: Option<&StoredTrial>| -> Option<f64> {
            trial?.entry.measurement()?.value(&objective.metric)
        };
        write!(out, "{}", verdict.replace('_', " "))?;
        if let (Some(trial), Some(value)) = (trial, value(trial)) {
            let Trial { id, .. } = trial.entry.trial;
            write!(out, ": {} {value:.4} (study {}, trial {id})", objective.metric, trial.study)?;
        }
        if let Some(value) = value(analysis.default) {
            write!(out, ", vLLM's default {value:.4}")?;
        }
        writeln!(out, ", {}", if simulated { "simulated" } else { "measured" })?;
        for study in unfinished {
            writeln!(out, "not complete: {study}")?;
        }
        if let Verdict::NoneFeasible(near) = &analysis.verdict {
            writeln!(
                out,
                "{} was missed by most, even in the trial that came closest",
                near.binding.constraint
            )?;
        }
        if let Some(command) = command {
            writeln!(out, "{command}")?;
        }
    }
    Ok(match trial {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::from(FAILURE),
    })
}

/// Reads a result set and warns of the parts that it had to leave out.
fn read(folder: &Path) -> Result<Loaded, Error> {
    let loaded = ResultSet::read(folder)?;
    for fault in &loaded.faults {
        eprintln!("warning: left out: {fault}");
    }
    Ok(loaded)
}
