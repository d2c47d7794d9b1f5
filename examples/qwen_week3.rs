//! The main job: finds the vLLM configuration with the lowest P95 latency that meets the week-3
//! targets, and fills the Week-3 page.
//!
//! ```text
//! cargo run --release --example qwen_week3
//! ```
//!
//! It measures a queue-bound baseline and vLLM's default, searches, and for comparison spends the
//! same budget at random and sweeps the documents' grid. Everything runs on the simulator. Run it
//! again with the same options and it goes on where it was interrupted.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use clap::{Parser, ValueEnum};
use slotune::{
    Finished, Observer, Recorder,
    core::{
        Bound, Entry, History, Measurement, Objective, Outcome, State, Trial,
        sampler::{Random, Sampler},
    },
    report::{
        advice::Advice,
        analysis::{Analysis, Curve},
        week3,
    },
    results::{
        BASELINE, DEFAULT, Loaded, Manifest, ResultSet, StudyManifest, StudyRole, WriteError,
        Writer,
    },
    serving::{Progress, Provenance, Run, Stage},
    study_file::SamplerName,
};
use slotune_examples::{Error, RATE_PER_S, Scenario, backend, baseline, default_configuration};

/// Tunes a simulated Qwen2.5-7B server on one H100 and fills the Week-3 page.
///
/// An interrupted run goes on when it is started again with the same options.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Trials of the search, and of random search beside it
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    trials: u32,
    /// Root of all random streams; the same seed gives the same trials
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the result set, the page and the pictures
    #[arg(long, default_value = "qwen_week3_results")]
    out: PathBuf,
    /// Trace to replay: CSV of the Azure, BurstGPT or reduced Mooncake format [default: Azure LLM
    /// inference trace 2023, conversation]
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Mean arrival rate of the replay, requests/s
    #[arg(long, default_value_t = RATE_PER_S, allow_negative_numbers = true)]
    rate: f64,
    /// What proposes the configurations of the search
    #[arg(long, value_enum, default_value_t = SamplerName::Bayesian)]
    sampler: SamplerName,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A study of the plan: its name, what it is for, its sampler, and most trials it may take.
struct Planned {
    name: &'static str,
    role: StudyRole,
    sampler: Box<dyn Sampler>,
    trials: u32,
}

fn run(options: &Options) -> Result<(), Error> {
    let scenario = Scenario::new(options.trace.clone(), options.rate)?;
    let info = backend().describe();
    println!("{} on {}", info.model, info.hardware.gpu.as_deref().unwrap_or("an unknown GPU"));
    println!("workload: {}", scenario.workload);
    if let Provenance::Simulated(calibration) = &info.provenance {
        println!("All numbers are SIMULATED, not measured. {}", calibration.basis);
    }

    // The targets follow from the baseline, so it comes before everything else.
    let references = measure_references(&scenario)?;
    let baseline = references[0].0.measurement().ok_or("the baseline was not measured")?;
    let objective = scenario.objective(baseline)?;
    println!(
        "\nminimise {} subject to (as much better than the baseline as week 2 asks)",
        objective.metric
    );
    for constraint in &objective.constraints {
        let sign = if matches!(constraint.bound, Bound::AtLeast(_)) { ">=" } else { "<=" };
        println!("  {} {sign} {:.4}", constraint.metric, constraint.bound.value());
    }

    let grid = scenario.grid()?;
    let grid_trials = u32::try_from(scenario.size(&grid, &objective)?)?;
    let plan = [
        (StudyRole::Search, "search", options.sampler.sampler(vec![]), options.trials),
        (StudyRole::Comparison, "random", Box::new(Random) as Box<dyn Sampler>, options.trials),
        (StudyRole::Comparison, "grid", Box::new(grid), grid_trials),
    ]
    .map(|(role, name, sampler, trials)| Planned { name, role, sampler, trials });

    let manifest = manifest(options, &scenario, &objective, &plan);
    let (writer, stored) = open(&options.out, &manifest)?;
    let kept = stored.set.history("reference")?.len();
    let recorder = Recorder::new("reference", Arc::clone(&writer));
    for ((entry, run), label) in references.iter().zip([BASELINE, DEFAULT]).skip(kept) {
        recorder.record(entry, Some(label), Some(run))?;
    }

    println!(
        "\nsearching; random search ({} trials) and the documents' grid ({grid_trials}) run beside it\n",
        options.trials
    );
    let conduct = |planned: Planned| -> Result<(), Error> {
        let Planned { role, name, sampler, trials } = planned;
        // Every study but the grid is told what vLLM does by itself, so none has a head start.
        let given = match name {
            "grid" => vec![],
            _ => vec![default_configuration()],
        };
        let history = stored.set.history(name)?;
        let mut tuner = scenario.tuner(&objective, sampler, options.seed, history, &given)?;
        let narrator = Narrator {
            recorder: Recorder::new(name, Arc::clone(&writer)),
            trials,
            is_shown: role == StudyRole::Search,
            kept: tuner.study().history().len(),
            started: now(),
        };
        Ok(tuner.run_blocking(trials as usize, &narrator)?)
    };
    let [search, random, grid] = plan;
    thread::scope(|scope| {
        let comparisons = scope.spawn(|| conduct(random).and_then(|()| conduct(grid)));
        let search = conduct(search);
        println!("\nthe search has ended; waiting for random search and the grid");
        let comparisons = comparisons.join().map_err(|_| "a comparison study panicked")?;
        search.and(comparisons)
    })?;

    let loaded = read(&options.out)?;
    let written = week3::write(
        &loaded.set,
        |trial| loaded.requests(&trial.study, trial.entry.trial.id).map(Option::unwrap_or_default),
        &options.out,
    )?;
    let analysis = Analysis::new(&loaded.set);
    print_summary(&analysis);
    println!("\n{}", Advice::new(&analysis)?);
    println!("\nAll numbers above are simulated. What they rest on stands in the page:");
    println!("  page       {}", written.page.display());
    println!("  as HTML    {}", written.html.display());
    for picture in
        written.pictures.iter().filter(|picture| picture.extension().is_some_and(|e| e == "png"))
    {
        println!("  picture    {}", picture.display());
    }
    println!("  result set {}/trials/*.parquet, {0}/requests/*.parquet", options.out.display());
    Ok(())
}

/// Measures the baseline and vLLM's default, in this order.
fn measure_references(scenario: &Scenario) -> Result<Vec<(Entry, Run)>, Error> {
    let given = [baseline(), default_configuration()];
    let any = Objective::minimise("e2e_p95_s");
    let mut tuner = scenario.tuner(&any, Box::new(Random), 0, History::new(), &given)?;
    let collector = Collector::default();
    tuner.run_blocking(given.len(), &collector)?;
    Ok(collector.0.into_inner()?)
}

fn manifest(
    options: &Options,
    scenario: &Scenario,
    objective: &Objective,
    plan: &[Planned],
) -> Manifest {
    let reference = StudyManifest {
        name: "reference".to_owned(),
        role: StudyRole::Reference,
        sampler: "given".to_owned(),
        seed: 0,
        trials: 2,
    };
    let planned = plan.iter().map(|planned| StudyManifest {
        name: planned.name.to_owned(),
        role: planned.role,
        sampler: planned.sampler.name().to_owned(),
        seed: options.seed,
        trials: planned.trials.into(),
    });
    let set = Manifest::new(
        jiff::Timestamp::now().to_string(),
        scenario.space().clone(),
        objective.clone(),
        scenario.workload.clone(),
        backend().describe(),
    );
    let set = set.with_command(command(options));
    planned.fold(set.with_study(reference), Manifest::with_study)
}

/// What makes the same set again, wherever it is put.
fn command(options: &Options) -> String {
    let trace = options.trace.as_ref().map(|path| format!(" --trace {}", path.display()));
    let sampler = options.sampler.to_possible_value().expect("no sampler is hidden");
    format!(
        "cargo run --release --example qwen_week3 -- --trials {} --seed {} --rate {} --sampler {}{}",
        options.trials,
        options.seed,
        options.rate,
        sampler.get_name(),
        trace.unwrap_or_default()
    )
}

/// Begins the result set, or goes on with it if the folder holds this very one.
fn open(folder: &Path, manifest: &Manifest) -> Result<(Arc<Mutex<Writer>>, Loaded), Error> {
    let writer = match ResultSet::create(folder, manifest) {
        Err(WriteError::AlreadyASet { .. }) => Writer::open(folder, manifest)?,
        created => created?,
    };
    let stored = read(folder)?;
    if !stored.set.trials.is_empty() {
        println!(
            "\ngoing on with {}: {} trials are there",
            folder.display(),
            stored.set.trials.len()
        );
    }
    Ok((Arc::new(Mutex::new(writer)), stored))
}

fn read(folder: &Path) -> Result<Loaded, Error> {
    let loaded = ResultSet::read(folder)?;
    match loaded.faults.first() {
        Some(fault) => {
            Err(format!("{fault}; restore the file, or remove it to run its trial again").into())
        }
        None => Ok(loaded),
    }
}

/// Keeps runs in memory.
#[derive(Default)]
struct Collector(Mutex<Vec<(Entry, Run)>>);

impl Progress for Collector {
    fn stage(&self, _: Stage) {}
}

impl Observer for Collector {
    fn begun(&self, _: &Trial) {}

    fn finished(&self, trial: &Finished<'_>) -> Result<(), Error> {
        let run = trial.run.ok_or_else(|| format!("{:?}", trial.entry.state))?;
        self.0.lock().map_err(|error| error.to_string())?.push((trial.entry.clone(), run.clone()));
        Ok(())
    }
}

/// Keeps each trial, and tells the user of it where that is wanted.
struct Narrator {
    recorder: Recorder,
    trials: u32,
    is_shown: bool,
    /// Trials that an earlier run did.
    kept: usize,
    started: Instant,
}

impl Progress for Narrator {
    fn stage(&self, _: Stage) {}
}

impl Observer for Narrator {
    fn begun(&self, _: &Trial) {}

    fn finished(&self, finished: &Finished<'_>) -> Result<(), Error> {
        self.recorder.finished(finished)?;
        if self.is_shown {
            println!("{}", self.line(finished));
        }
        Ok(())
    }
}

impl Narrator {
    /// One line on a trial: what came of it, the incumbent, and the time left.
    fn line(&self, finished: &Finished<'_>) -> String {
        let Finished { entry, history, objective, .. } = finished;
        let outcome = match &entry.state {
            State::Told { outcome: Outcome::Completed(measurement), .. } => {
                let mark = if objective.is_feasible(measurement) {
                    "meets targets"
                } else {
                    "misses a target"
                };
                format!("P95 {}  {mark:15}", seconds(measurement.value(&objective.metric)))
            }
            State::Told { outcome, .. } => format!("{:27}", outcome.name()),
            State::Pending => String::new(),
        };
        let best = history.best(objective).and_then(|best| {
            let value = best.measurement()?.value(&objective.metric);
            Some(format!("best {} (trial {})", seconds(value), best.trial.id))
        });
        let done = history.len();
        let per_trial = self.started.elapsed().as_secs_f64() / (done - self.kept).max(1) as f64;
        let left = per_trial * (f64::from(self.trials) - done as f64);
        format!(
            "{done:3}/{}  trial {:<3}  {outcome}  {:24}  {left:4.0} s left  {}",
            self.trials,
            entry.trial.id,
            best.unwrap_or_else(|| "no trial meets them yet".to_owned()),
            entry.trial.configuration,
        )
    }
}

/// The closing table.
fn print_summary(analysis: &Analysis<'_>) {
    let objective = analysis.objective();
    println!(
        "\n{:28} {:>8} {:>10} {:>12} {:>12}  targets",
        "", "P95 E2E", "P95 500+", "queue share", "tokens/s"
    );
    let row = |name: String, measurement: Option<&Measurement>| {
        let Some(measurement) = measurement else {
            println!("{name:28} {:>8}", "-");
            return;
        };
        let number = |metric, factor, digits: usize| {
            let value: Option<f64> = measurement.value(metric);
            value.map_or("-".to_owned(), |value| format!("{:.digits$}", value * factor))
        };
        println!(
            "{name:28} {:>8} {:>10} {:>10} % {:>12}  {}",
            seconds(measurement.value("e2e_p95_s")),
            seconds(measurement.value("e2e_p95_very_long_s")),
            number("queue_share", 100.0, 1),
            number("output_throughput_tok_per_s", 1.0, 0),
            if objective.is_feasible(measurement) { "met" } else { "missed" },
        );
    };
    row("baseline".to_owned(), analysis.baseline.and_then(|trial| trial.entry.measurement()));
    row("vLLM default".to_owned(), analysis.default.and_then(|trial| trial.entry.measurement()));
    for Curve { study, points } in &analysis.curves {
        let trials = analysis.set.study(&study.name);
        let best = slotune::report::analysis::best(objective, trials);
        let name = format!("{}, best of {}", study.name, points.len());
        row(name, best.and_then(|trial| trial.entry.measurement()));
    }
    if let (Some(search), Some(grid)) = (analysis.search(), analysis.grid())
        && let Some(best) = grid.best()
    {
        match search.trials_to_reach(objective, best) {
            Some(trials) => {
                println!("\nthe search was as good as the whole grid after {trials} trials");
                let by_order = grid.trials_to_reach(objective, best).filter(|&own| own < trials);
                if let Some(own) = by_order {
                    println!(
                        "(by the order of its values, the grid came upon its best after {own})"
                    );
                }
            }
            None => println!("\nthe search did not reach the grid's best"),
        }
    }
}

fn seconds(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:6.2} s"))
}

#[expect(clippy::disallowed_methods, reason = "for the time left; no result depends on it")]
fn now() -> Instant {
    Instant::now()
}
