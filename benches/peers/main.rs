//! How sample-efficient the search is on problems whose optimum is known, under the protocol of
//! the peers' comparison.

#![expect(clippy::print_stdout, reason = "a bench talks to its user")]

mod benchmark;
mod numpy_random;
mod run;
mod score;
mod storm;
mod synthetic;

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use benchmark::Benchmark;
use clap::Parser;
use run::{Run, Setting, run};
use score::Score;
use serde_json::{Value, json};
use slotune_core::sampler::{Bayesian, Random, Sampler, Sobol};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Options {
    /// Problems: `storm`, `synthetic`, or single names, separated by commas
    #[arg(long, default_value = "storm", value_delimiter = ',')]
    problems: Vec<String>,
    /// Seeds, FIRST..END (END excluded)
    #[arg(long, default_value = "0..20", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// Evaluations a run, the initial design included
    #[arg(long, default_value_t = 60)]
    evaluations: usize,
    /// Standard deviation of the log of every outcome, such as 0.05 for 5 %
    #[arg(long, default_value_t = 0.0)]
    noise: f64,
    /// Samplers
    #[arg(long, default_value = "slotune,random", value_delimiter = ',')]
    samplers: Vec<String>,
    /// Share of a table that crashes
    #[arg(long, default_value_t = 0.0)]
    crash_share: f64,
    /// Trials in flight
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Begin with the sampler's own initial design
    #[arg(long)]
    own_design: bool,
    /// Trial 0 is the optimum
    #[arg(long)]
    default_is_optimum: bool,
    /// Threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Prints one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Prints rows
    #[arg(long)]
    trace: bool,
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let (first, end) = text.split_once("..").ok_or("give FIRST..END, such as 0..20")?;
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no seed"));
    let seeds = number(first)?..number(end)?;
    if seeds.is_empty() { Err("there is no seed in that range".to_owned()) } else { Ok(seeds) }
}

fn sampler(name: &str) -> Result<Box<dyn Sampler>, Error> {
    match name {
        "slotune" => Ok(Box::new(Bayesian)),
        "random" => Ok(Box::new(Random)),
        "sobol" => Ok(Box::new(Sobol)),
        _ => Err(format!("there is no sampler `{name}`").into()),
    }
}

fn main() -> Result<(), Error> {
    let options = Options::parse();
    let storm: BTreeSet<&str> = storm::problems().iter().map(|p| p.name).collect();
    let names: Vec<&str> = options.problems.iter().map(String::as_str).collect();
    let mut problems = storm::problems();
    problems.extend(synthetic::problems());
    problems.retain(|p| {
        let group = if storm.contains(p.name) { "storm" } else { "synthetic" };
        names.contains(&p.name) || names.contains(&group)
    });
    let setting = Setting {
        evaluations: options.evaluations,
        noise: options.noise,
        in_flight: options.in_flight,
        protocol_design: !options.own_design,
        default_is_optimum: options.default_is_optimum,
    };
    let mut all = serde_json::Map::new();
    for name in &options.samplers {
        if !options.json { println!("{name}\n{:>20}{}", "", Score::HEADER); }
        let mut every: Vec<Run> = Vec::new();
        let mut scores = serde_json::Map::new();
        for p in &problems {
            let runs = runs(p, name, &options, &setting)?;
            let score = Score::of(&runs.iter().collect::<Vec<_>>());
            if !options.json { println!("{:>20}{}", p.name, score.row()); }
            scores.insert(p.name.to_owned(), score.json());
            every.extend(runs);
        }
        let score = Score::of(&every.iter().collect::<Vec<_>>());
        if !options.json { println!("{:>20}{}\n", "all", score.row()); }
        scores.insert("all".to_owned(), score.json());
        all.insert(name.clone(), Value::Object(scores));
    }
    if options.json { println!("{:#}", json!(all)); }
    Ok(())
}

fn runs(p: &Benchmark, name: &str, options: &Options, setting: &Setting) -> Result<Vec<Run>, Error> {
    let seeds: Vec<u64> = options.seeds.clone().collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Run)>, Error> {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(&seed) = seeds.get(i) else { return Ok(done) };
            done.push((i, run(p, sampler(name)?, seed, setting)?));
        }
    };
    let mut done: Vec<(usize, Run)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..options.threads).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, Error>(all)
    })?;
    done.sort_by_key(|(i, _)| *i);
    Ok(done.into_iter().map(|(_, run)| run).collect())
}
