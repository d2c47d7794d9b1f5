//! The Week-3 scenario: Qwen2.5-7B on one H100 under a replayed chat trace, served by a
//! configuration that queues as the one of week 2 did.
//!
//! The example runs it once and the benches many times, so it stands here.

use std::{path::PathBuf, sync::Arc};

use slotune::{
    Tuner,
    core::{
        Configuration, Constraint, History, Measurement, Objective, Parameter, Problem,
        SearchSpace, Study, Value,
        sampler::{Grid, Sampler},
    },
    serving::{
        Backend, EngineArguments, Schedule, Workload,
        metrics::MeasureOptions,
        workload::{Replay, ReplayRate, Size, TraceSource},
    },
    sim::{CacheState, ServerModel, Simulator},
};

/// Any error, on its way to `main`.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Requests of the trace that are replayed, if it has so many.
const REQUESTS: u32 = 4000;

/// Mean arrival rate at which the baseline queues for most of a request's time, requests/s.
pub const RATE_PER_S: f64 = 24.0;

/// The week-2 documents ask for 1200 tokens/s where 949 were measured.
const THROUGHPUT_GAIN: f64 = 1200.0 / 949.0;

/// The week-2 documents ask for 3.0 s where requests of 500 and more output tokens took 4.396 s.
const LONG_SEQUENCE_GAIN: f64 = 3.0 / 4.396;

/// The week-2 documents ask for less than half of the latency spent in the queue.
const QUEUE_SHARE: f64 = 0.5;

/// One server, one workload, and what is tuned.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What the clients send.
    pub workload: Workload,
    schedule: Arc<Schedule>,
    space: SearchSpace,
}

impl Scenario {
    /// The scenario under a trace (`None` means the Azure conversation trace of 2023) replayed at
    /// a mean rate in requests/s.
    ///
    /// # Errors
    /// When the trace cannot be read or the rate is no positive number.
    pub fn new(trace: Option<PathBuf>, rate_per_s: f64) -> Result<Self, Error> {
        let trace = trace.map_or(TraceSource::AzureConversation2023, TraceSource::File);
        let recorded = u32::try_from(trace.trace()?.requests.len())?;
        let workload = Workload::Replay(Replay {
            trace,
            start_s: 0.0,
            size: Some(Size::Requests(REQUESTS.min(recorded))),
            rate: ReplayRate::MeanPerS(rate_per_s),
        });
        let schedule = Arc::new(workload.schedule()?);
        let parameters = vec![
            Parameter::integer("max_num_seqs", 32, 4096).log(),
            Parameter::levels("gpu_memory_utilization", (70..=95).map(|p| f64::from(p) / 100.0)),
            Parameter::boolean("enable_chunked_prefill"),
            Parameter::integer("max_num_batched_tokens", 512, 32_768).log(),
        ];
        let rules = fixed_arguments().rules(&parameters, &ServerModel::measured().environment());
        Ok(Self { workload, schedule, space: SearchSpace::new(parameters, rules)? })
    }

    /// What is tuned.
    pub fn space(&self) -> &SearchSpace {
        &self.space
    }

    /// What to reach, from what the baseline measured: the lowest P95 latency with the gains that
    /// the week-2 documents ask for.
    ///
    /// # Errors
    /// When the trace holds no request of the length class that has a target.
    pub fn objective(&self, baseline: &Measurement) -> Result<Objective, Error> {
        let measured = |metric: &str| {
            baseline.value(metric).ok_or_else(|| {
                format!("the workload gives no `{metric}`; choose a trace with such requests")
            })
        };
        let throughput = measured("output_throughput_tok_per_s")? * THROUGHPUT_GAIN;
        let long_sequence_s = measured("e2e_p95_very_long_s")? * LONG_SEQUENCE_GAIN;
        Ok(Objective::minimise("e2e_p95_s")
            .subject_to(Constraint::at_least("output_throughput_tok_per_s", throughput))
            .subject_to(Constraint::at_most("e2e_p95_very_long_s", long_sequence_s))
            .subject_to(Constraint::at_most("queue_share", QUEUE_SHARE).linear()))
    }

    /// The sweep of the week-3 documents; combinations that vLLM rejects are left out.
    ///
    /// # Errors
    /// When a level is not in the search space.
    pub fn grid(&self) -> Result<Grid, Error> {
        fn levels<V: Into<Value>>(
            name: &str,
            values: impl IntoIterator<Item = V>,
        ) -> (String, Vec<Value>) {
            (name.to_owned(), values.into_iter().map(Into::into).collect())
        }
        let levels = vec![
            levels("max_num_seqs", [256, 512, 1024, 2048, 4096]),
            levels("gpu_memory_utilization", [0.70, 0.75, 0.80, 0.85, 0.90, 0.95]),
            levels("enable_chunked_prefill", [false, true]),
            levels("max_num_batched_tokens", [512, 1024, 2048, 4096, 8192, 16_384]),
        ];
        Ok(Grid::new(&self.space, levels)?)
    }

    /// How many trials a sampler that ends by itself would take.
    ///
    /// # Errors
    /// When the sampler cannot suggest any.
    pub fn size(&self, sampler: &dyn Sampler, objective: &Objective) -> Result<usize, Error> {
        let problem = Problem::new(self.space.clone(), objective.clone());
        Ok(sampler.suggest(&problem, &History::new(), usize::MAX, 0)?.len())
    }

    /// A study of this scenario on a simulated server of its own.
    ///
    /// # Errors
    /// When the history does not fit.
    pub fn tuner(
        &self,
        objective: &Objective,
        sampler: Box<dyn Sampler>,
        seed: u64,
        history: History,
        given: &[Configuration],
    ) -> Result<Tuner, Error> {
        let problem = Problem::new(self.space.clone(), objective.clone());
        let mut study = Study::resume(problem, sampler, seed, history)?;
        for configuration in given.iter().skip(study.history().len()) {
            study.enqueue(configuration.clone())?;
        }
        let options = MeasureOptions::default();
        Ok(Tuner::new(study, backend(), Arc::clone(&self.schedule), fixed_arguments(), options)?)
    }
}

/// The simulated server. Each trial starts it on a machine that has compiled nothing yet, so a
/// trial depends on its configuration alone and an interrupted study goes on as if it had not been.
pub fn backend() -> Arc<dyn Backend> {
    Arc::new(Simulator::new(ServerModel::measured()).with_cache_reset_to(CacheState::cold()))
}

/// What every trial has in common: the settings that the simulator was calibrated with.
fn fixed_arguments() -> EngineArguments {
    EngineArguments {
        max_model_len: Some(16_384),
        enable_prefix_caching: Some(false),
        ..EngineArguments::default()
    }
}

/// A server that queues: as many sequences and tokens at a time as a cautious operator allows.
pub fn baseline() -> Configuration {
    configuration(64, 0.90, true, 2048)
}

/// What vLLM chooses by itself on this GPU.
pub fn default_configuration() -> Configuration {
    let resolved = ServerModel::measured().resolve(&fixed_arguments());
    configuration(
        resolved.max_num_seqs,
        resolved.gpu_memory_utilization,
        resolved.enable_chunked_prefill,
        resolved.max_num_batched_tokens,
    )
}

fn configuration(seqs: u32, utilization: f64, chunked: bool, tokens: u32) -> Configuration {
    Configuration::new()
        .with("max_num_seqs", seqs)
        .with("gpu_memory_utilization", utilization)
        .with("enable_chunked_prefill", chunked)
        .with("max_num_batched_tokens", tokens)
}
