//! Acquisition functions: how promising a point is, from the posterior there.
//!
//! Everything is in logarithms, so that a point whose chance of improvement is 10⁻¹⁰⁰ still has a
//! slope to follow, and comes with derivatives with respect to the posterior's mean and standard
//! deviation.

mod hypervolume;
mod special;

pub use hypervolume::{JointAcquisition, log_expected_hypervolume_improvement};
use special::{log_h, log_ndtr};

use crate::{Bound, Direction};

/// The logarithm of an acquisition function, and how it changes with the posterior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acquisition {
    /// Its logarithm.
    pub value: f64,
    /// d value / d mean.
    pub d_mean: f64,
    /// d value / d standard deviation.
    pub d_deviation: f64,
}

/// log E max(improvement over `best`, 0) of a normal variable: LogEI (Ament et al. 2023,
/// arXiv:2310.20708).
///
/// `mean`, `deviation` (a standard deviation, above 0) and `best` are in one unit. Minimising,
/// z = (best − mean) / deviation, maximising its negative; the result is log deviation + log h(z).
pub fn log_expected_improvement(
    mean: f64,
    deviation: f64,
    best: f64,
    direction: Direction,
) -> Acquisition {
    let sign = match direction {
        Direction::Minimise => 1.0,
        Direction::Maximise => -1.0,
    };
    let z = sign * (best - mean) / deviation;
    let log_h = log_h(z);
    Acquisition {
        value: deviation.ln() + log_h.value,
        d_mean: -sign * log_h.derivative / deviation,
        // (1 − z Φ/h) / σ = φ / (σ h), without the cancellation.
        d_deviation: log_ndtr(z).derivative * log_h.derivative / deviation,
    }
}

/// log of the probability that a normal variable meets `bound`.
///
/// `mean`, `deviation` (a standard deviation, above 0) and the bound are in one unit.
pub fn log_feasibility(mean: f64, deviation: f64, bound: Bound) -> Acquisition {
    let sign = match bound {
        Bound::AtMost(_) => 1.0,
        Bound::AtLeast(_) => -1.0,
    };
    let z = sign * (bound.value() - mean) / deviation;
    let log_ndtr = log_ndtr(z);
    Acquisition {
        value: log_ndtr.value,
        d_mean: -sign * log_ndtr.derivative / deviation,
        d_deviation: -z * log_ndtr.derivative / deviation,
    }
}

#[cfg(test)]
mod tests;
