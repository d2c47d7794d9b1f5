//! One evaluation from engine arguments to an outcome: tried again where the world was in the way.

use std::sync::Arc;

use slotune_core::{Outcome, Reason};
use slotune_serving::{
    Backend, BackendError, BackendInfo, EngineArguments, GiveUp, Progress, Run, Schedule,
    TrialRequest,
    metrics::{MeasureError, MeasureOptions, measure},
};

use super::TuneError;

/// How often an evaluation that the world broke is tried again before it is told as failed.
const RETRIES: u32 = 2;

/// Evaluates engine arguments under one workload, and measures what comes of it.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a backend need not be printable")]
pub struct Evaluator {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) schedule: Arc<Schedule>,
    pub(super) options: MeasureOptions,
    /// Whether inter-token latencies are wanted: they take much memory.
    pub(super) record_chunk_times: bool,
}

/// What came of an evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The outcome to tell a study.
    pub outcome: Outcome,
    /// The raw run, where there was one.
    pub run: Option<Run>,
    /// Seconds of server time that it took, attempts that were repeated included.
    pub cost_s: f64,
}

impl Evaluator {
    /// Evaluates on `backend`, each time serving `schedule`; inter-token latencies are measured
    /// only where `record_chunk_times` is set.
    pub fn new(
        backend: Arc<dyn Backend>,
        schedule: Arc<Schedule>,
        options: MeasureOptions,
        record_chunk_times: bool,
    ) -> Self {
        Self { backend, schedule, options, record_chunk_times }
    }

    /// What evaluates.
    pub fn describe(&self) -> BackendInfo {
        self.backend.describe()
    }

    /// Evaluates these arguments with random streams from `seed`, up to three times where the
    /// world was in the way.
    ///
    /// # Errors
    /// [`TuneError::Broken`] where no configuration can be evaluated, [`TuneError::Measure`] where
    /// the backend returned records that contradict themselves.
    pub async fn evaluate(
        &self,
        arguments: EngineArguments,
        seed: u64,
        give_up: Option<GiveUp>,
        progress: &dyn Progress,
    ) -> Result<Evaluation, TuneError> {
        let request = TrialRequest {
            arguments,
            schedule: Arc::clone(&self.schedule),
            seed,
            record_chunk_times: self.record_chunk_times,
            give_up,
        };
        let mut cost_s = 0.0;
        let mut retries = RETRIES;
        let (outcome, run) = loop {
            let result = self.backend.evaluate(&request, progress).await;
            cost_s += result.as_ref().map_or_else(BackendError::cost_s, |run| run.cost_s);
            match result {
                Ok(mut run) => {
                    run.examine(&self.schedule);
                    match run.disqualification() {
                        None => break (self.outcome(&run)?, Some(run)),
                        // It measured the client. Perhaps something else was busy just then.
                        Some(_) if retries > 0 => retries -= 1,
                        Some(caveat) => {
                            let reason = Reason::new(caveat.class.name(), &*caveat.message);
                            break (Outcome::Failed(reason), Some(run));
                        }
                    }
                }
                Err(BackendError::Infeasible { class, message, .. }) => {
                    break (Outcome::Infeasible(Reason::new(class.name(), message)), None);
                }
                // Not told: whoever resumes the stored study gets the same trial again.
                Err(BackendError::Broken { message, .. }) => {
                    return Err(TuneError::Broken { message });
                }
                Err(BackendError::Failed { .. }) if retries > 0 => retries -= 1,
                Err(error) => {
                    break (Outcome::Failed(Reason::new("world", error.to_string())), None);
                }
            }
        };
        Ok(Evaluation { outcome, run, cost_s })
    }

    /// What a run says of its configuration.
    fn outcome(&self, run: &Run) -> Result<Outcome, TuneError> {
        match measure(run, &self.options) {
            Ok(measurement) => Ok(Outcome::Completed(measurement)),
            // Served nothing at all: there is no latency to learn, only that it does not work.
            Err(error @ MeasureError::NoneCompleted { .. }) => {
                Ok(Outcome::Infeasible(Reason::new("none_completed", error.to_string())))
            }
            Err(error) => Err(error.into()),
        }
    }
}
