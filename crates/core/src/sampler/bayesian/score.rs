//! How promising a point is: log expected improvement + log P(every target is met) + log P(valid), less
//! the price of a trial where cost matters. Of two goals, the expected improvement is that of the
//! hypervolume.

use std::{borrow::Borrow, cmp::Ordering};

use super::surrogate::{Improvement, Limited, Surrogate, matrix};
use crate::{
    Bound,
    acquisition::{Acquisition, log_expected_improvement, log_feasibility},
    gp::{Posterior, PosteriorGradient},
};

/// Standard deviations below this are taken for it, so that a division by them is defined.
const SMALLEST_DEVIATION: f64 = 1e-100;

/// Points from which on the score is computed by two threads.
const WORTH_A_THREAD: usize = 512;

/// How promising a point is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Score {
    /// Whether the point can likely be measured.
    pub(super) likely_valid: bool,
    value: f64,
}

impl Score {
    /// First by whether the point can likely be measured; total, so that it can sort.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let by_validity = self.likely_valid.cmp(&other.likely_valid);
        by_validity.then(self.value.total_cmp(&other.value))
    }

    /// Whether it is better by more than `margin`.
    pub(super) fn exceeds(&self, other: &Self, margin: f64) -> bool {
        self.compare(&Self { value: other.value + margin, ..*other }).is_gt()
    }
}

impl Surrogate {
    /// How promising each point is.
    pub(super) fn scores(&self, points: &[impl Borrow<[f64]> + Sync]) -> Vec<Score> {
        let (left, right) = points.split_at(points.len() / 2);
        let (mut scores, others) = self.threads.both(
            points.len() >= WORTH_A_THREAD,
            || self.scores_of_half(left),
            || self.scores_of_half(right),
        );
        scores.extend(others);
        scores
    }

    fn scores_of_half(&self, points: &[impl Borrow<[f64]>]) -> Vec<Score> {
        let Some(d) = points.first().map(|point| point.borrow().len()) else { return Vec::new() };
        let points = matrix(points, d);
        let mut values = vec![0.0; points.nrows()];
        if self.is_measured() {
            if let Some(improvement) = &self.improvement {
                let first = improvement.model.at_each(&points);
                let second = self.tradeoff.as_ref().map(|t| (t, t.second.model.at_each(&points)));
                for (i, (value, &posterior)) in values.iter_mut().zip(&first).enumerate() {
                    *value += match &second {
                        None => improvement.expected(posterior).value,
                        Some((tradeoff, second)) => {
                            tradeoff.expected(improvement, [posterior, second[i]]).value
                        }
                    };
                }
            }
            for Limited { model, bound, .. } in &self.constraints {
                for (value, posterior) in values.iter_mut().zip(model.at_each(&points)) {
                    *value += feasibility(posterior, *bound).value;
                }
            }
        } else {
            // Nothing is known but where trials were: go where none was.
            for (value, point) in values.iter_mut().zip(points.rows()) {
                let squared = |other: &Vec<f64>| -> f64 {
                    point.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum()
                };
                *value += 0.5 * self.tried.iter().map(squared).fold(f64::INFINITY, f64::min).ln();
            }
        }
        if let Some(price) = &self.price {
            for (value, price) in values.iter_mut().zip(price.at_each(&points)) {
                *value -= price;
            }
        }
        let score = |(value, valid): (f64, f64)| Score {
            likely_valid: valid >= 0.5,
            value: value + valid.ln(),
        };
        values.into_iter().zip(self.validity.probabilities(&points)).map(score).collect()
    }

    /// The score of measuring an evaluated point once more: that of a new point there, discounted by
    /// what noise lets one more measurement tell (the augmented expected improvement of Huang, Allen,
    /// Notz and Zeng 2006, equation 16), of the outcome of which it tells most.
    pub(super) fn repeated(&self, score: Score, point: &[f64]) -> Score {
        let second = self.tradeoff.iter().map(|tradeoff| &tradeoff.second);
        let goals = self.improvement.iter().chain(second).map(|improvement| &improvement.model);
        let models = goals.chain(self.constraints.iter().map(|limited| &limited.model));
        let told = models.map(|model| {
            let (known, noise) = (model.at(point).variance, model.noise_variance());
            1.0 - (noise / (known + noise)).sqrt()
        });
        Score { value: score.value + told.fold(0.0, f64::max).ln(), ..score }
    }

    /// The part of the score that has a slope, and its gradient; `None` while nothing has been
    /// measured.
    pub(super) fn value_and_gradient(&self, point: &[f64]) -> Option<(f64, Vec<f64>)> {
        if !self.is_measured() {
            return None;
        }
        let (mut value, mut gradient) = (0.0, vec![0.0; point.len()]);
        let mut add = |(posterior, slope): &Slope, acquisition: Acquisition| {
            value += acquisition.value;
            for (j, entry) in gradient.iter_mut().enumerate() {
                // d deviation = d variance / (2 deviation).
                *entry += acquisition.d_mean * slope.mean[j]
                    + acquisition.d_deviation * slope.variance[j] / (2.0 * deviation(*posterior));
            }
        };
        if let Some(improvement) = &self.improvement {
            let first = improvement.model.with_gradient(point);
            match &self.tradeoff {
                None => add(&first, improvement.expected(first.0)),
                Some(tradeoff) => {
                    let second = tradeoff.second.model.with_gradient(point);
                    let expected = tradeoff.expected(improvement, [first.0, second.0]);
                    let [of_first, of_second] = expected.parts();
                    add(&first, of_first);
                    add(&second, of_second);
                }
            }
        }
        for Limited { model, bound, .. } in &self.constraints {
            let here = model.with_gradient(point);
            add(&here, feasibility(here.0, *bound));
        }
        if let Some(price) = &self.price {
            let (at_point, slope) = price.with_gradient(point);
            value -= at_point;
            gradient.iter_mut().zip(slope).for_each(|(entry, slope)| *entry -= slope);
        }
        Some((value, gradient))
    }
}

impl Improvement {
    /// How much better than the incumbent, and what is least worth having, a point may be.
    fn expected(&self, posterior: Posterior) -> Acquisition {
        let to_beat = self.direction.as_cost(self.direction.as_cost(self.best) - self.least_gain);
        log_expected_improvement(posterior.mean, deviation(posterior), to_beat, self.direction)
    }
}

/// A posterior and how it changes with the point.
type Slope = (Posterior, PosteriorGradient);

/// log P(a bound is met).
pub(super) fn feasibility(posterior: Posterior, bound: Bound) -> Acquisition {
    log_feasibility(posterior.mean, deviation(posterior), bound)
}

pub(super) fn deviation(posterior: Posterior) -> f64 {
    posterior.variance.sqrt().max(SMALLEST_DEVIATION)
}
