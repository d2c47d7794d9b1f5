//! What one run of another tool is found to be.

use slotune_core::{Configuration, Measurement, Reason};
use slotune_serving::{
    Caveat, CaveatClass, Load, Run,
    metrics::{Metric, Statistic},
};

/// One run of another tool.
#[derive(Debug)]
pub(super) struct Finding {
    /// What it is called.
    pub(super) label: String,
    /// The tool, as its user calls it.
    pub(super) tool: &'static str,
    /// When it was begun, RFC 3339 in UTC, where the file tells.
    pub(super) begun: Option<String>,
    /// The model served, where the file tells.
    pub(super) model: Option<String>,
    /// What was sent, in words, where the file tells.
    pub(super) load: Option<String>,
    /// Engine arguments that the file tells.
    pub(super) parameters: Configuration,
    /// How long the run took, seconds.
    pub(super) cost_s: f64,
    pub(super) evidence: Evidence,
}

/// What a file holds of a run.
#[derive(Debug)]
pub(super) enum Evidence {
    /// What happened to each request.
    Requests(Box<Run>, Load),
    /// The tool's own aggregates, and what limits them.
    Aggregates(Measurement, Vec<Caveat>),
    /// Why there was no run.
    Failure(Reason),
}

/// The metric that a statistic of some latency is.
pub(super) type LatencyMetric = fn(Statistic) -> Metric;

/// A note that the tool's file cannot tell what slotune would.
pub(super) fn other_tool(message: impl Into<String>) -> Caveat {
    Caveat::new(CaveatClass::OtherTool, message)
}

/// The note on a run of which no requests are known.
pub(super) fn aggregates_only(tool: &str, remedy: &str) -> Caveat {
    other_tool(format!(
        "the metrics are the aggregates of {tool}, with its own definitions and without errors; {remedy}"
    ))
}
