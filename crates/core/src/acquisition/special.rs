//! Logarithms of normal probabilities, accurate far into the tail.
//!
//! φ and Φ are the standard normal density and distribution function.

use std::f64::consts::{FRAC_1_SQRT_2, PI, TAU};

/// Below this, h and Φ are taken from their asymptotic series in 1/z².
const TAIL: f64 = -15.0;

/// A function's value and its derivative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WithDerivative {
    /// The value.
    pub(super) value: f64,
    /// The derivative with respect to the argument.
    pub(super) derivative: f64,
}

/// log h(z) with h(z) = φ(z) + z Φ(z), the expected improvement of a standard normal (Ament et al.,
/// 2023, arXiv:2310.20708, equation 9 and appendix A.1), and d log h / dz = Φ(z) / h(z).
///
/// In the tail the series of Mills' ratio replaces the paper's last two branches: it is exact to
/// rounding there, and so is its derivative.
pub(super) fn log_h(z: f64) -> WithDerivative {
    if z > -1.0 {
        let (density, probability) = (phi(z), ndtr(z));
        let h = density + z * probability;
        WithDerivative { value: h.ln(), derivative: probability / h }
    } else if z > TAIL {
        // Φ/φ, so that h/φ = 1 + z Φ/φ.
        let mills = (PI / 2.0).sqrt() * erfcx(-z * FRAC_1_SQRT_2);
        let h = 1.0 + z * mills;
        WithDerivative { value: log_phi(z) + h.ln(), derivative: mills / h }
    } else {
        let Tail { mills, h } = Tail::at(z);
        // Both series are in units that cancel: mills = −Φ z/φ and h = h z²/φ.
        let value = log_phi(z) - 2.0 * (-z).ln() + h.ln();
        WithDerivative { value, derivative: -z * mills / h }
    }
}

/// log Φ(z), and its derivative φ(z) / Φ(z).
pub(super) fn log_ndtr(z: f64) -> WithDerivative {
    if z > 0.0 {
        let below = ndtr(-z);
        WithDerivative { value: (-below).ln_1p(), derivative: phi(z) / (1.0 - below) }
    } else if z > TAIL {
        let mills = (PI / 2.0).sqrt() * erfcx(-z * FRAC_1_SQRT_2);
        WithDerivative { value: log_phi(z) + mills.ln(), derivative: 1.0 / mills }
    } else {
        let Tail { mills, .. } = Tail::at(z);
        WithDerivative { value: log_phi(z) - (-z).ln() + mills.ln(), derivative: -z / mills }
    }
}

/// Φ(z).
fn ndtr(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// φ(z).
fn phi(z: f64) -> f64 {
    (-0.5 * z * z).exp() / TAU.sqrt()
}

fn log_phi(z: f64) -> f64 {
    -0.5 * z * z - 0.5 * TAU.ln()
}

/// exp(x²) erfc(x) for 0 <= x <= 15/√2.
fn erfcx(x: f64) -> f64 {
    // x² in two parts, since exp would turn the rounding of a large square into a relative error.
    let high = x * x;
    let low = x.mul_add(x, -high);
    high.exp() * (1.0 + low) * libm::erfc(x)
}

/// Asymptotic series at z <= [`TAIL`].
struct Tail {
    /// `−z Φ(z) / φ(z) = Σ_k (−1)^k (2k − 1)!! / z^2k`.
    mills: f64,
    /// `z² h(z) / φ(z) = Σ_k (−1)^k (2k + 1)!! / z^2k`.
    h: f64,
}

impl Tail {
    fn at(z: f64) -> Self {
        /// With 12 terms the remainder is below rounding at −15.
        const TERMS: u32 = 12;
        let inverse_square = 1.0 / (z * z);
        let (mut mills, mut h, mut term) = (0.0, 0.0, 1.0);
        for k in 0..TERMS {
            mills += term;
            let odd = f64::from(2 * k + 1);
            h += term * odd;
            term *= -odd * inverse_square;
        }
        Self { mills, h }
    }
}
