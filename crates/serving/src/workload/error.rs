//! Why a workload gives no schedule.

use super::TraceError;

/// Why a workload gives no schedule.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// A number is out of range, NaN or infinite.
    #[error("workload: `{field}` is {value}, but must be {allowed}")]
    Number {
        /// The field.
        field: &'static str,
        /// The number seen.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// A length law gives requests without tokens.
    #[error("workload: {side} lengths may be 0 tokens; every length must be 1 token or more")]
    NoTokens {
        /// `prompt` or `output`.
        side: &'static str,
    },
    /// A uniform law has its ends swapped.
    #[error(
        "workload: {side} lengths go from min_tokens {min_tokens} to max_tokens {max_tokens}; swap them"
    )]
    Crossed {
        /// `prompt` or `output`.
        side: &'static str,
        /// The lower end seen.
        min_tokens: u32,
        /// The upper end seen.
        max_tokens: u32,
    },
    /// A class's share is no share.
    #[error("workload: the share of class `{class}` is {share}, but must be from 0 to 1")]
    Share {
        /// The class.
        class: &'static str,
        /// The share seen.
        share: f64,
    },
    /// The shares of all classes do not come to 1.
    #[error("workload: the shares of the classes come to {total}, but must come to 1")]
    Shares {
        /// Their sum.
        total: f64,
    },
    /// The requests are kept with each trial, and no law or trace of them is.
    #[error(
        "workload: the set knows the requests of each trial alone ({description}); write a trace or a law \
         of arrivals and lengths"
    )]
    OfEachTrial {
        /// What is known of them together.
        description: String,
    },
    /// A closed loop has no arrival times that a duration could cut.
    #[error(
        "workload: a closed loop has no arrivals to cut at a duration; give `size` in requests"
    )]
    ClosedLoopDuration,
    /// The first arrival falls after the end.
    #[error("workload: no request arrives within {duration_s} s; raise the rate or the duration")]
    NoArrivals {
        /// The duration, seconds.
        duration_s: f64,
    },
    /// The workload is longer than a run can hold.
    #[error("workload: more than {most} requests; lower the rate or the duration")]
    TooMany {
        /// The limit.
        most: u32,
    },
    /// The window of a replay holds no request.
    #[error(
        "workload: {trace} has no request from {start_s} s on within the window; it spans {span_s} s"
    )]
    EmptyWindow {
        /// The trace.
        trace: String,
        /// Where the window starts, seconds.
        start_s: f64,
        /// How long the trace is, seconds.
        span_s: f64,
    },
    /// The trace ends before the window has its requests.
    #[error(
        "workload: {trace} has {available} requests from {start_s} s on, not {wanted}; ask for fewer or start earlier"
    )]
    ShortTrace {
        /// The trace.
        trace: String,
        /// Where the window starts, seconds.
        start_s: f64,
        /// Requests asked for.
        wanted: u32,
        /// Requests from there to the end.
        available: usize,
    },
    /// All requests of the window arrive at once, so no rate can be set.
    #[error(
        "workload: all requests of the window of {trace} arrive at once, so they have no mean rate to scale; widen the window or replay as recorded"
    )]
    NoSpan {
        /// The trace.
        trace: String,
    },
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

/// The number, if it is finite and above 0.
pub(super) fn positive(field: &'static str, value: f64) -> Result<f64, WorkloadError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(WorkloadError::Number { field, value, allowed: "a finite number above 0" })
    }
}
