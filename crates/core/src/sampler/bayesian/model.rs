//! The model of one outcome: Gaussian processes of what trials measured, on top of what past studies
//! say, where they say something.

use std::sync::Arc;

use ndarray::{Array1, Array2, Axis};

use super::{
    outcome::{Reading, fit, sample},
    transfer::Trend,
};
use crate::{
    Column,
    gp::{Gp, GpError, Posterior, PosteriorGradient},
    random::Pcg64,
};

/// y(x) = trend(x) + g(x), where g is one of several Gaussian processes, each as likely as the others.
/// Their mixture is seen as the normal distribution with its mean and variance.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    processes: Vec<Gp>,
    trend: Trend,
}

/// What is known of a metric beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Structure {
    /// Some parameter is continuous, or nearly: the most likely process.
    Smooth,
    /// All parameters have a few levels: a metric may change from level to level, and few trials can be
    /// explained in several ways, which are averaged over.
    Table,
}

impl Model {
    /// Of readings. `past` are the processes that past studies have of the same metric.
    pub(super) fn fit(
        readings: &[Reading<'_>],
        columns: &[Column],
        past: &[Arc<Gp>],
        structure: Structure,
    ) -> Result<Self, GpError> {
        let trend = Self::trend(readings, columns, past)?;
        let mut residuals = readings.to_vec();
        for residual in &mut residuals {
            residual.value -= trend.at(residual.point);
        }
        let processes = match structure {
            Structure::Smooth => vec![fit(&residuals, columns)?],
            Structure::Table => sample(&residuals, columns)?,
        };
        Ok(Self { processes, trend })
    }

    fn trend(
        readings: &[Reading<'_>],
        columns: &[Column],
        past: &[Arc<Gp>],
    ) -> Result<Trend, GpError> {
        if past.is_empty() {
            return Ok(Trend::none());
        }
        let points: Vec<&[f64]> = readings.iter().map(|reading| reading.point).collect();
        let values: Vec<f64> = readings.iter().map(|reading| reading.value).collect();
        let own = fit(readings, columns)?.leave_one_out();
        Ok(Trend::learn(&points, &values, &own, past))
    }

    pub(crate) fn at(&self, point: &[f64]) -> Posterior {
        let mut posterior = self.above_trend(point);
        posterior.mean += self.trend.at(point);
        posterior
    }

    fn above_trend(&self, point: &[f64]) -> Posterior {
        let each: Vec<Posterior> = self.processes.iter().map(|gp| gp.posterior_at(point)).collect();
        mixture(each.iter().copied())
    }

    /// What lies on top of the trend at a point, and how much of a change of the trend's one member it lies
    /// on; `None` where it has not one member.
    pub(super) fn beside_trend(&self, point: &[f64]) -> Option<(f64, Posterior)> {
        let mut weights = self.trend.weights();
        let (Some(weight), None) = (weights.next(), weights.next()) else { return None };
        Some((weight, self.above_trend(point)))
    }

    /// At every row of `points` (t × d).
    pub(super) fn at_each(&self, points: &Array2<f64>) -> Vec<Posterior> {
        let each: Vec<Vec<Posterior>> =
            self.processes.iter().map(|gp| gp.posterior(points)).collect();
        let below = self.trend.at_each(points);
        let posterior = |(i, below): (usize, f64)| {
            let Posterior { mean, variance } = mixture(each.iter().map(|of_one| of_one[i]));
            Posterior { mean: mean + below, variance }
        };
        below.into_iter().enumerate().map(posterior).collect()
    }

    /// At a point, and how it changes with that.
    pub(super) fn with_gradient(&self, point: &[f64]) -> (Posterior, PosteriorGradient) {
        let each: Vec<(Posterior, PosteriorGradient)> =
            self.processes.iter().map(|gp| gp.posterior_with_gradient(point)).collect();
        let mut posterior = mixture(each.iter().map(|(of_one, _)| *of_one));
        let share = 1.0 / each.len() as f64;
        let mut slope =
            PosteriorGradient { mean: vec![0.0; point.len()], variance: vec![0.0; point.len()] };
        for (of_one, slope_of_one) in &each {
            let off = of_one.mean - posterior.mean;
            for j in 0..point.len() {
                slope.mean[j] += share * slope_of_one.mean[j];
                slope.variance[j] +=
                    share * (slope_of_one.variance[j] + 2.0 * off * slope_of_one.mean[j]);
            }
        }
        self.trend.add(point, &mut posterior.mean, &mut slope.mean);
        (posterior, slope)
    }

    /// Joint draws of the true values at the rows of `points` (t × d): `count` × t.
    pub(super) fn draws(
        &self,
        points: &Array2<f64>,
        count: usize,
        random: &mut Pcg64,
    ) -> Result<Array2<f64>, GpError> {
        let mut draws = Array2::zeros((0, points.nrows()));
        for (k, gp) in self.processes.iter().enumerate() {
            let m = self.processes.len();
            let its_share = (k + 1) * count / m - k * count / m;
            let drawn = gp.draws(points, its_share, random)?;
            draws.append(Axis(0), drawn.view()).expect("as many columns as points");
        }
        Ok(draws + &Array1::from_vec(self.trend.at_each(points)))
    }

    /// The value at a point less that at another, without noise.
    pub(super) fn difference(&self, point: &[f64], other: &[f64]) -> Posterior {
        let of_one = |gp: &Gp| {
            let (here, there) = (gp.posterior_at(point), gp.posterior_at(other));
            let variance = here.variance + there.variance - 2.0 * gp.covariance(point, other);
            Posterior { mean: here.mean - there.mean, variance: variance.max(0.0) }
        };
        let each: Vec<Posterior> = self.processes.iter().map(of_one).collect();
        let mut difference = mixture(each.iter().copied());
        difference.mean += self.trend.at(point) - self.trend.at(other);
        difference
    }

    /// The variance of what a trial would differ by from the true value, learnt.
    pub(super) fn noise_variance(&self) -> f64 {
        let each = self.processes.iter().map(Gp::noise_variance);
        each.sum::<f64>() / self.processes.len() as f64
    }

    /// On the unit cube, one a column: the geometric means of those of the processes.
    pub(super) fn lengthscales(&self) -> Vec<f64> {
        let each = self.processes.iter().map(|gp| &gp.hyperparameters().lengthscales);
        let d = each.clone().map(Vec::len).max().unwrap_or(0);
        let share = 1.0 / self.processes.len() as f64;
        let log_mean = |j: usize| share * each.clone().map(|of_one| of_one[j].ln()).sum::<f64>();
        (0..d).map(|j| log_mean(j).exp()).collect()
    }

    /// After one more trial with this value, hyperparameters held.
    pub(super) fn with_observation(&self, point: &[f64], value: f64) -> Result<Self, GpError> {
        let residual = value - self.trend.at(point);
        let each = self.processes.iter().map(|gp| gp.with_observation(point, residual));
        let processes = each.collect::<Result<_, _>>()?;
        Ok(Self { processes, trend: self.trend.clone() })
    }
}

/// Mean and variance of a mixture of equal parts.
fn mixture(parts: impl ExactSizeIterator<Item = Posterior> + Clone) -> Posterior {
    let share = 1.0 / parts.len() as f64;
    let mean = share * parts.clone().map(|part| part.mean).sum::<f64>();
    let spread = |part: Posterior| part.variance + (part.mean - mean).powi(2);
    Posterior { mean, variance: share * parts.map(spread).sum::<f64>() }
}
