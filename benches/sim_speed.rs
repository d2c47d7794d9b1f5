//! How many requests the simulator does in a second of one core, and how much memory it needs.
//!
//! ```text
//! cargo run --release -p slotune-benches --bin sim_speed
//! ```

#![expect(clippy::print_stdout, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock")]

use std::{cell::Cell, fs, process::Command, time::Instant};

use clap::{Parser, ValueEnum};
use rand_distr::{Distribution, Exp, LogNormal};
use serde::{Deserialize, Serialize};
use slotune::{
    core::random::{Pcg64, stream},
    serving::{EngineArguments, Load, RequestSpec},
    sim::{RunOptions, ServerModel, simulate_each},
};
use slotune_benches::peak_memory_mib;

type Error = Box<dyn std::error::Error>;

/// KV-cache blocks of the simulated server, as measured on an H100 with vLLM's defaults.
const KV_BLOCKS: u64 = 66_946;
/// Requests whose simulation takes long enough to be timed.
const ENOUGH_REQUESTS: u32 = 100_000;
/// Bytes.
const MIB: f64 = 1_048_576.0;

/// Measures the simulator's speed and memory.
#[derive(Debug, Parser)]
struct Options {
    /// Requests of a run at each rate
    #[arg(long, default_value_t = 100_000)]
    requests: u32,
    /// The most requests of the runs that grow, each ten times the one before, from 1000
    #[arg(long, default_value_t = 10_000_000)]
    most: u32,
    /// Runs at each rate, of which the fastest counts
    #[arg(long, default_value_t = 3)]
    repeats: u32,
    /// Prints one JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Measures one case in this process and prints it; for the bench's own use
    #[arg(long, hide = true, num_args = 3, value_names = ["WORKLOAD", "RATE", "REQUESTS"])]
    alone: Option<Vec<String>>,
}

/// What the requests are like, after the measured request lists.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Prompts of about 300 tokens, outputs of about 220.
    Chat,
    /// Prompts of about 1700 tokens, outputs of about 190.
    Rag,
}

/// What one run cost, in a process that did nothing else.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    workload: Kind,
    rate_per_s: f64,
    requests: u32,
    requests_per_s: f64,
    ns_per_output_token: f64,
    /// Most requests under way at once, of those that the front end had taken in.
    most_under_way: u32,
    /// Peak of the process less what it had before the run; `None` where the system does not tell.
    memory_mib: Option<f64>,
    /// Only where so many are under way that they are most of it.
    bytes_per_request_under_way: Option<f64>,
    simulated_s: f64,
    e2e_mean_s: f64,
}

fn main() -> Result<(), Error> {
    let options = Options::parse();
    if let Some(case) = &options.alone {
        let [workload, rate, requests] = case.as_slice() else { return Err("three values".into()) };
        let row = measure(Kind::from_str(workload, false)?, rate.parse()?, requests.parse()?)?;
        println!("{}", serde_json::to_string(&row)?);
        return Ok(());
    }
    let mut rates = Vec::new();
    for (workload, rates_per_s) in [(Kind::Chat, [5.0, 45.0, 80.0]), (Kind::Rag, [2.0, 16.0, 30.0])]
    {
        for rate_per_s in rates_per_s {
            rates.push(fastest(workload, rate_per_s, options.requests, options.repeats)?);
        }
    }
    let sizes = std::iter::successors(Some(1000_u32), |size| size.checked_mul(10));
    let growth = sizes
        .take_while(|&size| size <= options.most)
        .map(|size| {
            fastest(Kind::Chat, 35.0, size, if size > 100_000 { 1 } else { options.repeats })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if options.json {
        println!("{:#}", serde_json::json!({ "rates": rates, "growth": growth }));
        return Ok(());
    }
    println!(
        "{:>8} {:>7} {:>9} {:>11} {:>8} {:>10} {:>10} {:>10} {:>10}",
        "workload",
        "rate/s",
        "requests",
        "requests/s",
        "ns/token",
        "E2E mean s",
        "under way",
        "MiB",
        "B/request"
    );
    for row in rates.iter().chain(&growth) {
        println!(
            "{:>8} {:>7} {:>9} {:>11.0} {:>8.1} {:>10.2} {:>10} {:>10.1} {:>10}",
            format!("{:?}", row.workload).to_lowercase(),
            row.rate_per_s,
            row.requests,
            row.requests_per_s,
            row.ns_per_output_token,
            row.e2e_mean_s,
            row.most_under_way,
            row.memory_mib.unwrap_or(f64::NAN),
            row.bytes_per_request_under_way.map_or("-".to_owned(), |bytes| format!("{bytes:.0}")),
        );
    }
    Ok(())
}

/// The fastest of several runs, each in a process of its own, so that its memory is its own.
fn fastest(workload: Kind, rate_per_s: f64, requests: u32, repeats: u32) -> Result<Row, Error> {
    let mut best: Option<Row> = None;
    for _ in 0..repeats {
        let name = workload.to_possible_value().ok_or("every workload has a name")?;
        let output = Command::new(std::env::current_exe()?)
            .args(["--alone", name.get_name(), &rate_per_s.to_string(), &requests.to_string()])
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let row: Row = serde_json::from_slice(&output.stdout)?;
        if best.as_ref().is_none_or(|best| row.requests_per_s > best.requests_per_s) {
            best = Some(row);
        }
    }
    best.ok_or_else(|| "give at least one repeat".into())
}

fn measure(workload: Kind, rate_per_s: f64, requests: u32) -> Result<Row, Error> {
    // A short run is repeated: time is counted in steps of some milliseconds.
    let runs = ENOUGH_REQUESTS.div_ceil(requests);
    let before_mib = peak_memory_mib();
    let (begun, cpu_begun_s) = (Instant::now(), cpu_s());
    let mut seen = Seen::default();
    for _ in 0..runs {
        seen = simulate(workload, rate_per_s, requests)?;
    }
    let elapsed_s = cpu_s()
        .zip(cpu_begun_s)
        .map_or_else(|| begun.elapsed().as_secs_f64(), |(ended_s, begun_s)| ended_s - begun_s)
        / f64::from(runs);
    let memory_mib = peak_memory_mib().zip(before_mib).map(|(after, before)| after - before);
    Ok(Row {
        workload,
        rate_per_s,
        requests,
        requests_per_s: f64::from(requests) / elapsed_s,
        ns_per_output_token: 1e9 * elapsed_s / seen.output_tokens as f64,
        most_under_way: seen.most_under_way,
        memory_mib,
        bytes_per_request_under_way: memory_mib
            .filter(|_| seen.most_under_way >= 1000)
            .map(|mib| mib * MIB / f64::from(seen.most_under_way)),
        simulated_s: seen.simulated_s,
        e2e_mean_s: seen.e2e_sum_s / f64::from(requests),
    })
}

/// What is kept of a run.
#[derive(Debug, Default)]
struct Seen {
    ended: u32,
    most_under_way: u32,
    output_tokens: u64,
    e2e_sum_s: f64,
    simulated_s: f64,
}

fn simulate(workload: Kind, rate_per_s: f64, requests: u32) -> Result<Seen, Error> {
    let server = ServerModel::measured();
    let arguments = server.resolve(&EngineArguments::default());
    let sent = Cell::new(0_u32);
    let source = specs(workload, rate_per_s, requests).inspect(|_| sent.set(sent.get() + 1));
    let options = RunOptions::default();
    let mut seen = Seen::default();
    let totals =
        simulate_each(&server, &arguments, KV_BLOCKS, Load::Open, source, &options, |record| {
            seen.most_under_way = seen.most_under_way.max(sent.get() - seen.ended);
            seen.ended += 1;
            seen.output_tokens += u64::from(record.output_tokens);
            seen.e2e_sum_s += record.last_token_s.unwrap_or(f64::NAN) - record.intended_s;
        })?;
    Ok(Seen { simulated_s: totals.end_s, ..seen })
}

/// Poisson arrivals of requests, drawn as they are asked for.
fn specs(workload: Kind, rate_per_s: f64, requests: u32) -> impl Iterator<Item = RequestSpec> {
    let law = |median: f64, sigma: f64| LogNormal::new(median.ln(), sigma).expect("a plain law");
    let (prompt, output) = match workload {
        Kind::Chat => (law(200.0, 0.9), law(150.0, 0.9)),
        Kind::Rag => (law(1500.0, 0.5), law(150.0, 0.7)),
    };
    let gap = Exp::new(rate_per_s).expect("a rate");
    let mut generator = stream(1, "bench/sim_speed", 0);
    let mut arrival_s = 0.0;
    (0..requests).map(move |_| {
        arrival_s += gap.sample(&mut generator);
        RequestSpec {
            arrival_s,
            prompt_tokens: tokens(&prompt, 4096.0, &mut generator),
            output_tokens: tokens(&output, 1000.0, &mut generator),
            shared_prefix: vec![],
        }
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and `most`")]
fn tokens(law: &LogNormal<f64>, most: f64, generator: &mut Pcg64) -> u32 {
    law.sample(generator).round().clamp(1.0, most) as u32
}

/// CPU time of this process's main thread, seconds, where Linux tells: other work on the machine
/// is not in it.
fn cpu_s() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}
