//! `slotune simulate`: one configuration under one list of requests, on the simulated server.

mod engine;
mod presets;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use serde_json::{Map, Value, json};
use slotune::{
    core::Measurement,
    serving::{
        Backend, BackendError, BackendInfo, Load, Provenance, RequestStatus, Run, Schedule,
        TrialRequest,
        metrics::{MeasureOptions, Metric, Statistic, measure},
        workload::Trace,
    },
    sim::{CacheState, GpuPreset, ModelPreset, Noise, Simulator},
};

use self::engine::EngineFlags;
use crate::command::{Error, NEGATIVE};

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
        return presets::list(options.json);
    }
    if let Some(name) = &options.show {
        return presets::show(name);
    }
    let (Some(gpu), Some(model), Some(requests)) =
        (&options.gpu, &options.model, &options.requests)
    else {
        return Err("--gpu, --model and --requests are needed".into());
    };
    let server =
        GpuPreset::load(gpu)?.server(ModelPreset::load(model)?.shape).with_gpus(options.gpus);
    let schedule = Schedule { load: Load::Open, requests: Trace::read(requests)?.requests };
    let arguments = options.engine.arguments()?;
    let resolved = server.resolve(&arguments);
    let cache = if options.cold { CacheState::cold() } else { CacheState::warm(&resolved) };
    let noise = if options.no_noise { Noise::none() } else { Noise::measured() };
    // Of the GPUs in use: one is on firmer ground than several.
    let in_use = server.clone().with_gpus(resolved.tensor_parallel_size);
    let info = Simulator::new(in_use).describe();
    let simulator = Simulator::new(server)
        .with_noise(noise)
        .with_admission(options.engine.admission())
        .with_cache_reset_to(cache);
    let trial = TrialRequest {
        arguments,
        schedule: Arc::new(schedule),
        seed: options.seed,
        record_chunk_times: true,
        give_up: None,
    };
    let run = match simulator.run(&trial) {
        Ok(run) => run,
        Err(failure @ BackendError::Infeasible { .. }) => return tell_failure(options, &failure),
        Err(error) => return Err(error.into()),
    };
    // Standard errors are of no use for a single answer.
    let measured = measure(&run, &MeasureOptions { replicates: 0, ..MeasureOptions::default() })?;
    let answer = Answer { info, run, measured };
    let mut out = io::stdout().lock();
    if options.json {
        writeln!(out, "{:#}", answer.as_json(options))?;
    } else {
        answer.write_table(&mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn tell_failure(options: &Options, failure: &BackendError) -> Result<ExitCode, Error> {
    let mut out = io::stdout().lock();
    match failure {
        BackendError::Infeasible { class, message, cost_s } if options.json => {
            let failure = json!({ "class": class.name(), "message": message, "cost_s": cost_s });
            writeln!(out, "{:#}", json!({ "failure": failure }))?;
        }
        failure => writeln!(out, "{failure} (after {:.1} s)", failure.cost_s())?,
    }
    Ok(ExitCode::from(NEGATIVE))
}

/// What came of a run.
struct Answer {
    info: BackendInfo,
    run: Run,
    measured: Measurement,
}

/// A latency as a function of a statistic of it, such as [`Metric::E2e`].
type Latency = fn(Statistic) -> Metric;

/// The latencies, by their keys in JSON.
const LATENCIES: [(&str, Latency); 4] =
    [("e2e", Metric::E2e), ("ttft", Metric::Ttft), ("tpot", Metric::Tpot), ("itl", Metric::Itl)];

impl Answer {
    fn value(&self, metric: Metric) -> Option<f64> {
        self.measured.value(&metric.name())
    }

    fn completed(&self) -> usize {
        self.run.records.iter().filter(|record| record.is_completed()).count()
    }

    fn rejected(&self) -> impl Iterator<Item = &str> {
        self.run.records.iter().filter_map(|record| match &record.status {
            RequestStatus::Rejected(text) => Some(text.as_str()),
            _ => None,
        })
    }

    fn basis(&self) -> &str {
        match &self.info.provenance {
            Provenance::Simulated(calibration) => &calibration.basis,
            Provenance::Measured => "measured",
        }
    }

    fn as_json(&self, options: &Options) -> Value {
        let server = &self.run.server;
        let mut object = Map::new();
        for (name, latency) in LATENCIES {
            let [mean, p50, p95, p99] =
                Statistic::ALL.map(|statistic| self.value(latency(statistic)));
            object.insert(name.into(), json!({ "mean": mean, "p50": p50, "p95": p95, "p99": p99 }));
        }
        let rest = json!({
            "output_throughput": self.value(Metric::OutputThroughput),
            "queue_share": self.value(Metric::QueueShare),
            "kv_blocks": server.kv_blocks,
            "preemptions": server.preemptions,
            "start_up_s": server.start_up_s,
            "engine_steps": server.engine_steps,
            "requests": self.run.records.len(),
            "completed": self.completed(),
            "rejected": self.rejected().count(),
            "first_rejection": self.rejected().next(),
            "gpu": self.info.hardware.gpu,
            "model": self.info.model,
            "arguments": server.arguments,
            "seed": (!options.no_noise).then_some(options.seed),
            "basis": self.basis(),
        });
        if let Value::Object(rest) = rest {
            object.extend(rest);
        }
        Value::Object(object)
    }

    fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        let gpu = self.info.hardware.gpu.as_deref().unwrap_or_default();
        let server = &self.run.server;
        writeln!(
            out,
            "{} on {gpu}, simulated: {} of {} requests completed",
            self.info.model,
            self.completed(),
            self.run.records.len(),
        )?;
        if let Some(text) = self.rejected().next() {
            writeln!(out, "{} rejected, the first: {text}", self.rejected().count())?;
        }
        writeln!(out, "\n{:6}{:>10}{:>10}{:>10}{:>10}", "s", "mean", "P50", "P95", "P99")?;
        for (name, latency) in LATENCIES {
            write!(out, "{:6}", name.to_uppercase())?;
            for statistic in Statistic::ALL {
                match self.value(latency(statistic)) {
                    Some(value) => write!(out, "{value:>10.4}")?,
                    None => write!(out, "{:>10}", "-")?,
                }
            }
            writeln!(out)?;
        }
        writeln!(out)?;
        if let Some(throughput) = self.value(Metric::OutputThroughput) {
            writeln!(out, "{:18}{throughput:.1} tok/s", "output throughput")?;
        }
        if let Some(share) = self.value(Metric::QueueShare) {
            writeln!(out, "{:18}{:.2} % of E2E", "queue", 100.0 * share)?;
        }
        for (name, count) in [("preemptions", server.preemptions), ("KV blocks", server.kv_blocks)]
        {
            writeln!(out, "{name:18}{}", count.unwrap_or_default())?;
        }
        writeln!(out, "{:18}{:.1} s", "start-up", server.start_up_s)?;
        writeln!(out, "\n{}", self.basis())
    }
}
