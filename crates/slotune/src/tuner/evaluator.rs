//! One evaluation from engine arguments to an outcome: tried again where the world was in the way.

use std::sync::Arc;

use slotune_core::{Measurement, Outcome, Reason};
use slotune_serving::{
    Backend, BackendError, BackendInfo, CaveatClass, EngineArguments, GiveUp, Latency, Progress,
    Run, Schedule, TrialRequest,
    metrics::{MeasureError, MeasureOptions, measure, opening},
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

/// When an evaluation may end early, and what is noted of its opening.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patience {
    /// The outcome is decided once this is.
    pub hopeless: Option<GiveUp>,
    /// The opening whose latency is noted.
    pub opening: Option<Opening>,
}

/// The first requests of a trial, of which a percentile of a latency is noted as
/// [`opening`](slotune_core::opening) of the objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// How many requests.
    pub requests: u32,
    /// The objective's metric, which is this percentile, 0 to 100, of this latency.
    pub metric: String,
    /// Which latency.
    pub latency: Latency,
    /// Which percentile.
    pub percent: f64,
    /// Seconds beyond which the trial is pruned.
    pub limit_s: Option<f64>,
}

impl Opening {
    fn give_up(&self) -> Option<GiveUp> {
        let Self { requests, latency, percent, .. } = *self;
        Some(GiveUp { of_first: Some(requests), latency, percent, above_s: self.limit_s? })
    }

    /// What it had, as a metric of its own.
    fn noted(&self, run: &Run, measurement: Measurement) -> Measurement {
        match opening(run, self.requests, self.latency, self.percent) {
            Some(estimate) => {
                measurement.with_estimate(slotune_core::opening(&self.metric), estimate)
            }
            None => measurement,
        }
    }
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
        patience: &Patience,
        progress: &dyn Progress,
    ) -> Result<Evaluation, TuneError> {
        let pruning = patience.opening.as_ref().and_then(Opening::give_up);
        let request = TrialRequest {
            arguments,
            schedule: Arc::clone(&self.schedule),
            seed,
            record_chunk_times: self.record_chunk_times,
            give_up: patience.hopeless.into_iter().chain(pruning).collect(),
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
                        None => {
                            let whole_s = run.cost_s;
                            let (outcome, run) = self.outcome(run, patience)?;
                            cost_s += run.cost_s - whole_s;
                            break (outcome, Some(run));
                        }
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

    /// What a run says of its configuration, and the run: if it was pruned, up to then, also where the backend
    /// did not look, so that the search sees the same on each.
    fn outcome(&self, mut run: Run, patience: &Patience) -> Result<(Outcome, Run), TuneError> {
        if let Some(opening) = &patience.opening
            && let Some(pruning) = opening.give_up()
            && let Some(at_s) = pruning.decided_s(&run)
        {
            if run.caveats.iter().all(|caveat| caveat.class != CaveatClass::Decided) {
                run = run.cut(at_s);
                run.caveats.push(pruning.caveat(at_s, run.records.len()));
            }
            return Ok((Outcome::Pruned(opening.noted(&run, Measurement::new())), run));
        }
        match measure(&run, &self.options) {
            Ok(measurement) => {
                let measurement = match &patience.opening {
                    Some(opening) => opening.noted(&run, measurement),
                    None => measurement,
                };
                Ok((Outcome::Completed(measurement), run))
            }
            // Served nothing at all: there is no latency to learn, only that it does not work.
            Err(error @ MeasureError::NoneCompleted { .. }) => {
                let reason = Reason::new("none_completed", error.to_string());
                Ok((Outcome::Infeasible(reason), run))
            }
            Err(error) => Err(error.into()),
        }
    }
}
