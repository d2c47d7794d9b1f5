//! Two goals at once: by how much a point is expected to enlarge what a front dominates.

use super::{Acquisition, log_expected_improvement, special::log_ndtr};
use crate::{Direction, Front};

/// Strips narrower than this, in the unit in which Φ bends, are integrated by quadrature. Of wider ones
/// the two ends differ enough to be subtracted.
const NARROW: f64 = 0.1;

/// Nodes in [−1, 1] and weights, with sum 1, of the Gauss–Legendre rule of three points: exact to 1e-12
/// over a narrow strip.
const RULE: [(f64, f64); 3] = [
    (-0.774_596_669_241_483_4, 5.0 / 18.0),
    (0.0, 8.0 / 18.0),
    (0.774_596_669_241_483_4, 5.0 / 18.0),
];

/// The logarithm of an acquisition function of two independent posteriors, and how it changes with
/// each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointAcquisition {
    /// Its logarithm.
    pub value: f64,
    /// d value / d mean of each.
    pub d_mean: [f64; 2],
    /// d value / d standard deviation of each.
    pub d_deviation: [f64; 2],
}

impl JointAcquisition {
    /// As two functions of one posterior each, whose values and slopes add up to it.
    pub(crate) fn parts(self) -> [Acquisition; 2] {
        let part = |k: usize, value: f64| Acquisition {
            value,
            d_mean: self.d_mean[k],
            d_deviation: self.d_deviation[k],
        };
        [part(0, self.value), part(1, 0.0)]
    }
}

/// log E(growth of the hypervolume of `front`) by a point whose two costs are independent normal
/// variables: exact (Emmerich, Deutz and Klinkenberg 2011, doi:10.1109/CEC.2011.5949880; in this form
/// Yang et al. 2019, doi:10.1007/s10898-019-00798-7), in logarithms after Ament et al. 2023.
///
/// `means` and `deviations` (standard deviations, above 0) are in the units of the front's costs. Between
/// the first costs aᵢ of the front, its ends −∞ and the reference, the plane falls into strips, where
/// the front leaves free what is below the second cost bᵢ:
/// Σᵢ E length([max(Y₁, aᵢ), aᵢ₊₁]) · E max(bᵢ − Y₂, 0). With an empty front the product of the expected
/// improvements on the reference is left. No term is negative, so none cancels another.
pub fn log_expected_hypervolume_improvement(
    means: [f64; 2],
    deviations: [f64; 2],
    front: &Front,
) -> JointAcquisition {
    let improvement = |k: usize, best: f64| {
        log_expected_improvement(means[k], deviations[k], best, Direction::Minimise)
    };
    let reference = front.reference();
    let mut strips: Vec<[Acquisition; 2]> = Vec::with_capacity(front.points().len() + 1);
    let mut left: Option<(f64, Acquisition)> = None;
    let mut free_below = reference[1];
    for &[cost, next_free_below] in front.points().iter().chain([&reference]) {
        let right = (cost, improvement(0, cost));
        let length = left.map_or(right.1, |left| log_length(means[0], deviations[0], left, right));
        strips.push([length, improvement(1, free_below)]);
        (left, free_below) = (Some(right), next_free_below);
    }
    log_sum(&strips)
}

/// log E(length of what is above a normal variable, in a strip): of what is below the right end less
/// what is below the left. Of each end the place, and the log expected improvement on it.
fn log_length(
    mean: f64,
    deviation: f64,
    (from, left): (f64, Acquisition),
    (to, right): (f64, Acquisition),
) -> Acquisition {
    if !right.value.is_finite() {
        // Beyond the range of numbers even in logarithms: so is the left end.
        return right;
    }
    let z = (from - mean) / deviation;
    let width = (to - from) / deviation;
    // Far below its mean, a normal distribution function bends within 1/|z|.
    if width * (-z).max(1.0) < NARROW {
        // ∫ Φ over the strip, and its derivatives −∫ φ and −∫ z φ.
        let nodes = RULE.map(|(node, weight)| (z + width * (1.0 + node) / 2.0, weight));
        let middle = log_ndtr(nodes[1].0).value;
        let (mut sum, mut d_mean, mut d_deviation) = (0.0, 0.0, 0.0);
        for (z, weight) in nodes {
            let log_probability = log_ndtr(z);
            let share = weight * (log_probability.value - middle).exp();
            sum += share;
            d_mean -= share * log_probability.derivative / deviation;
            d_deviation -= share * log_probability.derivative * z / deviation;
        }
        let value = (to - from).ln() + middle + sum.ln();
        Acquisition { value, d_mean: d_mean / sum, d_deviation: d_deviation / sum }
    } else {
        // No less than this, since log EI is concave in what is to be improved on: where the ends are so
        // far away that rounding makes them one, the difference comes from the slope.
        let ratio = (right.value - left.value).max(-right.d_mean * (to - from));
        let derivative = |right: f64, left: f64| right + (right - left) / ratio.exp_m1();
        Acquisition {
            value: right.value + (-(-ratio).exp_m1()).ln(),
            d_mean: derivative(right.d_mean, left.d_mean),
            d_deviation: derivative(right.d_deviation, left.d_deviation),
        }
    }
}

/// log Σ of products, each of a function of the first and one of the second posterior.
fn log_sum(products: &[[Acquisition; 2]]) -> JointAcquisition {
    let value = |[first, second]: &[Acquisition; 2]| first.value + second.value;
    let largest = products.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
    let mut sum = JointAcquisition { value: 0.0, d_mean: [0.0; 2], d_deviation: [0.0; 2] };
    if largest.is_finite() {
        for product in products {
            let share = (value(product) - largest).exp();
            sum.value += share;
            for (k, factor) in product.iter().enumerate() {
                sum.d_mean[k] += share * factor.d_mean;
                sum.d_deviation[k] += share * factor.d_deviation;
            }
        }
        sum.d_mean = sum.d_mean.map(|derivative| derivative / sum.value);
        sum.d_deviation = sum.d_deviation.map(|derivative| derivative / sum.value);
    }
    JointAcquisition { value: largest + sum.value.ln(), ..sum }
}
