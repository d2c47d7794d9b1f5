//! Gaussian-process regression with exact inference.
//!
//! | symbol | shape | what |
//! |---|---|---|
//! | n, d, t | | training points, columns, test points |
//! | x | n × d | points of the unit cube, one a row |
//! | y | n | targets; inside, standardised to mean 0 and standard deviation 1 |
//! | l | d | lengthscales |
//! | s | | outputscale, a variance; 1 in fits, since targets are standardised |
//! | v, V | , n × n | learned noise variance; V = v I + the known noise variances on the diagonal |
//! | m | | constant mean |
//! | θ | d + 2 | (log l, log v, m) |
//! | a, b | d | parameters of the warp 1 − (1 − xᵃ)ᵇ of ordered columns, in draws alone |
//! | K | n × n | covariances `k(x_i, x_j)` |
//! | L | n × n | Cholesky factor: K + V = L Lᵀ |
//! | α | n | (K + V)⁻¹ (y − m) |
//!
//! A [`GpSpec`] says how columns are compared, [`GpSpec::fit`] finds the hyperparameters, and only
//! the fitted [`Gp`] can predict:
//!
//! ```
//! use ndarray::array;
//! use slotune_core::{Column, gp::{GpSpec, Observations}};
//!
//! let x = array![[0.0], [0.3], [0.6], [1.0]];
//! let observations = Observations::new(x, vec![1.0, 2.0, 2.5, 2.0])?;
//! let gp = GpSpec::new(vec![Column::Ordered]).fit(&observations)?;
//! assert!((gp.posterior_at(&[0.3]).mean - 2.0).abs() < 0.2);
//! # Ok::<(), slotune_core::gp::GpError>(())
//! ```
//!
//! Both also implement linfa's `Fit` and `PredictInplace`.

mod error;
mod exponential;
mod fit;
mod inference;
mod kernel;
mod linalg;
mod linfa_traits;
mod prior;
mod spec;
mod targets;
mod warp;

use std::borrow::Cow;

use ndarray::Array2;
use rand_distr::{Distribution, StandardNormal};

use crate::{Column, random::Pcg64};
pub use error::GpError;
use inference::{Inference, row};
use kernel::ByColumns;
use linalg::{Cholesky, dot};
pub use spec::{GpSpec, Hyperparameters};
pub use targets::Observations;
use targets::Standardisation;
use warp::Warp;

/// A fitted Gaussian process.
#[derive(Clone, Debug)]
pub struct Gp {
    columns: Vec<Column>,
    hyperparameters: Hyperparameters,
    standardisation: Standardisation,
    warp: Warp,
    /// n × d, warped.
    x: Array2<f64>,
    /// n, standardised.
    y: Vec<f64>,
    /// n, of the standardised targets.
    known_noise: Vec<f64>,
    inference: Inference,
}

/// A normal distribution, in the targets' unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    /// Its mean.
    pub mean: f64,
    /// Its variance.
    pub variance: f64,
}

/// How mean and variance change with the point; 0 along categorical columns.
#[derive(Clone, Debug, PartialEq)]
pub struct PosteriorGradient {
    /// `d mean / dx_j`, d entries.
    pub mean: Vec<f64>,
    /// `d variance / dx_j`, d entries.
    pub variance: Vec<f64>,
}

impl Gp {
    /// Mean and variance of the process, without noise, at one point.
    ///
    /// # Panics
    /// When the point has not one coordinate for each column.
    pub fn posterior_at(&self, point: &[f64]) -> Posterior {
        let point = self.placed(point);
        let k = self.inference.covariances(&point);
        let mut half = k.clone();
        self.inference.cholesky.half_solve(&mut half);
        self.natural(dot(&k, &self.inference.alpha), dot(&half, &half))
    }

    /// Covariance of the process, without noise, between two points, in the targets' squared unit.
    ///
    /// # Panics
    /// When a point has not one coordinate for each column.
    pub fn covariance(&self, a: &[f64], b: &[f64]) -> f64 {
        let (a, b) = (&*self.placed(a), &*self.placed(b));
        let Inference { kernel, cholesky, .. } = &self.inference;
        let half = |point: &[f64]| {
            let mut half = self.inference.covariances(point);
            cholesky.half_solve(&mut half);
            half
        };
        let mut prior = [0.0];
        let other = Array2::from_shape_fn((1, b.len()), |(_, j)| b[j]);
        kernel.values(a, &ByColumns::new(&other), &mut prior);
        (prior[0] - dot(&half(a), &half(b))) * self.standardisation.scale.powi(2)
    }

    /// Joint draws of the process, without noise, at the rows of `points` (t × d): `count` × t values in
    /// the targets' unit.
    ///
    /// # Errors
    /// When the points' covariance cannot be factored.
    ///
    /// # Panics
    /// When `points` has not one column for each of the process.
    pub fn draws(
        &self,
        points: &Array2<f64>,
        count: usize,
        random: &mut Pcg64,
    ) -> Result<Array2<f64>, GpError> {
        let points = points.as_standard_layout().into_owned();
        let points = &*self.placed_all(&points);
        let t = points.nrows();
        let Inference { kernel, cholesky, .. } = &self.inference;
        let mut k = self.covariances_with(points);
        let means = self.explained_means(&k);
        cholesky.half_solve_columns(&mut k);
        let halves = k.reversed_axes().as_standard_layout().into_owned();
        let others = ByColumns::new(points);
        let mut covariance = Array2::zeros((t, t));
        for (i, mut entries) in covariance.rows_mut().into_iter().enumerate() {
            let entries = entries.as_slice_mut().expect("rows of a standard array are contiguous");
            kernel.values(row(points, i), &others, &mut entries[..=i]);
            let pairs = entries.iter_mut().zip(halves.rows());
            pairs.take(i + 1).for_each(|(k, half)| *k -= half.dot(&halves.row(i)));
        }
        // Points that nearly coincide make it nearly singular.
        covariance.diag_mut().iter_mut().for_each(|entry| *entry += 1e-9 * kernel.variance());
        let factor = Cholesky::new(&covariance).map_err(|failure| {
            GpError::NotPositiveDefinite { row: failure.row, jitter: failure.jitter }
        })?;
        let mut draws = Array2::zeros((count, t));
        for mut draw in draws.rows_mut() {
            let normal: Vec<f64> = (0..t).map(|_| StandardNormal.sample(random)).collect();
            for (i, value) in draw.iter_mut().enumerate() {
                let standardised =
                    self.hyperparameters.mean + means[i] + factor.correlate(i, &normal);
                *value = self.standardisation.backward(standardised);
            }
        }
        Ok(draws)
    }

    /// Mean and variance at every row of `points` (t × d), which is quicker than one by one.
    ///
    /// # Panics
    /// When `points` has not one column for each of the process.
    pub fn posterior(&self, points: &Array2<f64>) -> Vec<Posterior> {
        let mut k = self.covariances_with(&self.placed_all(points));
        let means = self.explained_means(&k);
        self.inference.cholesky.half_solve_columns(&mut k);
        let mut explained = vec![0.0; points.nrows()];
        for halves in k.rows() {
            explained.iter_mut().zip(halves).for_each(|(sum, half)| *sum += half * half);
        }
        let each = means.into_iter().zip(explained);
        each.map(|(mean, explained)| self.natural(mean, explained)).collect()
    }

    /// The means alone at every row of `points` (t × d): n steps each, where a variance takes n².
    ///
    /// # Panics
    /// When `points` has not one column for each of the process.
    pub fn means(&self, points: &Array2<f64>) -> Vec<f64> {
        let means = self.explained_means(&self.covariances_with(&self.placed_all(points)));
        means.into_iter().map(|mean| self.natural(mean, 0.0).mean).collect()
    }

    /// kᵀα for each column k of the covariances (n × t).
    fn explained_means(&self, k: &Array2<f64>) -> Vec<f64> {
        let mut means = vec![0.0; k.ncols()];
        for (covariances, alpha) in k.rows().into_iter().zip(&self.inference.alpha) {
            means.iter_mut().zip(covariances).for_each(|(mean, k)| *mean += alpha * k);
        }
        means
    }

    /// Covariances of the training points with every row of `points` (t × d, warped): n × t.
    fn covariances_with(&self, points: &Array2<f64>) -> Array2<f64> {
        let others = ByColumns::new(points);
        let mut k = Array2::zeros((self.y.len(), points.nrows()));
        for (i, mut covariances) in k.rows_mut().into_iter().enumerate() {
            let covariances =
                covariances.as_slice_mut().expect("rows of a standard array are contiguous");
            self.inference.kernel.values(row(&self.x, i), &others, covariances);
        }
        k
    }

    /// Mean and variance at one point, and how they change with it.
    ///
    /// # Panics
    /// When the point has not one coordinate for each column.
    pub fn posterior_with_gradient(&self, point: &[f64]) -> (Posterior, PosteriorGradient) {
        let unwarped = point;
        let point = &*self.placed(unwarped);
        let n = self.y.len();
        let Inference { kernel, training, alpha, .. } = &self.inference;
        let (mut k, mut slopes) = (vec![0.0; n], vec![0.0; n]);
        kernel.values_and_slopes(point, training, &mut k, &mut slopes);
        // (K + V)⁻¹ k.
        let mut weights = k.clone();
        self.inference.cholesky.solve(&mut weights);
        let d = point.len();
        let (mut mean, mut variance) = (vec![0.0; d], vec![0.0; d]);
        let scale = self.standardisation.scale;
        let weighted = |factor: f64, weights: &[f64]| -> Vec<f64> {
            slopes.iter().zip(weights).map(|(slope, weight)| factor * weight * slope).collect()
        };
        kernel.add_point_gradient(point, training, &weighted(scale, alpha), &mut mean);
        let by_slope = weighted(-2.0 * scale * scale, &weights);
        kernel.add_point_gradient(point, training, &by_slope, &mut variance);
        self.warp.pull_back(unwarped, &mut mean);
        self.warp.pull_back(unwarped, &mut variance);
        let posterior = self.natural(dot(&k, alpha), dot(&k, &weights));
        (posterior, PosteriorGradient { mean, variance })
    }

    /// For each training point, what the process with the same hyperparameters but without that
    /// point predicts its target to be, noise included (Rasmussen and Williams 2006, equations
    /// 5.10 to 5.12).
    pub fn leave_one_out(&self) -> Vec<Posterior> {
        let inverse = self.inference.cholesky.inverse();
        let scale = self.standardisation.scale;
        (0..self.y.len())
            .map(|i| {
                let variance = 1.0 / inverse[(i, i)];
                let mean = self.y[i] - self.inference.alpha[i] * variance;
                Posterior {
                    mean: self.standardisation.backward(mean),
                    variance: variance * scale * scale,
                }
            })
            .collect()
    }

    /// The process after one more observation without known noise, hyperparameters and
    /// standardisation held.
    ///
    /// # Errors
    /// When a number is not finite, the point has not one coordinate for each column, or the
    /// numerics fail.
    pub fn with_observation(&self, point: &[f64], target: f64) -> Result<Self, GpError> {
        let (expected, got) = (self.columns.len(), point.len());
        if expected != got {
            return Err(GpError::Length { field: "columns", expected, got });
        }
        let row = self.y.len();
        let coordinates = point.iter().map(|&coordinate| ("coordinate", coordinate));
        for (field, value) in coordinates.chain([("target", target)]) {
            if !value.is_finite() {
                return Err(GpError::NotFinite { field, row, value });
            }
        }
        let point = &*self.warp.point(point);
        let mut x = self.x.clone();
        x.push_row(ndarray::ArrayView1::from(point)).map_err(|_| GpError::Length {
            field: "columns",
            expected,
            got,
        })?;
        let mut y = self.y.clone();
        y.push(self.standardisation.forward(target));
        let mut known_noise = self.known_noise.clone();
        known_noise.push(0.0);
        let inference = match self.inference.extended(point, &y) {
            Some(inference) => inference,
            None => Inference::new(&self.columns, &x, &y, &known_noise, &self.hyperparameters)?,
        };
        let (columns, hyperparameters) = (self.columns.clone(), self.hyperparameters.clone());
        let (standardisation, warp) = (self.standardisation, self.warp.clone());
        Ok(Self { columns, hyperparameters, standardisation, warp, x, y, known_noise, inference })
    }

    /// What the fit found, on the scale of standardised targets.
    pub fn hyperparameters(&self) -> &Hyperparameters {
        &self.hyperparameters
    }

    /// The learned noise variance, in the targets' squared unit.
    pub fn noise_variance(&self) -> f64 {
        self.hyperparameters.noise_variance * self.standardisation.scale.powi(2)
    }

    /// log p(y | x, hyperparameters) of the standardised targets.
    pub fn log_marginal_likelihood(&self) -> f64 {
        self.inference.log_marginal_likelihood
    }

    /// What had to be added to the noise variance of the standardised targets to make the matrix
    /// positive definite; 0 except where points repeat without noise.
    pub fn jitter(&self) -> f64 {
        self.inference.cholesky.jitter()
    }

    /// In the targets' unit, from kᵀα and kᵀ(K + V)⁻¹k.
    fn natural(&self, mean: f64, explained: f64) -> Posterior {
        let scale = self.standardisation.scale;
        // Rounding may leave a tiny negative difference.
        let variance = (self.inference.kernel.variance() - explained).max(0.0);
        Posterior {
            mean: self.standardisation.backward(self.hyperparameters.mean + mean),
            variance: variance * scale * scale,
        }
    }

    /// A point where it is compared with those of training.
    fn placed<'a>(&self, point: &'a [f64]) -> Cow<'a, [f64]> {
        assert_eq!(point.len(), self.columns.len(), "one coordinate for each column");
        self.warp.point(point)
    }

    /// The same for every row of `points` (t × d).
    fn placed_all<'a>(&self, points: &'a Array2<f64>) -> Cow<'a, Array2<f64>> {
        assert_eq!(points.ncols(), self.columns.len(), "one coordinate for each column");
        self.warp.points(points)
    }
}

#[cfg(test)]
mod tests;
