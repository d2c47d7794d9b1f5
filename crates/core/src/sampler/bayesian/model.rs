//! The model of one outcome: a Gaussian process of what trials measured, on top of what past
//! studies say, where they say something.

use std::sync::Arc;

use ndarray::{Array1, Array2};

use super::{
    outcome::{Reading, fit},
    transfer::Trend,
};
use crate::{
    Column,
    gp::{Gp, GpError, Posterior, PosteriorGradient},
    random::Pcg64,
};

/// y(x) = trend(x) + g(x), where g is a Gaussian process.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    gp: Gp,
    trend: Trend,
}

impl Model {
    /// Of readings; no value counts for more than `ceiling`. `past` are the processes that past
    /// studies have of the same metric.
    pub(super) fn fit(
        readings: &[Reading<'_>],
        columns: &[Column],
        ceiling: f64,
        past: &[Arc<Gp>],
    ) -> Result<Self, GpError> {
        let gp = fit(readings, columns, ceiling)?;
        if past.is_empty() {
            return Ok(Self { gp, trend: Trend::none() });
        }
        let points: Vec<&[f64]> = readings.iter().map(|reading| reading.point).collect();
        let values: Vec<f64> = readings.iter().map(|reading| reading.value.min(ceiling)).collect();
        let trend = Trend::learn(&points, &values, &gp.leave_one_out(), past);
        if trend.is_none() {
            return Ok(Self { gp, trend });
        }
        let mut residuals = readings.to_vec();
        for residual in &mut residuals {
            residual.value = residual.value.min(ceiling) - trend.at(residual.point);
        }
        Ok(Self { gp: fit(&residuals, columns, f64::INFINITY)?, trend })
    }

    pub(crate) fn at(&self, point: &[f64]) -> Posterior {
        let Posterior { mean, variance } = self.gp.posterior_at(point);
        Posterior { mean: mean + self.trend.at(point), variance }
    }

    /// At every row of `points` (t × d).
    pub(super) fn at_each(&self, points: &Array2<f64>) -> Vec<Posterior> {
        let mut posteriors = self.gp.posterior(points);
        for (posterior, below) in posteriors.iter_mut().zip(self.trend.at_each(points)) {
            posterior.mean += below;
        }
        posteriors
    }

    pub(super) fn with_gradient(&self, point: &[f64]) -> (Posterior, PosteriorGradient) {
        let (mut posterior, mut slope) = self.gp.posterior_with_gradient(point);
        self.trend.add(point, &mut posterior.mean, &mut slope.mean);
        (posterior, slope)
    }

    /// Joint draws without noise at the rows of `points` (t × d): `count` × t.
    pub(super) fn draws(
        &self,
        points: &Array2<f64>,
        count: usize,
        random: &mut Pcg64,
    ) -> Result<Array2<f64>, GpError> {
        let below = Array1::from_vec(self.trend.at_each(points));
        Ok(self.gp.draws(points, count, random)? + &below)
    }

    /// Without noise, between two points.
    pub(super) fn covariance(&self, a: &[f64], b: &[f64]) -> f64 {
        self.gp.covariance(a, b)
    }

    /// The variance of what a trial would differ by from the true value, learnt.
    pub(super) fn noise_variance(&self) -> f64 {
        self.gp.noise_variance()
    }

    /// On the unit cube, one a column.
    pub(super) fn lengthscales(&self) -> &[f64] {
        &self.gp.hyperparameters().lengthscales
    }

    /// After one more trial with this value, hyperparameters held.
    pub(super) fn with_observation(&self, point: &[f64], value: f64) -> Result<Self, GpError> {
        let gp = self.gp.with_observation(point, value - self.trend.at(point))?;
        Ok(Self { gp, trend: self.trend.clone() })
    }
}
