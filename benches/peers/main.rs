//! How many evaluations the search needs on problems whose optimum is known, under the protocol of
//! the peers' comparison (`benches/README.md`).
//!
//! ```text
//! cargo run --release -p slotune-benches --bin peers -- --problems storm --seeds 0..20
//! ```

#![expect(clippy::print_stdout, reason = "a bench talks to its user")]

mod benchmark;
mod in_flight;
mod numpy_random;
mod python;
mod run;
mod score;
mod storm;
mod synthetic;

use std::{
    ops::Range,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use benchmark::Benchmark;
use clap::Parser;
use python::Versions;
use run::{Contender, Run, Setting, run};
use score::Score;
use serde_json::{Map, Value, json};
use slotune_benches::parse_seeds;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Measures samplers on problems with a known optimum: minimise, subject to constraints.
///
/// A run counts as a hit when a truly feasible configuration within 5 % of the optimum was
/// evaluated. Every sampler begins with the same 10 random configurations of a seed.
#[derive(Debug, Parser)]
struct Options {
    /// `storm` (E75, E90, I90, J50, J75, K75, K90: measured tables), `synthetic` (formulas),
    /// `large` (formulas of 24 parameters), or single problems, separated by commas
    #[arg(long, default_value = "storm", value_delimiter = ',')]
    problems: Vec<String>,
    /// Seeds, FIRST..END without END. Develop below 1000, report from 1000 on
    #[arg(long, default_value = "0..20", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// Evaluations of each run, the initial design included
    #[arg(long, default_value_t = 60)]
    evaluations: usize,
    /// Standard deviations of the logarithm of every outcome, such as 0,0.05
    #[arg(long, default_value = "0", value_delimiter = ',')]
    noise: Vec<f64>,
    /// `slotune`, without one of its parts `slotune-without-least-gain`, `-lens`, `-draws`,
    /// `-repeats` or `-region`, `sobol`, `random`, and with --python `optuna-tpe`, `optuna-gp`, `botorch`, `egobox`,
    /// `smac3` or `python-random`, separated by commas
    #[arg(long, default_value = "slotune,random", value_delimiter = ',')]
    samplers: Vec<Contender>,
    /// Python interpreter of an environment that has the packages of the samplers that run in it
    #[arg(long)]
    python: Option<PathBuf>,
    /// Share of each table, beyond a plane drawn by the seed, that crashes when it is evaluated
    #[arg(long, default_value_t = 0.0)]
    crash_share: f64,
    /// Trials in flight at a time
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Standard deviation of the logarithm of how long an evaluation takes, in virtual time: trials in flight
    /// end in the order of that
    #[arg(long, default_value_t = 0.0)]
    duration_spread: f64,
    /// Begin with the sampler's own initial design instead of the protocol's
    #[arg(long)]
    own_design: bool,
    /// Make the optimum of each table trial 0, as if it were the default: "keep it" is then right
    #[arg(long)]
    default_is_optimum: bool,
    /// Runs at a time; what they find does not depend on it
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Print one JSON object: noise, then sampler, then problem
    #[arg(long)]
    json: bool,
}

fn main() -> Result<(), Error> {
    let options = Options::parse();
    let problems = chosen(&options.problems)?;
    let mut by_noise = Map::new();
    for &noise in &options.noise {
        let setting = Setting {
            evaluations: options.evaluations,
            noise,
            in_flight: options.in_flight,
            duration_spread: options.duration_spread,
            protocol_design: !options.own_design,
            default_is_optimum: options.default_is_optimum,
            crash_share: options.crash_share,
            python: options.python.clone(),
        };
        // Before anything is run, so that a missing package costs no time.
        let versions = versions(&problems, &options, &setting)?;
        let mut by_sampler = Map::new();
        for (&contender, versions) in options.samplers.iter().zip(versions) {
            if !options.json {
                let on = versions.iter().map(|(name, version)| format!(", {name} {version}"));
                let on: String = on.collect();
                println!("{contender}{on}, noise {noise}\n{:>20}{}", "", Score::HEADER);
            }
            let mut scores = scores(&problems, contender, &options, &setting)?;
            if !versions.is_empty() {
                scores.insert("versions".to_owned(), json!(versions));
            }
            by_sampler.insert(contender.to_string(), Value::Object(scores));
        }
        by_noise.insert(noise.to_string(), Value::Object(by_sampler));
    }
    if options.json {
        // Without a choice of noise there is no level for it.
        let only = by_noise.values().next().filter(|_| by_noise.len() == 1).cloned();
        println!("{:#}", only.unwrap_or_else(|| json!(by_noise)));
    }
    Ok(())
}

/// What each sampler runs on; empty for ours.
fn versions(
    problems: &[Benchmark],
    options: &Options,
    setting: &Setting,
) -> Result<Vec<Versions>, Error> {
    let version = |&contender: &Contender| {
        let worker = setting.worker(contender, &problems[0], 0)?;
        Ok(worker.map(|worker| worker.versions().clone()).unwrap_or_default())
    };
    options.samplers.iter().map(version).collect()
}

/// The problems of those names and groups.
fn chosen(names: &[String]) -> Result<Vec<Benchmark>, Error> {
    let groups = [
        ("storm", storm::problems()),
        ("synthetic", synthetic::problems()),
        ("large", synthetic::large_problems()),
    ];
    let known = |name: &String| {
        groups.iter().any(|(group, problems)| {
            name == group || problems.iter().any(|problem| name == problem.name)
        })
    };
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(format!("there is no problem `{unknown}`; see --help").into());
    }
    let wanted = |group: &str, problem: &Benchmark| {
        names.iter().any(|name| name == group || name == problem.name)
    };
    let of_group = |(group, problems): (&'static str, Vec<Benchmark>)| {
        problems.into_iter().filter(move |problem| wanted(group, problem)).collect::<Vec<_>>()
    };
    Ok(groups.into_iter().flat_map(of_group).collect())
}

/// One sampler's score on each problem and, in the end, over all their runs.
fn scores(
    problems: &[Benchmark],
    contender: Contender,
    options: &Options,
    setting: &Setting,
) -> Result<Map<String, Value>, Error> {
    let mut scores = Map::new();
    let mut note = |name: &str, runs: &[Run]| {
        let score = Score::of(runs);
        if !options.json {
            println!("{name:>20}{}", score.row());
        }
        scores.insert(name.to_owned(), score.json());
    };
    let mut all = Vec::new();
    for benchmark in problems {
        let runs = runs(benchmark, contender, options, setting)?;
        note(benchmark.name, &runs);
        all.extend(runs);
    }
    note("all", &all);
    if !options.json {
        println!();
    }
    Ok(scores)
}

/// The runs of all seeds, in their order.
fn runs(
    benchmark: &Benchmark,
    contender: Contender,
    options: &Options,
    setting: &Setting,
) -> Result<Vec<Run>, Error> {
    let seeds: Vec<u64> = options.seeds.clone().collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(u64, Run)>, Error> {
        let mut done = Vec::new();
        while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((seed, run(benchmark, contender, seed, setting)?));
        }
        Ok(done)
    };
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..options.threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, Error>(all)
    })?;
    done.sort_by_key(|&(seed, _)| seed);
    Ok(done.into_iter().map(|(_, run)| run).collect())
}
