//! What the clients send: arrivals and lengths, drawn from laws or replayed from a trace.
//!
//! A [`Workload`] is plain data; [`Workload::schedule`] makes it the list of requests to send. The
//! same workload gives the same schedule, and so the same load for every trial of a study.

mod arrivals;
mod error;
mod length_class;
mod lengths;
mod redraw;
mod replay;
mod schedule;
mod trace;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use arrivals::Arrivals;
pub use error::WorkloadError;
pub use length_class::LengthClass;
pub use lengths::{LengthLaw, Lengths};
pub use replay::{Replay, ReplayRate};
pub use schedule::{Load, PromptSegment, RequestSpec, Schedule, ScheduleSummary};
pub use trace::{Trace, TraceError, TraceSource};

/// Most requests of one schedule; a typing error in a rate should not fill the memory.
pub(crate) const MAX_REQUESTS: u32 = 10_000_000;

/// What the clients send. Its text is one line that says it all:
///
/// ```
/// use slotune_serving::workload::{Arrivals, LengthLaw, Lengths, Size, Synthetic, Workload};
/// let workload = Workload::Synthetic(Synthetic {
///     arrivals: Arrivals::Poisson { rate_per_s: 6.0 },
///     lengths: Lengths::Independent {
///         prompt: LengthLaw::Uniform { min_tokens: 64, max_tokens: 512 },
///         output: LengthLaw::Fixed(150),
///     },
///     size: Size::Requests(300),
///     seed: 7,
/// });
/// assert_eq!(
///     workload.to_string(),
///     "300 requests, Poisson arrivals at 6/s, prompts 64 to 512 tokens, outputs 150 tokens, seed 7"
/// );
/// assert_eq!(workload.schedule()?.requests.len(), 300);
/// # Ok::<(), slotune_serving::workload::WorkloadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Workload {
    /// Drawn from laws.
    Synthetic(Synthetic),
    /// A recorded trace, played again.
    Replay(Replay),
    /// What was sent is known of each trial alone, such as of what other tools measured: trials may have
    /// served different loads, and only those that served the same tell configurations apart.
    OfEachTrial {
        /// What is known of them together, in words.
        description: String,
    },
}

/// A workload drawn from laws.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synthetic {
    /// When requests arrive.
    pub arrivals: Arrivals,
    /// How long they are.
    pub lengths: Lengths,
    /// How many they are.
    pub size: Size,
    /// Root of the random streams of arrivals and lengths.
    pub seed: u64,
}

/// How far a workload reaches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// This many requests.
    Requests(u32),
    /// All requests that arrive within this many seconds.
    DurationS(f64),
}

impl Workload {
    /// The requests to send, decided before the run. Reads the trace or lengths file, if there is
    /// one.
    ///
    /// # Errors
    /// [`WorkloadError`] names the field at fault, or the file, line and column.
    pub fn schedule(&self) -> Result<Schedule, WorkloadError> {
        match self {
            Self::Synthetic(synthetic) => synthetic.schedule(),
            Self::Replay(replay) => replay.schedule(),
            Self::OfEachTrial { description } => {
                Err(WorkloadError::OfEachTrial { description: description.clone() })
            }
        }
    }

    /// Whether requests are known to go out at their times, whatever the server does: no server then has more
    /// throughput than they ask for.
    pub fn is_open_loop(&self) -> bool {
        match self {
            Self::Synthetic(synthetic) => synthetic.arrivals.load() == Load::Open,
            Self::Replay(_) => true,
            Self::OfEachTrial { .. } => false,
        }
    }
}

impl Synthetic {
    fn schedule(&self) -> Result<Schedule, WorkloadError> {
        let arrivals = self.arrivals.draw(self.size, self.seed)?;
        let lengths = self.lengths.draw(arrivals.len(), self.seed)?;
        let requests = arrivals
            .into_iter()
            .zip(lengths)
            .map(|(arrival_s, lengths)| RequestSpec {
                arrival_s,
                prompt_tokens: lengths.prompt_tokens,
                output_tokens: lengths.output_tokens,
                shared_prefix: Vec::new(),
            })
            .collect();
        Ok(Schedule { load: self.arrivals.load(), requests })
    }
}

impl Size {
    /// Most requests, and the time before which they arrive, seconds.
    fn limits(self) -> Result<(u32, f64), WorkloadError> {
        match self {
            Self::Requests(0) => Err(WorkloadError::Number {
                field: "size.requests",
                value: 0.0,
                allowed: "1 or more",
            }),
            Self::Requests(requests) if requests > MAX_REQUESTS => {
                Err(WorkloadError::TooMany { most: MAX_REQUESTS })
            }
            Self::Requests(requests) => Ok((requests, f64::INFINITY)),
            Self::DurationS(duration_s) => {
                Ok((MAX_REQUESTS, error::positive("size.duration_s", duration_s)?))
            }
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synthetic(Synthetic { arrivals, lengths, size, seed }) => {
                write!(f, "{size}, {arrivals}, {lengths}, seed {seed}")
            }
            Self::Replay(replay) => replay.fmt(f),
            Self::OfEachTrial { description } => {
                write!(f, "requests of each trial's own: {description}")
            }
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests(requests) => write!(f, "{requests} requests"),
            Self::DurationS(duration_s) => write!(f, "{duration_s} s"),
        }
    }
}

#[cfg(test)]
mod tests;
