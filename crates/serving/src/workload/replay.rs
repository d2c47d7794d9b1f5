//! A recorded trace, played again: all of it or a window, as recorded or at another rate.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Load, Schedule, Size, Trace, TraceSource, WorkloadError, error::positive};

/// A recorded trace, played again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// What was recorded.
    pub trace: TraceSource,
    /// Where the window starts, seconds of trace time from the first request.
    #[serde(default)]
    pub start_s: f64,
    /// How far the window reaches, in requests or in seconds of trace time; `None` means to the
    /// end of the trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// How fast it is played.
    #[serde(default)]
    pub rate: ReplayRate,
}

/// How fast a trace is played. All gaps change by one factor, so order and burstiness stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayRate {
    /// As recorded.
    #[default]
    Recorded,
    /// This many times as fast.
    Factor(f64),
    /// With this mean rate over the window, requests/s.
    MeanPerS(f64),
}

impl Replay {
    pub(super) fn schedule(&self) -> Result<Schedule, WorkloadError> {
        let trace = self.trace.trace()?;
        let mut schedule = self.window(trace)?;
        let factor = match self.rate {
            ReplayRate::Recorded => 1.0,
            ReplayRate::Factor(factor) => positive("rate.factor", factor)?,
            ReplayRate::MeanPerS(rate) => {
                let target = positive("rate.mean_per_s", rate)?;
                let recorded = schedule
                    .summary()
                    .rate_per_s()
                    .ok_or_else(|| WorkloadError::NoSpan { trace: self.trace.to_string() })?;
                target / recorded
            }
        };
        for request in &mut schedule.requests {
            request.arrival_s /= factor;
            if !request.arrival_s.is_finite() {
                return Err(WorkloadError::Number {
                    field: "arrival time",
                    value: request.arrival_s,
                    allowed: "finite; raise the rate",
                });
            }
        }
        Ok(schedule)
    }

    /// The requests of the window, times counted from its start.
    fn window(&self, trace: Trace) -> Result<Schedule, WorkloadError> {
        let start_s = self.start_s;
        if !(start_s.is_finite() && start_s >= 0.0) {
            let allowed = "a finite number, 0 or more";
            return Err(WorkloadError::Number { field: "start_s", value: start_s, allowed });
        }
        let span_s = trace.span_s();
        let (count, duration_s) = self.size.map_or(Ok((u32::MAX, f64::INFINITY)), Size::limits)?;
        let mut requests = trace.requests;
        requests.retain_mut(|request| {
            request.arrival_s -= start_s;
            request.arrival_s >= 0.0 && request.arrival_s < duration_s
        });
        let trace = self.trace.to_string();
        if requests.is_empty() {
            return Err(WorkloadError::EmptyWindow { trace, start_s, span_s });
        }
        if let Some(Size::Requests(wanted)) = self.size
            && requests.len() < wanted as usize
        {
            let available = requests.len();
            return Err(WorkloadError::ShortTrace { trace, start_s, wanted, available });
        }
        requests.truncate(count as usize);
        Ok(Schedule { load: Load::Open, requests })
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replay of {}", self.trace)?;
        match self.size {
            None => write!(f, " from {} s to its end", self.start_s)?,
            Some(size) => write!(f, " from {} s, {size}", self.start_s)?,
        }
        match self.rate {
            ReplayRate::Recorded => f.write_str(", at the recorded rate"),
            ReplayRate::Factor(factor) => {
                write!(f, ", {} times as fast as recorded", (factor * 1000.0).round() / 1000.0)
            }
            ReplayRate::MeanPerS(rate) => write!(f, ", at {rate}/s on average"),
        }
    }
}
