//! Exact inference at given hyperparameters (Rasmussen and Williams 2006, algorithm 2.1).

use ndarray::{Array2, ArrayView1};

use super::{
    GpError, Hyperparameters,
    kernel::{ByColumns, Kernel},
    linalg::{Cholesky, dot},
};
use crate::Column;

/// Everything that predictions and gradients need: K + V = L Lᵀ and α = (K + V)⁻¹ (y − m).
#[derive(Clone, Debug)]
pub(super) struct Inference {
    pub(super) kernel: Kernel,
    pub(super) training: ByColumns,
    pub(super) cholesky: Cholesky,
    /// n.
    pub(super) alpha: Vec<f64>,
    pub(super) log_marginal_likelihood: f64,
    learned_noise: f64,
    mean: f64,
}

/// Derivatives of the log marginal likelihood.
#[derive(Clone, Debug)]
pub(super) struct LikelihoodGradient {
    pub(super) log_lengthscales: Vec<f64>,
    /// With respect to the logarithm of the learned noise variance.
    pub(super) log_noise: f64,
    pub(super) mean: f64,
}

impl Inference {
    /// Of points `x` (n × d), standardised targets `y` and their known noise variances.
    pub(super) fn new(
        columns: &[Column],
        x: &Array2<f64>,
        y: &[f64],
        known_noise: &[f64],
        hyperparameters: &Hyperparameters,
    ) -> Result<Self, GpError> {
        let values = |kernel: &Kernel, training: &ByColumns, i: usize, values: &mut [f64]| {
            kernel.values(row(x, i), training, values);
        };
        let (inference, _) = Self::of_rows(columns, x, y, known_noise, hyperparameters, values)?;
        Ok(inference)
    }

    /// The same, and the derivatives of the log marginal likelihood.
    pub(super) fn with_gradient(
        columns: &[Column],
        x: &Array2<f64>,
        y: &[f64],
        known_noise: &[f64],
        hyperparameters: &Hyperparameters,
    ) -> Result<(Self, LikelihoodGradient), GpError> {
        let n = y.len();
        let mut slopes = vec![0.0; n * n];
        let both = |kernel: &Kernel, training: &ByColumns, i: usize, values: &mut [f64]| {
            kernel.values_and_slopes(row(x, i), training, values, &mut slopes[i * n..][..i]);
        };
        let (inference, matrix) = Self::of_rows(columns, x, y, known_noise, hyperparameters, both)?;
        let gradient = inference.gradient(x, matrix, slopes);
        Ok((inference, gradient))
    }

    /// From what fills row i of K left of the diagonal; K + V, of which the lower triangle is filled, is
    /// given too.
    fn of_rows(
        columns: &[Column],
        x: &Array2<f64>,
        y: &[f64],
        known_noise: &[f64],
        hyperparameters: &Hyperparameters,
        mut fill: impl FnMut(&Kernel, &ByColumns, usize, &mut [f64]),
    ) -> Result<(Self, Array2<f64>), GpError> {
        let Hyperparameters { lengthscales, outputscale, noise_variance, mean } = hyperparameters;
        let n = y.len();
        let kernel = Kernel::new(columns, lengthscales, *outputscale);
        let training = ByColumns::new(x);
        let mut matrix = Array2::zeros((n, n));
        for (i, mut entries) in matrix.rows_mut().into_iter().enumerate() {
            let entries = entries.as_slice_mut().expect("rows of a standard array are contiguous");
            fill(&kernel, &training, i, &mut entries[..i]);
            entries[i] = kernel.variance() + noise_variance + known_noise[i];
        }
        let cholesky = Cholesky::new(&matrix).map_err(|failure| GpError::NotPositiveDefinite {
            row: failure.row,
            jitter: failure.jitter,
        })?;
        Ok((Self::factored(kernel, training, cholesky, y, *noise_variance, *mean), matrix))
    }

    /// The same with one more point without known noise: one more row of L, n² steps instead of n³.
    /// `y` (n + 1) are all targets. `None` where that row needs more jitter than the others have.
    pub(super) fn extended(&self, point: &[f64], y: &[f64]) -> Option<Self> {
        let diagonal = self.kernel.variance() + self.learned_noise;
        let cholesky = self.cholesky.extended(self.covariances(point), diagonal)?;
        let training = self.training.clone().with(point);
        Some(Self::factored(
            self.kernel.clone(),
            training,
            cholesky,
            y,
            self.learned_noise,
            self.mean,
        ))
    }

    fn factored(
        kernel: Kernel,
        training: ByColumns,
        cholesky: Cholesky,
        y: &[f64],
        learned_noise: f64,
        mean: f64,
    ) -> Self {
        let residuals: Vec<f64> = y.iter().map(|y| y - mean).collect();
        let mut alpha = residuals.clone();
        cholesky.solve(&mut alpha);
        // Equation 2.30.
        let log_marginal_likelihood = -0.5 * dot(&residuals, &alpha)
            - 0.5 * cholesky.log_determinant()
            - 0.5 * y.len() as f64 * std::f64::consts::TAU.ln();
        Self { kernel, training, cholesky, alpha, log_marginal_likelihood, learned_noise, mean }
    }

    /// Equation 5.9: ½ tr((α αᵀ − (K + V)⁻¹) dK/dθ), from the points `x` (n × d), their covariances and
    /// the slopes of those (n × n, left of the diagonal).
    fn gradient(
        &self,
        x: &Array2<f64>,
        mut covariances: Array2<f64>,
        mut slopes: Vec<f64>,
    ) -> LikelihoodGradient {
        let n = self.alpha.len();
        let inverse = self.cholesky.inverse();
        let mut log_lengthscales = vec![0.0; x.ncols()];
        let mut trace = 0.0;
        for (i, mut values) in covariances.rows_mut().into_iter().enumerate() {
            let values = values.as_slice_mut().expect("rows of a standard array are contiguous");
            let (values, slopes) = (&mut values[..i], &mut slopes[i * n..][..i]);
            let inverse = row(&inverse, i);
            // Each pair stands twice in the trace, which the ½ undoes.
            let pairs = values.iter_mut().zip(slopes.iter_mut());
            for ((value, slope), (alpha, inverse)) in pairs.zip(self.alpha.iter().zip(inverse)) {
                let weight = self.alpha[i] * alpha - inverse;
                *value *= weight;
                *slope *= weight;
            }
            self.kernel.add_lengthscale_gradient(
                row(x, i),
                &self.training,
                slopes,
                values,
                &mut log_lengthscales,
            );
            trace += self.alpha[i].powi(2) - inverse[i];
        }
        LikelihoodGradient {
            log_lengthscales,
            log_noise: 0.5 * trace * self.learned_noise,
            mean: self.alpha.iter().sum(),
        }
    }

    /// Covariances between a point and the n training points.
    pub(super) fn covariances(&self, point: &[f64]) -> Vec<f64> {
        let mut covariances = vec![0.0; self.alpha.len()];
        self.kernel.values(point, &self.training, &mut covariances);
        covariances
    }
}

/// Row i of a matrix in standard layout.
pub(super) fn row(x: &Array2<f64>, i: usize) -> &[f64] {
    let view: ArrayView1<'_, f64> = x.row(i);
    view.to_slice().expect("rows of a standard array are contiguous")
}
