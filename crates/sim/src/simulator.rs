//! The simulated server as a backend.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use slotune_serving::{
    Backend, BackendError, BackendInfo, InfeasibleClass, Progress, Run, ServerFacts, Silent, Stage,
    TrialRequest, engine_arguments::ResolvedEngineArguments,
};

use crate::{
    Admission, CacheState, InputError, Noise, RunOptions, ServerModel, StartUp, StartUpFailure,
    simulate,
};

/// What a start finds on the machine.
#[derive(Debug)]
enum Machine {
    /// What earlier trials left, some of which may be evaluated at the same time.
    Remembers(Mutex<CacheState>),
    /// The same every time.
    ResetTo(CacheState),
}

/// A simulated vLLM server on one machine, started anew for each trial.
///
/// Like a real machine it remembers earlier starts: a new `max_num_batched_tokens` costs a
/// compilation, and a start with compiled code gets a little more KV cache. Results are therefore a
/// function of the trials so far and their seeds, unless
/// [`with_cache_reset_to`](Self::with_cache_reset_to) makes it forget. Noise is off by default.
///
/// ```
/// use std::sync::Arc;
/// use slotune_serving::{EngineArguments, Load, RequestSpec, Schedule, TrialRequest};
/// use slotune_sim::{ServerModel, Simulator};
///
/// let request =
///     RequestSpec { arrival_s: 0.0, prompt_tokens: 300, output_tokens: 80, shared_prefix: vec![] };
/// let run = Simulator::new(ServerModel::measured()).run(&TrialRequest {
///     arguments: EngineArguments { max_num_seqs: Some(64), ..EngineArguments::default() },
///     schedule: Arc::new(Schedule { load: Load::Open, requests: vec![request] }),
///     seed: 0,
///     record_chunk_times: false,
///     give_up: vec![],
/// })?;
/// assert!(run.records[0].is_completed());
/// # Ok::<(), slotune_serving::BackendError>(())
/// ```
#[derive(Debug)]
pub struct Simulator {
    server: ServerModel,
    noise: Noise,
    admission: Admission,
    time_limit_s: Option<f64>,
    machine: Machine,
}

impl Simulator {
    /// This server on a machine where nothing was started yet.
    pub fn new(server: ServerModel) -> Self {
        Self {
            server,
            noise: Noise::none(),
            admission: Admission::default(),
            time_limit_s: None,
            machine: Machine::Remembers(Mutex::new(CacheState::cold())),
        }
    }

    /// The same with noise, drawn from the seed of each trial.
    #[must_use]
    pub fn with_noise(self, noise: Noise) -> Self {
        Self { noise, ..self }
    }

    /// The same with servers that admit requests so.
    #[must_use]
    pub fn with_admission(self, admission: Admission) -> Self {
        Self { admission, ..self }
    }

    /// The same with runs that end after so many simulated seconds, whatever is unfinished.
    #[must_use]
    pub fn with_time_limit_s(self, time_limit_s: f64) -> Self {
        Self { time_limit_s: Some(time_limit_s), ..self }
    }

    /// The same on a machine that is put back into this state before each start, so that a run is a
    /// function of its own trial alone.
    #[must_use]
    pub fn with_cache_reset_to(self, cache: CacheState) -> Self {
        Self { machine: Machine::ResetTo(cache), ..self }
    }

    /// Evaluates a trial; what [`Backend::evaluate`] does, without a runtime.
    ///
    /// # Errors
    /// [`BackendError::Infeasible`] where the server does not start or dies, [`BackendError::Failed`] where
    /// a number of the server, the noise, the schedule or the time limit is malformed.
    pub fn run(&self, request: &TrialRequest) -> Result<Run, BackendError> {
        self.run_with(request, &Silent)
    }

    fn run_with(
        &self,
        request: &TrialRequest,
        progress: &dyn Progress,
    ) -> Result<Run, BackendError> {
        let malformed = |cost_s| {
            move |error: InputError| BackendError::Failed { message: error.to_string(), cost_s }
        };
        self.server.check().map_err(malformed(0.0))?;
        progress.stage(Stage::Starting);
        let arguments = self.server.resolve(&request.arguments);
        let start_up = self.start(&arguments).map_err(|failure| BackendError::Infeasible {
            class: failure.cause.class(),
            message: failure.cause.to_string(),
            cost_s: failure.cost_s,
        })?;

        let scheduled = request.schedule.requests.len();
        progress.stage(Stage::Measuring { ended: 0, scheduled });
        let options = RunOptions {
            noise: self.noise,
            admission: self.admission,
            seed: request.seed,
            record_chunk_times: request.record_chunk_times,
            time_limit_s: self.time_limit_s,
            step_memory: Some(start_up.step_memory),
            ..RunOptions::default()
        };
        let run =
            simulate(&self.server, &arguments, start_up.kv_blocks, &request.schedule, &options)
                .map_err(malformed(start_up.duration_s))?;
        if let Some(death) = run.totals.death {
            return Err(BackendError::Infeasible {
                class: InfeasibleClass::CrashUnderLoad,
                message: death.cause.to_string(),
                cost_s: start_up.duration_s + death.time_s,
            });
        }
        progress.stage(Stage::Measuring { ended: scheduled, scheduled });
        progress.stage(Stage::Stopping);
        let server = ServerFacts {
            start_up_s: start_up.duration_s,
            kv_blocks: Some(start_up.kv_blocks),
            preemptions: Some(run.totals.preemptions),
            engine_steps: Some(run.totals.engine_steps),
            queue_time_sum_s: Some(run.totals.queue_time_sum_s),
            prefix_cache_queries: arguments
                .enable_prefix_caching
                .then_some(run.totals.prefix_cache_queries),
            prefix_cache_hits: arguments
                .enable_prefix_caching
                .then_some(run.totals.prefix_cache_hits),
            arguments: arguments.to_arguments(),
            ..ServerFacts::default()
        };
        Ok(Run {
            records: run.records,
            end_s: run.totals.end_s,
            cost_s: start_up.duration_s + run.totals.end_s,
            server,
            timeline: vec![],
            client: None,
            caveats: vec![],
        })
    }

    fn start(&self, arguments: &ResolvedEngineArguments) -> Result<StartUp, StartUpFailure> {
        match &self.machine {
            Machine::Remembers(cache) => {
                cache.lock().unwrap_or_else(PoisonError::into_inner).start(&self.server, arguments)
            }
            Machine::ResetTo(cache) => cache.clone().start(&self.server, arguments),
        }
    }
}

#[async_trait]
impl Backend for Simulator {
    fn describe(&self) -> BackendInfo {
        self.server.describe()
    }

    async fn evaluate(
        &self,
        request: &TrialRequest,
        progress: &dyn Progress,
    ) -> Result<Run, BackendError> {
        self.run_with(request, progress)
    }
}
