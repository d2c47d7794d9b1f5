//! A trial and what comes of it.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::Configuration;

/// Number of a trial within its study, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrialId(pub u64);

impl fmt::Display for TrialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One evaluation of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number within the study.
    pub id: TrialId,
    /// What to evaluate.
    pub configuration: Configuration,
    /// Who proposed it.
    pub origin: Origin,
    /// Root of the random streams of this evaluation.
    pub seed: u64,
}

/// Who proposed a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The user: a baseline or default.
    Given,
    /// The initial design, before any model.
    InitialDesign,
    /// The model.
    Model,
    /// The model, to measure an evaluated configuration once more.
    Repeat,
    /// A sampler that uses no model.
    Sampled,
}

impl Origin {
    /// Its name in stored tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::InitialDesign => "initial_design",
            Self::Model => "model",
            Self::Repeat => "repeat",
            Self::Sampled => "sampled",
        }
    }
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was measured.
    Completed(Measurement),
    /// It was ended after its opening, which promised too little: what that had of the
    /// [opening of the objective](opening), on which the search models the rest.
    Pruned(Measurement),
    /// The configuration cannot work: a fact about the configuration, which the search learns.
    Infeasible(Reason),
    /// The world was in the way: says nothing about the configuration, and is never learnt.
    Failed(Reason),
}

impl Outcome {
    /// Its name in stored tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Completed(_) => "completed",
            Self::Pruned(_) => "pruned",
            Self::Infeasible(_) => "infeasible",
            Self::Failed(_) => "failed",
        }
    }
}

/// The name of a metric as the opening of a trial has it: its first requests, measured like a trial of
/// its own. Cheap to have, and related to what the whole trial has, if not the same. A measurement may hold
/// it beside the metric itself.
pub fn opening(metric: &str) -> String {
    format!("opening_{metric}")
}

/// Why there is no measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A short stable word to group by, such as `memory`.
    pub class: String,
    /// The text as it was reported.
    pub message: String,
}

impl Reason {
    /// A class to group by and the text as it was reported.
    pub fn new(class: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class: class.into(), message: message.into() }
    }
}

/// Metrics by name, each with its uncertainty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Measurement(BTreeMap<String, Estimate>);

/// A measured value and how well it is known, both in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Standard error of the value within its run; 0 where it is exact or unknown.
    pub standard_error: f64,
    /// Whether the true value is known only to be this or larger (censored on the right): a
    /// latency of an overloaded server, whose slowest requests had not ended when the run did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_lower_bound: bool,
}

impl Estimate {
    /// A value known to within a standard error, both in the metric's unit.
    pub fn new(value: f64, standard_error: f64) -> Self {
        Self { value, standard_error, is_lower_bound: false }
    }

    /// An exact value, or one of unknown error.
    pub fn exact(value: f64) -> Self {
        Self::new(value, 0.0)
    }
}

impl Measurement {
    /// No metrics yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with an exact value of one more metric.
    #[must_use]
    pub fn with(self, metric: impl Into<String>, value: f64) -> Self {
        self.with_estimate(metric, Estimate::exact(value))
    }

    /// The same with an estimate of one more metric.
    #[must_use]
    pub fn with_estimate(mut self, metric: impl Into<String>, estimate: Estimate) -> Self {
        self.0.insert(metric.into(), estimate);
        self
    }

    /// The metric's estimate.
    pub fn get(&self, metric: &str) -> Option<Estimate> {
        self.0.get(metric).copied()
    }

    /// The metric's value.
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.get(metric).map(|estimate| estimate.value)
    }

    /// Names and estimates, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Estimate)> {
        self.0.iter().map(|(metric, &estimate)| (metric.as_str(), estimate))
    }
}
