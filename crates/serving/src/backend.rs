//! What evaluates a trial, and what it answers.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{EngineArguments, Run, Schedule};

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
    /// When the outcome is decided and the rest of the run need not be measured, if ever. A
    /// backend for which time costs nothing need not look.
    pub give_up: Option<GiveUp>,
}

/// A run is decided once it is certain that a percentile of a latency, over all requests of the
/// schedule, exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GiveUp {
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

impl GiveUp {
    /// Most requests out of `scheduled` that may exceed the limit while the percentile (of type 7)
    /// may still be below it.
    pub fn tolerated(&self, scheduled: usize) -> usize {
        let last = scheduled.saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to the number of requests"
        )]
        let below = (last as f64 * (self.percent / 100.0).clamp(0.0, 1.0)).floor() as usize;
        last - below
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
