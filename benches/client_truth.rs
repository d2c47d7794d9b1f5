//! Whether our load generator measures what `vllm bench serve` measures: both load one real server
//! in turn, with the same arrival times and lengths, and each computes its metrics its own way.
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
use serde::{Deserialize, Serialize};
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
use slotune_benches::bench_serve;

type Error = Box<dyn std::error::Error>;

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

/// Requests that each client sends before each of its measurements.
const WARM_UP_REQUESTS: u32 = 8;

/// The name that `scripts/vllm-cpu/serve.sh` serves its model by.
const MODEL: &str = "tiny";

/// Time between two looks at a server that starts, and how often one looks.
const LOOK: Duration = Duration::from_millis(500);
const LOOKS: u32 = 600;

/// Compares our measurements with those of `vllm bench serve` on one server.
#[derive(Debug, Parser)]
struct Options {
    /// Folder that `scripts/vllm-cpu/setup.sh` has set up
    #[arg(long, default_value = "target/vllm-cpu")]
    vllm: PathBuf,
    /// Mean arrival rate, requests/s
    #[arg(long, default_value_t = 4.0)]
    rate: f64,
    /// Requests of each measurement
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u32).range(2..))]
    requests: u32,
    /// Measurements by each client
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    repeats: u32,
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
    workload: String,
    vllm_version: String,
    repeats: u32,
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
    /// Of the medians: ours over theirs, less 1.
    difference: f64,
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
    let workload = Workload::Synthetic(Synthetic {
        arrivals: Arrivals::Poisson { rate_per_s: options.rate },
        lengths: Lengths::Independent {
            prompt: LengthLaw::Uniform { min_tokens: 32, max_tokens: 128 },
            output: LengthLaw::Uniform { min_tokens: 16, max_tokens: 48 },
        },
        size: Size::Requests(options.requests),
        seed: 0,
    });
    let schedule = Arc::new(begins_at_0(workload.schedule()?));
    let folder = options.vllm.join("client_truth");
    fs::create_dir_all(&folder)?;

    let (process, server) = start(&options, &folder).await?;
    let measured = alternate(&options, &folder, &server, &schedule).await;
    process.stop(Duration::from_secs(10)).await?;
    let (ours, theirs) = measured?;

    let report = report(&options, workload, &server, &ours, &theirs);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", table(&report)?);
    }
    Ok(if report.agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    let mut process = ServerProcess::start(&Launch {
        command,
        environment: BTreeMap::new(),
        address,
        log: folder.join("server"),
        log_limit_bytes: 256 << 20,
    })?;
    let configuration = ServerConfiguration {
        warm_up_requests: WARM_UP_REQUESTS,
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

/// Lets both clients measure in turn: A B, B A, A B and so on, so that neither has the better part
/// of a machine that changes.
async fn alternate(
    options: &Options,
    folder: &Path,
    server: &VllmServer,
    schedule: &Arc<Schedule>,
) -> Result<(Vec<Measured>, Vec<Measured>), Error> {
    let (mut ours, mut theirs) = (vec![], vec![]);
    for repeat in 0..options.repeats {
        let is_even = repeat % 2 == 0;
        for is_ours in [is_even, !is_even] {
            let client = if is_ours { "slotune" } else { "vllm bench serve" };
            eprintln!("repeat {} of {}: {client}", repeat + 1, options.repeats);
            if is_ours {
                ours.push(slotune(server, schedule, u64::from(repeat)).await?);
            } else {
                theirs.push(vllm(options, folder, schedule)?);
            }
        }
    }
    Ok((ours, theirs))
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
        give_up: None,
    };
    let mut run = server.evaluate(&request, &Silent).await?;
    run.examine(schedule);
    for caveat in &run.caveats {
        eprintln!("slotune notes: {}", caveat.message);
    }
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

/// One line of the trace that `vllm bench serve` replays. Prompts are sent as token ids, so their
/// lengths are exact.
#[derive(Serialize)]
struct TraceLine {
    /// Seconds from the beginning of the run.
    timestamp: f64,
    input_length: u32,
    output_length: u32,
    /// What the prompt is made from: a chunk of tokens for each.
    hash_ids: [usize; 1],
}

/// The fields of its result that are not metrics.
#[derive(Deserialize)]
struct TheirResult {
    total_input_tokens: u64,
    total_output_tokens: u64,
    /// Of a clock of its own, in the order of the requests.
    start_times: Vec<f64>,
    #[serde(flatten)]
    metrics: BTreeMap<String, serde_json::Value>,
}

fn vllm(options: &Options, folder: &Path, schedule: &Schedule) -> Result<Measured, Error> {
    let mut trace = String::new();
    for (index, request) in schedule.requests.iter().enumerate() {
        let line = TraceLine {
            timestamp: request.arrival_s,
            input_length: request.prompt_tokens,
            output_length: request.output_tokens,
            hash_ids: [index],
        };
        writeln!(trace, "{}", serde_json::to_string(&line)?)?;
    }
    let trace_path = folder.join("trace.jsonl");
    fs::write(&trace_path, trace)?;

    let base_url = format!("http://127.0.0.1:{}", options.port);
    let (venv, tokenizer) = (options.vllm.join("venv"), options.vllm.join("tiny"));
    let output = bench_serve(&venv, &[], &base_url, MODEL, &tokenizer)
        .args(["--dataset-name", "timed_trace", "--dataset-path"])
        .arg(trace_path)
        // Longer than any prompt, so that one chunk is all of it.
        .args(["--timed-trace-chunk-hash-size", "100000"])
        .args(["--num-prompts", &options.requests.to_string()])
        .args(["--num-warmups", &WARM_UP_REQUESTS.to_string()])
        .args(["--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,95"])
        .args(["--save-result", "--save-detailed", "--result-filename", "result.json"])
        .arg("--result-dir")
        .arg(folder)
        .output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("vllm bench serve: {}", text.trim_end()).into());
    }
    let result: TheirResult = serde_json::from_slice(&fs::read(folder.join("result.json"))?)?;
    check_tokens(schedule, result.total_input_tokens, result.total_output_tokens)?;
    let values = METRICS.iter().map(|(_, name)| {
        let value = result.metrics.get(*name).and_then(serde_json::Value::as_f64);
        value.ok_or_else(|| format!("vllm bench serve tells no {name}"))
    });
    // Its clock's beginning is not told: the most punctual request is taken for punctual.
    let late_s = || {
        let starts = result.start_times.iter().zip(&schedule.requests);
        starts.map(|(start_s, request)| start_s - request.arrival_s)
    };
    let origin_s = late_s().fold(f64::INFINITY, f64::min);
    Ok(Measured {
        values: values.collect::<Result<_, _>>()?,
        late_p95_ms: p95_ms(late_s().map(|late_s| late_s - origin_s)),
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

fn report(
    options: &Options,
    workload: Workload,
    server: &VllmServer,
    ours: &[Measured],
    theirs: &[Measured],
) -> Report {
    let rows: Vec<Row> = METRICS
        .iter()
        .enumerate()
        .map(|(i, &(_, metric))| {
            let slotune = Spread::of(ours.iter().map(|measured| measured.values[i]));
            let vllm = Spread::of(theirs.iter().map(|measured| measured.values[i]));
            let difference = slotune.median / vllm.median - 1.0;
            Row { metric, slotune, vllm, difference, agrees: difference.abs() <= AGREEMENT }
        })
        .collect();
    Report {
        workload: workload.to_string(),
        vllm_version: server.describe().vllm_version,
        repeats: options.repeats,
        agrees: rows.iter().all(|row| row.agrees),
        rows,
        slotune_late_p95_ms: Spread::of(ours.iter().map(|measured| measured.late_p95_ms)),
        vllm_late_p95_ms: Spread::of(theirs.iter().map(|measured| measured.late_p95_ms)),
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
    let mut text = format!(
        "{}\nvLLM {}, {} measurements by each client: median (lowest to highest)\n\n{:<18} {:>28} {:>28} {:>10}\n",
        report.workload,
        report.vllm_version,
        report.repeats,
        "metric",
        "slotune",
        "vllm bench serve",
        "difference"
    );
    let spread = |Spread { median, lowest, highest }: &Spread| {
        format!("{median:.2} ({lowest:.2} to {highest:.2})")
    };
    for Row { metric, slotune, vllm, difference, agrees } in &report.rows {
        let percent = 100.0 * difference;
        let verdict = if *agrees { "agrees" } else { "DIFFERS" };
        let (slotune, vllm) = (spread(slotune), spread(vllm));
        writeln!(text, "{metric:<18} {slotune:>28} {vllm:>28} {percent:>+8.1} % {verdict}")?;
    }
    writeln!(
        text,
        "\n{:<18} {:>28} {:>28}",
        "p95_send_late_ms",
        spread(&report.slotune_late_p95_ms),
        spread(&report.vllm_late_p95_ms)
    )?;
    Ok(text)
}
