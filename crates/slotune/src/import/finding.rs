//! What one run of another tool is found to be.

use slotune_core::{Configuration, Measurement, Reason};
use slotune_serving::{
    Caveat, CaveatClass, Load, RequestRecord, Run, ServerFacts,
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

/// What a run is whose requests are known. Their times, on any clock, count from when the first was to be
/// sent from now on.
pub(super) fn requests(
    mut records: Vec<RequestRecord>,
    load: Load,
    cost_s: f64,
    caveats: Vec<Caveat>,
) -> Evidence {
    let start_s = records.iter().map(|record| record.intended_s).fold(f64::INFINITY, f64::min);
    for record in &mut records {
        let times = [&mut record.intended_s, &mut record.sent_s].into_iter();
        let times = times.chain(&mut record.first_token_s).chain(&mut record.last_token_s);
        for time_s in times.chain(&mut record.chunk_times_s) {
            *time_s -= start_s;
        }
    }
    let end_s = records.iter().filter_map(|record| record.last_token_s).fold(0.0, f64::max);
    let (server, timeline, client) = (ServerFacts::default(), vec![], None);
    let run = Run { records, end_s, cost_s, server, timeline, client, caveats };
    Evidence::Requests(Box::new(run), load)
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
