//! `slotune simulate`: one configuration under one list of requests, on the simulated server.

mod engine;
mod presets;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use slotune::{
    forecast::{Forecast, Question},
    serving::workload::Trace,
    sim::{GpuPreset, ModelPreset, ShippedPresets, shipped_file},
};

use self::engine::EngineFlags;
use super::{Error, NEGATIVE, print, progress::Work};

const EXAMPLE: &str = "\
Example:
  printf 'arrival_s,input_tokens,output_tokens\\n0,300,80\\n0.2,1200,20\\n0.5,90,300\\n' > requests.csv
  slotune simulate --gpu h100-sxm --model qwen2.5-7b --requests requests.csv \\
    --max-num-seqs 256 --max-num-batched-tokens 2048 --gpu-memory-utilization 0.92 --json

JSON keys: e2e, ttft, tpot and itl, each with mean, p50, p95 and p99 in seconds (null where undefined,
as TPOT for outputs of one token); output_throughput in tokens/s; queue_share, from 0 to 1; kv_blocks;
preemptions; start_up_s; engine_steps; requests, completed, rejected; and the configuration. Or, with
exit status 3, failure: class (invalid, memory, crash_under_load), message (vLLM's text) and cost_s.

Only the H100 with Qwen2.5-7B was measured; basis says on what the answer rests.";

#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Options {
    /// GPU: a name of --list, or a TOML file of your own
    #[arg(long, value_parser = presets::gpu, required_unless_present_any = ["list", "show"])]
    gpu: Option<String>,
    /// Model: a name of --list, or a TOML file of your own
    #[arg(long, value_parser = presets::model, required_unless_present_any = ["list", "show"])]
    model: Option<String>,
    /// Requests to send: CSV with the header `arrival_s,input_tokens,output_tokens`, sorted by arrival
    #[arg(long, value_name = "FILE", required_unless_present_any = ["list", "show"])]
    requests: Option<PathBuf>,
    /// Seed of the noise
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Exact times: the same answer for every seed
    #[arg(long)]
    no_noise: bool,
    /// Starts on a machine where nothing was started before: nothing is compiled, which takes longer
    /// and leaves less KV cache
    #[arg(long)]
    cold: bool,
    /// GPUs of the machine, which bound --tensor-parallel-size
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    gpus: u32,
    /// Prints one JSON object; see the end of --help
    #[arg(long)]
    json: bool,
    /// Lists the GPUs and models that are known by name, and ends
    #[arg(long)]
    list: bool,
    /// Prints the file of a GPU or model of --list, to start one of your own from, and ends
    #[arg(long, value_name = "NAME", conflicts_with = "list")]
    show: Option<String>,
    #[command(flatten)]
    engine: EngineFlags,
}

/// Simulates; exit status 3 when the server does not start or dies.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    if options.list {
        print(&ShippedPresets::all(), options.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = &options.show {
        io::stdout().lock().write_all(shipped_file(name)?.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(gpu), Some(model), Some(requests)) =
        (&options.gpu, &options.model, &options.requests)
    else {
        return Err("--gpu, --model and --requests are needed".into());
    };
    let server =
        GpuPreset::load(gpu)?.server(ModelPreset::load(model)?.shape).with_gpus(options.gpus);
    let question = Question::new(server)
        .with_arguments(options.engine.arguments()?)
        .with_requests(Trace::read(requests)?.requests)
        .with_admission(options.engine.admission());
    let question = if options.cold { question.cold() } else { question };
    let question = if options.no_noise { question } else { question.with_noise_of(options.seed) };
    let work = Work::called("simulating");
    let forecast = question.answer()?;
    drop(work);
    print(&forecast, options.json)?;
    Ok(match forecast {
        Forecast::Served(_) => ExitCode::SUCCESS,
        Forecast::Fails { .. } => ExitCode::from(NEGATIVE),
    })
}
