//! Tunes a real vLLM server on this machine, or measures one that runs somewhere already.
//!
//! ```text
//! cargo run --release --example tune_vllm -- --model Qwen/Qwen2.5-7B-Instruct --rate 6
//! cargo run --release --example tune_vllm -- --model Qwen/Qwen2.5-7B-Instruct --rate 6 --attach http://gpu7:8000
//! ```
//!
//! It measures the server as its command starts it, searches over `max_num_seqs` and
//! `max_num_batched_tokens` with a restart for each trial, and writes a result set and its page. Run
//! it again with the same options and it goes on where it was interrupted.
//! `docs/guide/real-server.md` explains it step by step.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its user")]

use std::{
    fs,
    ops::RangeInclusive,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use clap::Parser;
use slotune::{
    Finished, Observer, Recorder, Tuner,
    core::{
        Configuration, Constraint, Entry, Objective, Origin, Outcome, Parameter, Problem,
        SearchSpace, State, Study, Trial, TrialId, Value, sampler::Bayesian,
    },
    report::week3,
    results::{DEFAULT, Manifest, ResultSet, StudyManifest, StudyRole, WriteError, Writer},
    serving::{
        Backend, EngineArguments, Progress, Run, Schedule, Stage, TrialRequest, Workload,
        engine_arguments::shell_word,
        metrics::{MeasureOptions, Slo, measure},
        workload::{
            Arrivals, LengthLaw, Lengths, Replay, ReplayRate, Size, Synthetic, TraceSource,
        },
    },
    session::in_effect,
    vllm::{Attach, Manage, SecretSource, ServerConfiguration, Target, VllmServer},
};
use slotune_examples::Error;

/// How often the first measurement is tried when the client spoils it.
const ATTEMPTS: u32 = 3;

/// Tunes a real vLLM server: measures it as its command starts it, then searches for a lower P95
/// latency at no less throughput, restarting it for each trial.
///
/// An interrupted run goes on when it is started again with the same options. Whatever happens to
/// this program, it leaves no server behind.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Name or path of the model
    #[arg(long)]
    model: String,
    /// Measures the server at this address instead, and changes nothing about it
    #[arg(long, value_name = "URL", conflicts_with_all = ["port", "command", "trials"])]
    attach: Option<String>,
    /// Environment variable that holds the API key of the server at --attach
    #[arg(long, value_name = "VARIABLE", requires = "attach")]
    api_key_variable: Option<String>,
    /// Port on 127.0.0.1 for the servers to be started
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Version of vLLM, where the command cannot be asked for its --version
    #[arg(long, value_name = "VERSION")]
    vllm_version: Option<String>,
    /// Trials of the search, each with a server of its own
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    trials: u32,
    /// Range of `max_num_seqs`
    #[arg(long, value_name = "LOW..HIGH", default_value = "16..1024", value_parser = range)]
    max_num_seqs: RangeInclusive<u32>,
    /// Range of `max_num_batched_tokens`
    #[arg(long, value_name = "LOW..HIGH", default_value = "512..16384", value_parser = range)]
    max_num_batched_tokens: RangeInclusive<u32>,
    /// Configuration to try before the search's own, as SEQS,TOKENS; may be given several times
    #[arg(long = "try", value_name = "SEQS,TOKENS", value_parser = pair)]
    tries: Vec<(u32, u32)>,
    /// Mean arrival rate, requests/s
    #[arg(long, default_value_t = 4.0)]
    rate: f64,
    /// Requests of each trial
    #[arg(long, default_value_t = 400)]
    requests: u32,
    /// Prompt lengths, drawn evenly
    #[arg(long, value_name = "LOW..HIGH", default_value = "64..512", value_parser = range)]
    prompt_tokens: RangeInclusive<u32>,
    /// Output lengths, drawn evenly
    #[arg(long, value_name = "LOW..HIGH", default_value = "32..256", value_parser = range)]
    output_tokens: RangeInclusive<u32>,
    /// Trace to replay at --rate instead: CSV of the Azure, BurstGPT or reduced Mooncake format
    #[arg(long, conflicts_with_all = ["prompt_tokens", "output_tokens"])]
    trace: Option<PathBuf>,
    /// Least output throughput, tokens/s [default: 95 % of the first measurement's]
    #[arg(long, value_name = "TOKENS_PER_S")]
    least_throughput: Option<f64>,
    /// Root of all random streams
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the result set, the page and the servers' logs
    #[arg(long, default_value = "tune_vllm_results")]
    out: PathBuf,
    /// Command that starts the server, after `--`; engine arguments, --host and --port are added
    /// [default: vllm serve MODEL]
    #[arg(last = true)]
    command: Vec<String>,
}

fn range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let ends = text.split_once("..").and_then(|(low, high)| {
        Some((low.parse().ok()?, high.trim_start_matches('=').parse().ok()?))
    });
    match ends {
        Some((low, high)) if low >= 1 && low <= high => Ok(low..=high),
        _ => Err("give two whole numbers from 1, the smaller first, such as 64..512".to_owned()),
    }
}

fn pair(text: &str) -> Result<(u32, u32), String> {
    let pair = text.split_once(',').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    pair.ok_or_else(|| "give two whole numbers, such as 256,8192".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Error> {
    let workload = options.workload();
    let schedule = Arc::new(workload.schedule()?);
    println!("workload: {workload}\n          {}", schedule.summary());
    let server = Arc::new(VllmServer::new(options.server()).await?);
    let info = server.describe();
    let gpu = info.hardware.gpu.as_deref().unwrap_or("a machine that does not tell its GPU");
    println!("server:   vLLM {} with {} on {gpu}", info.vllm_version, info.model);

    if options.attach.is_some() {
        let run = first_measurement(&*server, &schedule, options.seed).await?;
        print_run(&run)?;
        return Ok(());
    }
    tune(options, workload, &schedule, server).await
}

/// Measures the server as it is without any engine argument of ours.
async fn first_measurement(
    server: &dyn Backend,
    schedule: &Arc<Schedule>,
    seed: u64,
) -> Result<Run, Error> {
    let request = TrialRequest {
        arguments: EngineArguments::default(),
        schedule: Arc::clone(schedule),
        seed,
        record_chunk_times: true,
        give_up: vec![],
    };
    let mut attempts = 0;
    loop {
        let mut run = server.evaluate(&request, &Lines).await?;
        run.examine(schedule);
        attempts += 1;
        match run.disqualification() {
            None => return Ok(run),
            Some(caveat) if attempts == ATTEMPTS => {
                return Err(format!("the run cannot be used: {}", caveat.message).into());
            }
            Some(caveat) => println!("  again, since {}", caveat.message),
        }
    }
}

async fn tune(
    options: &Options,
    workload: Workload,
    schedule: &Arc<Schedule>,
    server: Arc<VllmServer>,
) -> Result<(), Error> {
    // What the first measurement found is part of the question, so it is kept for a later run.
    let kept = options.out.join("first_measurement.json");
    let run: Run = if kept.exists() {
        serde_json::from_slice(&fs::read(&kept)?)
            .map_err(|error| format!("{}: {error}; remove it to measure anew", kept.display()))?
    } else {
        println!("\nmeasuring the server as its command starts it");
        let run = first_measurement(&*server, schedule, options.seed).await?;
        fs::create_dir_all(&options.out)?;
        let unfinished = kept.with_extension("tmp");
        fs::write(&unfinished, serde_json::to_vec(&run)?)?;
        fs::rename(&unfinished, &kept)?;
        run
    };
    print_run(&run)?;
    let measurement = measure(&run, &MeasureOptions::default())?;
    let throughput = measurement.value("output_throughput_tok_per_s").unwrap_or_default();
    let least = options.least_throughput.unwrap_or(0.95 * throughput);
    let objective = Objective::minimise("e2e_p95_s")
        .subject_to(Constraint::at_least("output_throughput_tok_per_s", least));
    let space = options.space()?;

    let study = |name: &str, role, sampler: &str, trials| StudyManifest {
        name: name.to_owned(),
        role,
        sampler: sampler.to_owned(),
        seed: options.seed,
        trials,
    };
    let created = jiff::Timestamp::now().to_string();
    let manifest =
        Manifest::new(created, space.clone(), objective.clone(), workload, server.describe())
            .with_command(command())
            .with_study(study("reference", StudyRole::Reference, "given", 1))
            .with_study(study("search", StudyRole::Search, "bayesian", options.trials.into()));
    let set = options.out.join("results");
    let writer = match ResultSet::create(&set, &manifest) {
        Err(WriteError::AlreadyASet { .. }) => Writer::open(&set, &manifest)?,
        created => created?,
    };
    let stored = ResultSet::read(&set)?;
    if let Some(fault) = stored.faults.first() {
        return Err(format!("{fault}; restore the file, or remove it to repeat its trial").into());
    }
    let writer = Arc::new(Mutex::new(writer));
    if stored.set.study("reference").next().is_none() {
        let trial = Trial {
            id: TrialId(0),
            configuration: in_effect(&run, &space),
            origin: Origin::Given,
            seed: options.seed,
        };
        let state = State::Told { outcome: Outcome::Completed(measurement), cost: run.cost_s };
        let recorder = Recorder::new("reference", Arc::clone(&writer));
        recorder.record(&Entry { trial, state }, Some(DEFAULT), Some(&run))?;
    }

    println!("\nsearching: lowest P95 E2E latency with at least {least:.1} output tokens/s");
    let history = stored.set.history("search")?;
    let problem = Problem::new(space, objective);
    let mut search = Study::resume(problem, Box::new(Bayesian::default()), options.seed, history)?;
    let done = search.history().len();
    for &(seqs, tokens) in options.tries.iter().skip(done) {
        search.enqueue(configuration(seqs, tokens))?;
    }
    let mut tuner = Tuner::new(
        search,
        server,
        Arc::clone(schedule),
        EngineArguments::default(),
        MeasureOptions::default(),
    )?;
    let narrator = Narrator { recorder: Recorder::new("search", writer), trials: options.trials };
    tuner.run(options.trials as usize, &narrator).await?;

    let loaded = ResultSet::read(&set)?;
    let requests = |trial: &slotune::results::StoredTrial| {
        loaded.requests(&trial.study, trial.entry.trial.id).map(Option::unwrap_or_default)
    };
    let written = week3::write(&loaded.set, requests, &options.out)?;
    match tuner.study().history().best(tuner.study().problem().objective()) {
        Some(best) => println!("\nbest: {}", best.trial.configuration),
        None => println!("\nno trial meets the target"),
    }
    println!("page: {}", written.page.display());
    println!("page as HTML: {}", written.html.display());
    println!("result set: {}", set.display());
    Ok(())
}

/// How this program was called. No option holds a secret.
fn command() -> String {
    let words: Vec<String> = std::env::args().skip(1).map(|word| shell_word(&word)).collect();
    format!("cargo run --release --example tune_vllm -- {}", words.join(" "))
}

fn configuration(seqs: u32, tokens: u32) -> Configuration {
    Configuration::new()
        .with("max_num_seqs", Value::from(seqs))
        .with("max_num_batched_tokens", Value::from(tokens))
}

impl Options {
    fn server(&self) -> ServerConfiguration {
        let target = if let Some(base_url) = &self.attach {
            Target::Attach(Attach {
                base_url: base_url.clone(),
                api_key: self.api_key_variable.clone().map(SecretSource::Environment),
            })
        } else {
            let usual = || ["vllm", "serve", "{model}"].map(str::to_owned).to_vec();
            let command = Some(self.command.clone()).filter(|words| !words.is_empty());
            Target::Manage(Manage {
                log_folder: self.out.join("logs"),
                vllm_version: self.vllm_version.clone(),
                ..Manage::new(command.unwrap_or_else(usual), self.port)
            })
        };
        ServerConfiguration::new(&self.model, target)
    }

    fn workload(&self) -> Workload {
        let size = Size::Requests(self.requests);
        match &self.trace {
            Some(path) => Workload::Replay(Replay {
                trace: TraceSource::File(path.clone()),
                start_s: 0.0,
                size: Some(size),
                rate: ReplayRate::MeanPerS(self.rate),
            }),
            None => Workload::Synthetic(Synthetic {
                arrivals: Arrivals::Poisson { rate_per_s: self.rate },
                lengths: Lengths::Independent {
                    prompt: uniform(&self.prompt_tokens),
                    output: uniform(&self.output_tokens),
                },
                size,
                seed: self.seed,
            }),
        }
    }

    /// Without rules: what this server refuses, the search learns from its answer.
    fn space(&self) -> Result<SearchSpace, Error> {
        let integer = |name, range: &RangeInclusive<u32>| {
            Parameter::integer(name, i64::from(*range.start()), i64::from(*range.end())).log()
        };
        let parameters = vec![
            integer("max_num_seqs", &self.max_num_seqs),
            integer("max_num_batched_tokens", &self.max_num_batched_tokens),
        ];
        Ok(SearchSpace::new(parameters, vec![])?)
    }
}

fn uniform(range: &RangeInclusive<u32>) -> LengthLaw {
    LengthLaw::Uniform { min_tokens: *range.start(), max_tokens: *range.end() }
}

/// The figures of one run, and what limits them.
fn print_run(run: &Run) -> Result<(), Error> {
    let options = MeasureOptions { slo: Slo::default(), ..MeasureOptions::default() };
    let measurement = measure(run, &options)?;
    let value =
        |metric: &str| measurement.value(metric).map_or("-".to_owned(), |v| format!("{v:.4}"));
    println!("\n{:6} {:>10} {:>10} {:>10} {:>10}  seconds", "", "mean", "P50", "P95", "P99");
    for (name, metric) in [("E2E", "e2e"), ("TTFT", "ttft"), ("TPOT", "tpot"), ("ITL", "itl")] {
        let [mean, p50, p95, p99] = ["mean", "p50", "p95", "p99"]
            .map(|statistic| value(&format!("{metric}_{statistic}_s")));
        println!("{name:6} {mean:>10} {p50:>10} {p95:>10} {p99:>10}");
    }
    println!(
        "output {} tokens/s, completed share {}, queue share {}",
        value("output_throughput_tok_per_s"),
        value("completed_share"),
        value("queue_share")
    );
    for caveat in &run.caveats {
        println!("note: {} ({})", caveat.message, caveat.class.name());
    }
    Ok(())
}

/// Says what a server is doing.
struct Lines;

impl Progress for Lines {
    fn stage(&self, stage: Stage) {
        match stage {
            Stage::Starting => println!("  starting"),
            Stage::Measuring { .. } => {}
            Stage::Stopping => println!("  stopping"),
        }
    }
}

/// Keeps each trial, and tells the user of it.
struct Narrator {
    recorder: Recorder,
    trials: u32,
}

impl Progress for Narrator {
    fn stage(&self, _: Stage) {}
}

impl Observer for Narrator {
    fn begun(&self, trial: &Trial) {
        println!("{:3}/{}  {}", trial.id.0 + 1, self.trials, trial.configuration);
    }

    fn finished(&self, finished: &Finished<'_>) -> Result<(), Error> {
        self.recorder.finished(finished)?;
        let State::Told { outcome, cost } = &finished.entry.state else { return Ok(()) };
        let text = match outcome {
            Outcome::Completed(measurement) => {
                let p95_s = measurement.value("e2e_p95_s").unwrap_or(f64::NAN);
                let met = if finished.objective.is_feasible(measurement) {
                    ""
                } else {
                    ", misses the target"
                };
                format!("P95 {p95_s:.3} s{met}")
            }
            Outcome::Pruned(_) => "pruned".to_owned(),
            Outcome::Infeasible(reason) => format!("infeasible: {}", reason.message),
            Outcome::Failed(reason) => format!("failed: {}", reason.message),
        };
        println!("         {text} ({cost:.0} s)");
        Ok(())
    }
}
