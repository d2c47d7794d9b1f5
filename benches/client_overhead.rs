//! What the client costs against the stub server: CPU, memory and added latency by number of
//! streams, and the CPU and memory of `vllm bench serve` for the same streams.
//!
//! ```text
//! cargo run --release -p slotune-benches --bin client_overhead -- --vllm PATH_TO_VENV --tokenizer PATH_TO_MODEL
//! ```

#![expect(clippy::print_stdout, reason = "a bench talks to its user")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use clap::Parser;
use serde::{Deserialize, Serialize};
use slotune::vllm::{
    doctor::{ClientLimit, LimitOptions, client_limit},
    stub::{Script, Stub},
};
use slotune_benches::{bench_serve, peak_memory_mib};

type Error = Box<dyn std::error::Error>;

/// Measures the client against the stub server, and `vllm bench serve` too.
#[derive(Debug, Parser)]
struct Options {
    /// Numbers of streams at the same time
    #[arg(long, value_delimiter = ',', default_value = "64,256,1024")]
    streams: Vec<u32>,
    /// Chunks per second, of all streams together
    #[arg(long, default_value_t = 5000.0)]
    chunks_per_s: f64,
    /// How long the streams last, seconds
    #[arg(long, default_value_t = 10.0)]
    duration: f64,
    /// Virtual environment of Python with vLLM, to measure `vllm bench serve` as well
    #[arg(long, requires = "tokenizer")]
    vllm: Option<PathBuf>,
    /// Folder with any tokenizer, which `vllm bench serve` needs for its prompts
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// Prints one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Measures one number of streams in this process and prints it; for the bench's own use
    #[arg(long, hide = true)]
    alone: Option<u32>,
}

/// What one number of streams cost.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    own: Own,
    cpu_s_per_1000_chunks: f64,
    vllm: Option<Peer>,
    /// CPU of `vllm bench serve` for a chunk, over ours.
    cpu_ratio: Option<f64>,
}

/// What our client cost, in a process that did nothing else but serve the stub.
#[derive(Debug, Serialize, Deserialize)]
struct Own {
    #[serde(flatten)]
    limit: ClientLimit,
    /// With the stub's; `None` where the system does not tell.
    peak_memory_mib: Option<f64>,
}

/// What `vllm bench serve` cost.
#[derive(Debug, Serialize)]
struct Peer {
    cpu_s_per_1000_chunks: f64,
    peak_memory_mib: f64,
}

fn main() -> Result<(), Error> {
    let options = Options::parse();
    if let Some(streams) = options.alone {
        println!("{}", serde_json::to_string(&measure(&options, streams)?)?);
        return Ok(());
    }
    let rows: Vec<Row> =
        options.streams.iter().map(|&streams| row(&options, streams)).collect::<Result<_, _>>()?;
    if options.json {
        println!("{:#}", serde_json::json!({ "chunks_per_s": options.chunks_per_s, "rows": rows }));
        return Ok(());
    }
    println!(
        "{:>7} {:>13} {:>12} {:>12} {:>10} | {:>13} {:>10} {:>6}",
        "streams",
        "CPU ms/1000",
        "added P50 ms",
        "added P99 ms",
        "peak MiB",
        "CPU ms/1000",
        "peak MiB",
        "ratio"
    );
    for row in &rows {
        let limit = &row.own.limit;
        print!(
            "{:>7} {:>13.2} {:>12.3} {:>12.3} {:>10.0} |",
            limit.streams,
            1e3 * row.cpu_s_per_1000_chunks,
            limit.added_p50_ms,
            limit.added_p99_ms,
            row.own.peak_memory_mib.unwrap_or(f64::NAN),
        );
        match (&row.vllm, row.cpu_ratio) {
            (Some(peer), Some(ratio)) => println!(
                " {:>13.2} {:>10.0} {ratio:>6.1}",
                1e3 * peer.cpu_s_per_1000_chunks,
                peer.peak_memory_mib,
            ),
            _ => println!(" not measured (--vllm)"),
        }
    }
    Ok(())
}

fn row(options: &Options, streams: u32) -> Result<Row, Error> {
    let own = in_own_process(options, streams)?;
    let cpu_s_per_1000_chunks = 1e3 / own.limit.chunks_per_second_per_core;
    let vllm = match (&options.vllm, &options.tokenizer) {
        (Some(venv), Some(tokenizer)) => Some(peer(options, streams, venv, tokenizer)?),
        _ => None,
    };
    let cpu_ratio = vllm.as_ref().map(|peer| peer.cpu_s_per_1000_chunks / cpu_s_per_1000_chunks);
    Ok(Row { own, cpu_s_per_1000_chunks, vllm, cpu_ratio })
}

/// Runs this program again, so that peak memory is of this number of streams alone.
fn in_own_process(options: &Options, streams: u32) -> Result<Own, Error> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--alone", &streams.to_string()])
        .args(["--chunks-per-s", &options.chunks_per_s.to_string()])
        .args(["--duration", &options.duration.to_string()])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn measure(options: &Options, streams: u32) -> Result<Own, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (chunks_per_s, duration_s) = (options.chunks_per_s, options.duration);
    let limit =
        runtime.block_on(client_limit(&LimitOptions { streams, chunks_per_s, duration_s }))?;
    Ok(Own { limit, peak_memory_mib: peak_memory_mib() })
}

/// Runs a command and prints the CPU seconds and the peak memory (KiB) that it took.
const MEASURE: &str = "
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
if done.returncode:
    sys.exit(done.stderr[-2000:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
";

/// Runs `vllm bench serve` with short answers and with long ones: the difference is what chunks
/// cost, without the imports.
fn peer(options: &Options, streams: u32, venv: &Path, tokenizer: &Path) -> Result<Peer, Error> {
    let gap_s = f64::from(streams) / options.chunks_per_s;
    let long = Script { token: Duration::from_secs_f64(gap_s), ..Script::default() };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast saturates, and it is brought into range"
    )]
    let tokens = ((options.duration / gap_s) as u32).clamp(3, 30_000);
    let run = |tokens: u32| -> Result<(f64, f64), Error> {
        let stub = Stub::start(long.clone())?;
        let output = bench_serve(venv, &["-c", MEASURE], &stub.base_url(), "stub", tokenizer)
            .args(["--dataset-name", "random", "--random-input-len", "16"])
            .args(["--random-output-len", &tokens.to_string()])
            .args(["--num-prompts", &streams.to_string()])
            .output()?;
        let finished = stub.counters().finished;
        if !output.status.success() || finished < u64::from(streams) {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(format!("vllm bench serve: {finished} of {streams} ended: {text}").into());
        }
        let text = String::from_utf8(output.stdout)?;
        let (cpu_s, peak_kib) = text.trim().split_once(' ').ok_or("no measurement")?;
        Ok((cpu_s.parse()?, peak_kib.parse()?))
    };
    let ((short_cpu_s, _), (long_cpu_s, peak_kib)) = (run(2)?, run(tokens)?);
    let chunks = f64::from(streams) * f64::from(tokens - 2);
    Ok(Peer {
        cpu_s_per_1000_chunks: 1e3 * (long_cpu_s - short_cpu_s) / chunks,
        peak_memory_mib: peak_kib / 1024.0,
    })
}
