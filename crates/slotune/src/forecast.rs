//! What one configuration of a server would do under a list of requests, simulated.
//!
//! ```
//! use slotune::{
//!     forecast::{Forecast, Question},
//!     serving::{EngineArguments, RequestSpec},
//!     sim::{GpuPreset, ModelPreset},
//! };
//!
//! let model = ModelPreset::named("qwen2.5-7b")?.shape;
//! let request = |second: u32| RequestSpec {
//!     arrival_s: second.into(),
//!     prompt_tokens: 300,
//!     output_tokens: 80,
//!     shared_prefix: vec![],
//! };
//! let question = Question::new(GpuPreset::named("h100-sxm")?.server(model))
//!     .with_arguments(EngineArguments { max_num_seqs: Some(64), ..EngineArguments::default() })
//!     .with_requests((0..20).map(request).collect());
//! let Forecast::Served(served) = question.answer()? else { panic!("it fits") };
//! assert_eq!(served.completed, 20);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{fmt, sync::Arc};

use serde::Serialize;
use slotune_core::Measurement;
use slotune_serving::{
    Backend, BackendError, BackendInfo, EngineArguments, InfeasibleClass, Load, Provenance,
    RequestRecord, RequestSpec, Run, Schedule, TrialRequest,
    metrics::{MeasureError, MeasureOptions, Metric, Statistic, measure},
};
use slotune_sim::{Admission, CacheState, Noise, ServerModel, Simulator};

/// What is asked: a server, its engine arguments and its requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    server: ServerModel,
    arguments: EngineArguments,
    requests: Vec<RequestSpec>,
    seed: Option<u64>,
    admission: Admission,
    is_cold: bool,
}

/// The answer. As JSON, the fields of the one, or the key `failure` with those of the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Forecast {
    /// The server serves.
    Served(Box<Served>),
    /// It does not start, or dies.
    Fails {
        /// How.
        failure: Failure,
    },
}

/// What a server makes of the requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Served {
    /// From arrival to last token.
    pub e2e: Latencies,
    /// From arrival to first token.
    pub ttft: Latencies,
    /// From first to last token, by token after the first.
    pub tpot: Latencies,
    /// Between tokens.
    pub itl: Latencies,
    /// Output tokens/s.
    pub output_throughput: Option<f64>,
    /// Share of their latency that requests wait to be scheduled, from 0 to 1.
    pub queue_share: Option<f64>,
    /// Blocks of the KV cache.
    pub kv_blocks: Option<u64>,
    /// Requests that lost their blocks to others, each time they did.
    pub preemptions: Option<u64>,
    /// Seconds until the server answered.
    pub start_up_s: f64,
    /// Steps of the engine.
    pub engine_steps: Option<u64>,
    /// Requests sent.
    pub requests: usize,
    /// Those answered in full.
    pub completed: usize,
    /// Those refused.
    pub rejected: usize,
    /// vLLM's text for the first of them.
    pub first_rejection: Option<String>,
    /// The GPU.
    pub gpu: Option<String>,
    /// The model.
    pub model: String,
    /// What the server runs with.
    pub arguments: EngineArguments,
    /// Seed of the noise; `None` for exact times.
    pub seed: Option<u64>,
    /// What the answer rests on.
    pub basis: String,
}

/// A latency, seconds; `None` where undefined, as TPOT for outputs of one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

/// A server that does not start, or dies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    /// `invalid`, `memory` or `crash_under_load`.
    pub class: InfeasibleClass,
    /// vLLM's text.
    pub message: String,
    /// Server seconds until then.
    pub cost_s: f64,
}

impl Question {
    /// Of a server as it comes, exact, on a machine where it was started before. It has no requests yet.
    pub fn new(server: ServerModel) -> Self {
        Self {
            server,
            arguments: EngineArguments::default(),
            requests: vec![],
            seed: None,
            admission: Admission::default(),
            is_cold: false,
        }
    }

    /// The same with these engine arguments.
    #[must_use]
    pub fn with_arguments(self, arguments: EngineArguments) -> Self {
        Self { arguments, ..self }
    }

    /// The same with these requests, sent as they arrive.
    #[must_use]
    pub fn with_requests(self, requests: Vec<RequestSpec>) -> Self {
        Self { requests, ..self }
    }

    /// The same with the noise that was measured, drawn from a seed.
    #[must_use]
    pub fn with_noise_of(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// The same with a server that admits requests so.
    #[must_use]
    pub fn with_admission(self, admission: Admission) -> Self {
        Self { admission, ..self }
    }

    /// The same on a machine where nothing was started before: compiling takes time, and leaves less KV
    /// cache.
    #[must_use]
    pub fn cold(self) -> Self {
        Self { is_cold: true, ..self }
    }

    /// Simulates.
    ///
    /// # Errors
    /// When a number of the server or of a request is malformed, or no request completes.
    pub fn answer(self) -> Result<Forecast, ForecastError> {
        let Self { server, arguments, requests, seed, admission, is_cold } = self;
        let resolved = server.resolve(&arguments);
        let cache = if is_cold { CacheState::cold() } else { CacheState::warm(&resolved) };
        // Of the GPUs in use: one is on firmer ground than several.
        let in_use = server.clone().with_gpus(resolved.tensor_parallel_size);
        let info = Simulator::new(in_use).describe();
        let simulator = Simulator::new(server)
            .with_noise(if seed.is_some() { Noise::measured() } else { Noise::none() })
            .with_admission(admission)
            .with_cache_reset_to(cache);
        let trial = TrialRequest {
            arguments,
            schedule: Arc::new(Schedule { load: Load::Open, requests }),
            seed: seed.unwrap_or_default(),
            record_chunk_times: true,
            give_up: vec![],
        };
        let run = match simulator.run(&trial) {
            Ok(run) => run,
            Err(BackendError::Infeasible { class, message, cost_s }) => {
                return Ok(Forecast::Fails { failure: Failure { class, message, cost_s } });
            }
            Err(error) => return Err(error.into()),
        };
        // Standard errors are of no use for a single answer.
        let options = MeasureOptions { replicates: 0, ..MeasureOptions::default() };
        let measured = measure(&run, &options)?;
        Ok(Forecast::Served(Box::new(Served::of(info, run, &measured, seed))))
    }
}

impl Served {
    fn of(info: BackendInfo, run: Run, measured: &Measurement, seed: Option<u64>) -> Self {
        let value = |metric: Metric| measured.value(&metric.name());
        let latencies = |latency: fn(Statistic) -> Metric| {
            let [mean, p50, p95, p99] = Statistic::ALL.map(|statistic| value(latency(statistic)));
            Latencies { mean, p50, p95, p99 }
        };
        let rejected: Vec<&str> = run.records.iter().filter_map(RequestRecord::rejection).collect();
        Self {
            e2e: latencies(Metric::E2e),
            ttft: latencies(Metric::Ttft),
            tpot: latencies(Metric::Tpot),
            itl: latencies(Metric::Itl),
            output_throughput: value(Metric::OutputThroughput),
            queue_share: value(Metric::QueueShare),
            kv_blocks: run.server.kv_blocks,
            preemptions: run.server.preemptions,
            start_up_s: run.server.start_up_s,
            engine_steps: run.server.engine_steps,
            requests: run.records.len(),
            completed: run.records.iter().filter(|record| record.is_completed()).count(),
            rejected: rejected.len(),
            first_rejection: rejected.first().map(|text| (*text).to_owned()),
            gpu: info.hardware.gpu,
            model: info.model,
            arguments: run.server.arguments,
            seed,
            basis: match info.provenance {
                Provenance::Simulated(calibration) => calibration.basis,
                Provenance::Measured => "measured".to_owned(),
            },
        }
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served(served) => served.fmt(f),
            Self::Fails { failure: Failure { class, message, cost_s } } => {
                let (class, message) = (*class, message.clone());
                let error = BackendError::Infeasible { class, message, cost_s: *cost_s };
                writeln!(f, "{error} (after {cost_s:.1} s)")
            }
        }
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, completed, requests, .. } = self;
        let gpu = self.gpu.as_deref().unwrap_or_default();
        writeln!(f, "{model} on {gpu}, simulated: {completed} of {requests} requests completed")?;
        if let Some(text) = &self.first_rejection {
            writeln!(f, "{} rejected, the first: {text}", self.rejected)?;
        }
        writeln!(f, "\n{:6}{:>10}{:>10}{:>10}{:>10}", "s", "mean", "P50", "P95", "P99")?;
        for (name, latencies) in
            [("E2E", self.e2e), ("TTFT", self.ttft), ("TPOT", self.tpot), ("ITL", self.itl)]
        {
            write!(f, "{name:6}")?;
            let Latencies { mean, p50, p95, p99 } = latencies;
            for value in [mean, p50, p95, p99] {
                match value {
                    Some(value) => write!(f, "{value:>10.4}")?,
                    None => write!(f, "{:>10}", "-")?,
                }
            }
            writeln!(f)?;
        }
        writeln!(f)?;
        if let Some(throughput) = self.output_throughput {
            writeln!(f, "{:18}{throughput:.1} tok/s", "output throughput")?;
        }
        if let Some(share) = self.queue_share {
            writeln!(f, "{:18}{:.2} % of E2E", "queue", 100.0 * share)?;
        }
        for (name, count) in [("preemptions", self.preemptions), ("KV blocks", self.kv_blocks)] {
            writeln!(f, "{name:18}{}", count.unwrap_or_default())?;
        }
        writeln!(f, "{:18}{:.1} s", "start-up", self.start_up_s)?;
        writeln!(f, "\n{}", self.basis)
    }
}

/// Why there is no forecast.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForecastError {
    /// A number of the server or of a request is malformed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The run cannot be measured.
    #[error(transparent)]
    Measure(#[from] MeasureError),
}
