//! When requests arrive.

use std::fmt;

use rand_distr::{Distribution, Exp, Gamma};
use serde::{Deserialize, Serialize};
use slotune_core::random::stream;

use super::{Load, MAX_REQUESTS, Size, WorkloadError, error::positive};

/// The law of arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrivals {
    /// A Poisson process: independent, exponential gaps.
    Poisson {
        /// Mean rate, requests/s.
        rate_per_s: f64,
    },
    /// Independent gaps with a gamma law, as `vllm bench serve --burstiness` draws them.
    Gamma {
        /// Mean rate, requests/s.
        rate_per_s: f64,
        /// Shape of the gamma law, 1/CV² of the gaps: below 1 burstier than a Poisson process, at
        /// 1 the same, above 1 more even.
        burstiness: f64,
    },
    /// Equal gaps, the first request at 0.
    Constant {
        /// Rate, requests/s.
        rate_per_s: f64,
    },
    /// A closed loop: the next request goes out when one ends.
    Closed {
        /// Requests in flight.
        concurrency: u32,
    },
}

impl Arrivals {
    /// How requests are released.
    pub fn load(self) -> Load {
        match self {
            Self::Closed { concurrency } => Load::Closed { concurrency },
            Self::Poisson { .. } | Self::Gamma { .. } | Self::Constant { .. } => Load::Open,
        }
    }

    /// Arrival times in seconds, not falling.
    pub(super) fn draw(self, size: Size, seed: u64) -> Result<Vec<f64>, WorkloadError> {
        let mut generator = stream(seed, "workload/arrivals", 0);
        // The i-th arrival, given the one before.
        let mut next: Box<dyn FnMut(u32, f64) -> f64> = match self {
            Self::Poisson { rate_per_s } => {
                let gap = Exp::new(positive("rate_per_s", rate_per_s)?)
                    .expect("a positive finite rate has an exponential law");
                Box::new(move |_, before| before + gap.sample(&mut generator))
            }
            Self::Gamma { rate_per_s, burstiness } => {
                let shape = positive("burstiness", burstiness)?;
                let scale = positive("rate_per_s", rate_per_s)?.recip() / shape;
                let gap = Gamma::new(shape, scale).map_err(|_| WorkloadError::Number {
                    field: "burstiness",
                    value: burstiness,
                    allowed: "such that 1 / (rate_per_s x burstiness) is a finite number",
                })?;
                Box::new(move |_, before| before + gap.sample(&mut generator))
            }
            Self::Constant { rate_per_s } => {
                let rate = positive("rate_per_s", rate_per_s)?;
                Box::new(move |i, _| f64::from(i) / rate)
            }
            Self::Closed { concurrency: 0 } => {
                return Err(WorkloadError::Number {
                    field: "concurrency",
                    value: 0.0,
                    allowed: "1 or more",
                });
            }
            Self::Closed { .. } => {
                if let Size::DurationS(_) = size {
                    return Err(WorkloadError::ClosedLoopDuration);
                }
                Box::new(|_, _| 0.0)
            }
        };
        let (count, end_s) = size.limits()?;
        let mut arrivals = Vec::new();
        let mut before = 0.0;
        for i in 0..count {
            before = next(i, before);
            if end_s.is_finite() && before >= end_s {
                return if arrivals.is_empty() {
                    Err(WorkloadError::NoArrivals { duration_s: end_s })
                } else {
                    Ok(arrivals)
                };
            }
            if !before.is_finite() {
                return Err(WorkloadError::Number {
                    field: "arrival time",
                    value: before,
                    allowed: "finite; raise rate_per_s, or burstiness",
                });
            }
            arrivals.push(before);
        }
        if end_s.is_finite() {
            Err(WorkloadError::TooMany { most: MAX_REQUESTS })
        } else {
            Ok(arrivals)
        }
    }
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poisson { rate_per_s } => write!(f, "Poisson arrivals at {rate_per_s}/s"),
            Self::Gamma { rate_per_s, burstiness } => {
                write!(f, "gamma arrivals at {rate_per_s}/s (burstiness {burstiness})")
            }
            Self::Constant { rate_per_s } => write!(f, "even arrivals at {rate_per_s}/s"),
            Self::Closed { concurrency } => write!(f, "{concurrency} in flight"),
        }
    }
}
