//! The study file: what to tune, for what, under which load and on which server, as TOML.
//!
//! [`StudyFile`] is the file as plain data. [`StudyFile::read`] also checks what no type can say,
//! such as whether a metric exists, and its errors name the line, the column, the field and the
//! remedy. [`StudyFile::plan`] makes it the values that the rest of the library takes.
//!
//! - `space`: the parameters and their values.
//! - `workload`, `backend`: what is sent, and to which server.
//! - `finals`: how the best is repeated.
//! - `history`: past result sets to learn from.
//! - `units`: bounds in another unit than that of their metric.
//! - `plan`: what follows from the file, and what cannot work.
//! - `example`: one to start from.
//! - `read`, `locate`: errors with their place in the text.
//! - `schema`: the same as a JSON schema, for editors.

mod backend;
mod example;
mod finals;
mod history;
mod locate;
mod plan;
mod read;
mod schema;
mod space;
mod units;
mod workload;

use std::{collections::BTreeMap, time::Duration};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use slotune_core::{
    Bound, History, Value,
    sampler::{Bayesian, Random, Sampler, Sobol},
};
use slotune_serving::engine_arguments::ArgumentError;

pub use backend::{BackendStartError, BackendTable, NoiseName, SimulatorTable, VllmTable};
pub use example::{EXAMPLE, WriteExampleError, write_example};
pub use finals::{FinalsPlan, FinalsTable, FinalsWorkload};
pub use history::HistoryTable;
pub use plan::Plan;
pub use read::{Located, Mistakes, StudyFileError};
pub use schema::json_schema;
pub use space::ParameterTable;
pub use units::{WrongUnit, check_limits, check_unit};
pub use workload::{Length, LognormalTable, SyntheticTable, TraceTable, WorkloadTable};

use schema::{BoundSchema, ParameterNames, SettingSchema};

/// What to tune, for what, under which load and on which server.
///
/// ```
/// use slotune::study_file::{EXAMPLE, StudyFile};
///
/// let file = StudyFile::parse("study.toml", EXAMPLE)?;
/// assert_eq!(file.budget.trials, 30);
/// let plan = file.plan("".as_ref())?;
/// assert_eq!(plan.objective.metric, "e2e_p95_s");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "What to tune, for what, under which load and on which server.")]
pub struct StudyFile {
    /// Root of all random streams: the same file gives the same trials.
    #[serde(default)]
    pub seed: u64,
    /// What proposes the configurations.
    #[serde(default)]
    pub sampler: SamplerName,
    /// What is tuned: engine arguments of vLLM by name, each with the values it may take.
    #[schemars(extend("propertyNames" = ParameterNames::schema(), "minProperties" = 1))]
    pub space: IndexMap<String, ParameterTable>,
    /// Engine arguments that every trial has in common.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, SettingSchema>")]
    #[schemars(extend("propertyNames" = ParameterNames::schema()))]
    pub fixed: BTreeMap<String, Value>,
    /// The configuration to compare with besides vLLM's default, such as the one in use. What it
    /// leaves out of the search space stays at vLLM's default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, SettingSchema>")]
    #[schemars(extend("propertyNames" = ParameterNames::schema()))]
    pub baseline: BTreeMap<String, Value>,
    /// Which metric is optimised, and which way; perhaps against a second.
    pub objective: ObjectiveTable,
    /// Bounds on other metrics, all to be met.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "BTreeMap<String, BoundSchema>")]
    pub constraints: IndexMap<String, Bound>,
    /// Limits of a good request, which the metric `goodput_per_s` needs.
    #[serde(default)]
    pub slo: SloTable,
    /// What the clients send.
    pub workload: WorkloadTable,
    /// What evaluates a trial.
    pub backend: BackendTable,
    /// When the search ends.
    #[serde(default)]
    pub budget: Budget,
    /// That trials end early whose first requests promise too little; left out, none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruning: Option<PruningTable>,
    /// How the best is repeated beside vLLM's default.
    #[serde(default)]
    pub finals: FinalsTable,
    /// Past result sets that the search learns from.
    #[serde(default)]
    pub history: HistoryTable,
}

/// What proposes configurations.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum SamplerName {
    /// Constrained Bayesian optimisation with Gaussian processes.
    #[default]
    Bayesian,
    /// A low-discrepancy sequence.
    Sobol,
    /// Uniformly random.
    Random,
}

impl SamplerName {
    /// The sampler of that name, which learns from past studies if it can.
    pub fn sampler(self, past: Vec<History>) -> Box<dyn Sampler> {
        match self {
            Self::Bayesian => Box::new(Bayesian::learning_from(past)),
            Self::Sobol => Box::new(Sobol),
            Self::Random => Box::new(Random),
        }
    }
}

/// The metric to `minimise` or to `maximise`, by its name in `docs/METRICS.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("oneOf" = [{ "required": ["minimise"] }, { "required": ["maximise"] }]))]
pub struct ObjectiveTable {
    /// Less is better: a latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimise: Option<String>,
    /// More is better: a throughput.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximise: Option<String>,
    /// A second metric that is traded off against the first, such as
    /// `{ maximise = "output_throughput_tok_per_s" }`: what is sought then are the configurations that no
    /// other beats in both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Goal>,
}

/// A metric to optimise, by its name in `docs/METRICS.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Less is better: a latency.
    Minimise(String),
    /// More is better: a throughput.
    Maximise(String),
}

/// Limits that a good request meets, all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SloTable {
    /// Longest time to first token, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_s: Option<f64>,
    /// Longest time per output token, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpot_s: Option<f64>,
    /// Longest end-to-end latency, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e2e_s: Option<f64>,
}

/// When the search ends: at the first limit reached. A trial that runs is always finished.
///
/// Where a limit in seconds will be reached before that of the trials, the Bayesian search counts
/// what a trial costs, start-up and load. On a simulated server, which needs none of the command's
/// time, only `server_time_s` does that.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Most trials of the search, those of earlier runs of the command included.
    #[schemars(range(min = 1))]
    pub trials: u32,
    /// Seconds of one run of the command after which no trial begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub wall_time_s: Option<f64>,
    /// Seconds of server time, simulated or real, after which no trial begins: start-up and load
    /// of all trials of the search, those of earlier runs included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub server_time_s: Option<f64>,
    /// The search ends when further trials would, with a probability of 0.95, gain less than this: a
    /// share of the best objective, such as 0.01 (of a metric that may be 0: in its unit), or of the
    /// hypervolume of two goals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub remaining_gain: Option<f64>,
}

/// That a trial ends after its opening, unless that leaves a chance of 0.05 that the whole trial beats the
/// best so far. The first four, what was given, and repeats are whole.
///
/// The model learns from the openings of all trials how they end, and from the opening of one that was pruned
/// too. For a percentile of E2E latency or TTFT, minimised alone. It spares time where serving the workload
/// takes much longer than starting a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PruningTable {
    /// How many of the first requests are the opening: enough for the percentile, such as 100 for P95.
    #[schemars(range(min = 1))]
    pub requests: u32,
}

impl Default for Budget {
    /// Thirty trials, however long they take.
    fn default() -> Self {
        Self { trials: 30, wall_time_s: None, server_time_s: None, remaining_gain: None }
    }
}

impl StudyFile {
    /// What proposes the configurations of a study of at most so many trials, which learns from past
    /// studies and minds the seconds of the budget if it can.
    pub(crate) fn sampler(&self, past: Vec<History>, trials: u32) -> Box<dyn Sampler> {
        let Budget { wall_time_s, server_time_s, .. } = self.budget;
        let wall_time_s = wall_time_s.filter(|_| matches!(self.backend, BackendTable::Vllm(_)));
        match (self.sampler, wall_time_s.into_iter().chain(server_time_s).reduce(f64::min)) {
            (SamplerName::Bayesian, Some(limit_s)) => {
                Box::new(Bayesian::learning_from(past).within_cost(limit_s, trials as usize))
            }
            (sampler, _) => sampler.sampler(past),
        }
    }
}

impl Budget {
    /// Whether the wall time is spent after the command has run for so long.
    pub(crate) fn is_late(&self, running: Duration) -> bool {
        self.wall_time_s.is_some_and(|limit_s| running.as_secs_f64() >= limit_s)
    }
}

/// A field that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}`: {problem}", path.join("."))]
pub struct FieldError {
    /// Names of the tables that it is in, outermost first, and its own.
    pub path: Vec<String>,
    /// What of it cannot work.
    pub part: FieldPart,
    /// What is wrong with it, and the remedy.
    pub problem: String,
}

/// A part of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldPart {
    /// Its name: no field of that name belongs there.
    Name,
    /// What it says.
    Value,
}

impl FieldError {
    /// What the field at this path says has this problem.
    pub(crate) fn new<S: Into<String>>(
        path: impl IntoIterator<Item = S>,
        problem: impl Into<String>,
    ) -> Self {
        let path = path.into_iter().map(Into::into).collect();
        Self { path, part: FieldPart::Value, problem: problem.into() }
    }

    /// That there is a field of this name has this problem.
    pub(crate) fn of_name<S: Into<String>>(
        path: impl IntoIterator<Item = S>,
        problem: impl Into<String>,
    ) -> Self {
        Self { part: FieldPart::Name, ..Self::new(path, problem) }
    }

    /// What is wrong with the engine argument at this path, whose values stand there, or in a field of it.
    pub(crate) fn of_argument(
        path: [&str; 2],
        values: Option<&'static str>,
        error: &ArgumentError,
    ) -> Self {
        match error {
            ArgumentError::NotAllowed { .. } => {
                Self::new(path.into_iter().chain(values), error.to_string())
            }
            _ => Self::of_name(path, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
