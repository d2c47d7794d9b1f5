//! What evaluates a trial, and what it answers.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Caveat, CaveatClass, EngineArguments, RequestRecord, Run, Schedule};

/// Evaluates engine arguments under a workload: a real server or a simulated one.
///
/// An implementation carries `#[async_trait::async_trait]` as this trait does. It returns one
/// record for each request, in the order of the schedule; keeps at most the concurrency of a closed
/// loop in flight; gives completed requests the tokens that were asked for; keeps chunk times, from
/// the first token to the last, where they are asked for; and answers
/// [`BackendError::Infeasible`] to arguments that vLLM refuses, such as more sequences than tokens
/// in a step. The suite `testing::conformance` (feature `testing`) checks all of it.
#[async_trait]
pub trait Backend: Send + Sync {
    /// What it is, for the record.
    fn describe(&self) -> BackendInfo;

    /// Starts a server with the arguments, runs the schedule against it, stops it, and returns
    /// the raw records.
    ///
    /// # Errors
    /// [`BackendError`] tells a configuration that cannot work from a world that was in the way.
    async fn evaluate(
        &self,
        request: &TrialRequest,
        progress: &dyn Progress,
    ) -> Result<Run, BackendError>;
}

/// What to evaluate.
#[derive(Clone, Debug)]
pub struct TrialRequest {
    /// Arguments of the server; what is not set is left to the server's default.
    pub arguments: EngineArguments,
    /// The requests to send.
    pub schedule: Arc<Schedule>,
    /// Root of the random streams of this evaluation.
    pub seed: u64,
    /// Whether to keep the arrival time of every chunk, which inter-token latencies need.
    pub record_chunk_times: bool,
    /// When the outcome is decided and the rest of the run need not be measured: as soon as one of these
    /// is. A backend for which time costs nothing need not look.
    pub give_up: Vec<GiveUp>,
}

/// A run is decided once it is certain that a percentile of a latency, over all requests of the
/// schedule or over its first ones, exceeds a limit. Requests that failed enter no latency, so they exceed
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GiveUp {
    /// Over how many of the first requests; `None` over all.
    pub of_first: Option<u32>,
    /// Which latency.
    pub latency: Latency,
    /// Which percentile, 0 to 100.
    pub percent: f64,
    /// The limit, seconds.
    pub above_s: f64,
}

/// A latency that is known to exceed a limit before its request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    /// E2E latency.
    E2e,
    /// Time to first token.
    Ttft,
}

impl Latency {
    /// That of a completed request, seconds.
    pub(crate) fn of(self, record: &RequestRecord) -> Option<f64> {
        match self {
            Self::E2e => record.e2e_s(),
            Self::Ttft => record.ttft_s(),
        }
    }

    /// Whether the run ended before a request had its: then that is known only to be longer than the request
    /// had been under way.
    pub(crate) fn is_open(self, record: &RequestRecord) -> bool {
        let has_token = self == Self::Ttft && record.first_token_s.is_some();
        record.is_unfinished() && !has_token
    }
}

impl GiveUp {
    /// Over how many requests out of `scheduled`.
    pub fn counted(&self, scheduled: usize) -> usize {
        self.of_first.map_or(scheduled, |first| scheduled.min(first as usize))
    }

    /// Whether a latency of the request, seconds, exceeds the limit; not while that is not known.
    pub fn is_exceeded_by(&self, record: &RequestRecord) -> bool {
        self.latency.of(record).is_some_and(|latency_s| latency_s > self.above_s)
    }

    /// Most requests out of `scheduled` that may exceed the limit while the percentile (of type 7)
    /// may still be below it.
    pub fn tolerated(&self, scheduled: usize) -> usize {
        let last = self.counted(scheduled).saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to the number of requests"
        )]
        let below = (last as f64 * (self.percent / 100.0).clamp(0.0, 1.0)).floor() as usize;
        last - below
    }

    /// When it was decided, seconds from the start of the run; `None` if it never was. A request exceeds
    /// the limit as soon as it has been under way for so long, in a run that ended early too.
    pub fn decided_s(&self, run: &Run) -> Option<f64> {
        let scheduled = run.records.len();
        let first = run.records.iter().take(self.counted(scheduled));
        let exceeded_s = first.filter_map(|record| {
            let at_s = record.intended_s + self.above_s;
            let waited = self.latency.is_open(record) && run.end_s > at_s;
            (waited || self.is_exceeded_by(record)).then_some(at_s)
        });
        let mut exceeded_s: Vec<f64> = exceeded_s.collect();
        exceeded_s.sort_by(f64::total_cmp);
        exceeded_s.get(self.tolerated(scheduled)).copied()
    }

    /// What is said of a run of so many requests that was stopped for it.
    pub fn caveat(&self, stopped_s: f64, scheduled: usize) -> Caveat {
        let Self { percent, above_s, .. } = self;
        let name = match self.latency {
            Latency::E2e => "E2E latency",
            Latency::Ttft => "TTFT",
        };
        let requests = match self.of_first {
            Some(_) => format!("the first {} requests", self.counted(scheduled)),
            None => format!("{scheduled} requests"),
        };
        let exceeded = self.tolerated(scheduled) + 1;
        let message = format!(
            "stopped after {stopped_s:.1} s: {exceeded} of {requests} took longer than {above_s:.3} s, so P{percent} of their {name} is certain to",
        );
        Caveat::new(CaveatClass::Decided, message)
    }
}

/// What a backend is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendInfo {
    /// Short name, such as `sim` or `vllm`.
    pub name: String,
    /// Version of vLLM that runs or is simulated, such as `0.25.1`.
    pub vllm_version: String,
    /// Name of the model served.
    pub model: String,
    /// The machine.
    pub hardware: Hardware,
    /// Where its numbers come from.
    pub provenance: Provenance,
}

/// The machine that serves. What is not known is `None`, never guessed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hardware {
    /// Name of the GPU.
    pub gpu: Option<String>,
    /// Memory of one GPU, GiB.
    pub gpu_memory_gib: Option<f64>,
    /// Number of GPUs.
    pub gpus: Option<u32>,
    /// Version of the GPU driver.
    pub driver_version: Option<String>,
    /// Version of CUDA.
    pub cuda_version: Option<String>,
}

/// Where numbers come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Provenance {
    /// Measured on a real server.
    Measured,
    /// Computed by a simulator.
    Simulated(Calibration),
}

/// What a simulator was fitted to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibration {
    /// Name of the preset, such as `h100-sxm/qwen2.5-7b`.
    pub preset: String,
    /// What its coefficients were fitted to, in a sentence.
    pub basis: String,
}

/// Why an evaluation gave no run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The configuration cannot work; trying again would give the same.
    #[error("infeasible configuration ({}): {message}", class.name())]
    Infeasible {
        /// What kind of impossibility.
        class: InfeasibleClass,
        /// The server's own text.
        message: String,
        /// Seconds spent until that was known.
        cost_s: f64,
    },
    /// The world was in the way; says nothing about the configuration. Trying again may go well.
    #[error("evaluation failed: {message}")]
    Failed {
        /// What happened.
        message: String,
        /// Seconds spent until that was known.
        cost_s: f64,
    },
    /// The world is broken for every configuration, such as a model that is not there: no retry
    /// mends it, and a study had better stop than collect failures.
    #[error("cannot evaluate any configuration: {message}")]
    Broken {
        /// What is broken, and the remedy.
        message: String,
        /// Seconds spent until that was known.
        cost_s: f64,
    },
}

impl BackendError {
    /// Seconds that the evaluation cost until that was known.
    pub fn cost_s(&self) -> f64 {
        match self {
            Self::Infeasible { cost_s, .. }
            | Self::Failed { cost_s, .. }
            | Self::Broken { cost_s, .. } => *cost_s,
        }
    }
}

/// Kinds of configurations that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InfeasibleClass {
    /// The server rejects the arguments.
    Invalid,
    /// The server runs out of memory at start-up.
    Memory,
    /// The server starts and dies under load.
    CrashUnderLoad,
}

impl InfeasibleClass {
    /// Its name in stored tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Memory => "memory",
            Self::CrashUnderLoad => "crash_under_load",
        }
    }
}

/// Hears how an evaluation goes on.
pub trait Progress: Send + Sync {
    /// The evaluation is in this stage.
    fn stage(&self, stage: Stage);
}

/// Stages of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    /// The server starts.
    Starting,
    /// Requests run.
    Measuring {
        /// Requests that ended.
        ended: usize,
        /// Requests in the schedule.
        scheduled: usize,
    },
    /// The server stops.
    Stopping,
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _: Stage) {}
}
