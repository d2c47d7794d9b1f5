//! Hyperparameters by maximum a posteriori.

use ndarray::{Array2, Axis};

use super::{GpError, Hyperparameters, inference::Inference, prior::LogNormal};
use crate::{
    Column,
    minimise::{Bounds, minimise},
    random::SobolPoints,
};

/// Bounds of the lengthscales, on the unit cube.
const LENGTHSCALES: Bounds = (1e-2, 1e3);

/// Bounds of the learned noise variance of standardised targets. The lower one keeps the matrix
/// positive definite when points repeat.
const NOISE_VARIANCES: Bounds = (1e-6, 10.0);

/// Bounds of the constant mean of standardised targets.
const MEANS: Bounds = (-10.0, 10.0);

/// Random starts, of which the best are refined together with the most likely one a priori.
const RANDOM_STARTS: usize = 6;

/// How many starts are refined, and above how many observations only one is: there the posterior
/// has one clear peak, and evaluations are dear.
const REFINED_STARTS: usize = 2;
const ONE_START_ABOVE: usize = 64;

/// Hyperparameters are learnt from at most this many observations: more change them little, and
/// cost n³ at each of about a hundred evaluations.
const LEARNT_FROM: usize = 200;

/// Evaluations of the likelihood in each refinement.
const EVALUATIONS: usize = 60;

/// p(θ | y) up to a constant, for points (n × d), standardised targets (n) and their known noise variances (n).
#[derive(Clone, Copy, Debug)]
pub(super) struct HyperparameterPosterior<'a> {
    pub(super) columns: &'a [Column],
    pub(super) x: &'a Array2<f64>,
    pub(super) y: &'a [f64],
    pub(super) known_noise: &'a [f64],
}

impl HyperparameterPosterior<'_> {
    /// The most likely hyperparameters given the targets, outputscale 1.
    ///
    /// θ = (log l, log v, m). The prior's mode and a fixed set of random starts are
    /// compared, and the best of them refined by L-BFGS.
    pub(super) fn maximise(&self) -> Result<Hyperparameters, GpError> {
        let n = self.y.len();
        if n > LEARNT_FROM {
            // Evenly over the order in which they came.
            let rows: Vec<usize> = (0..LEARNT_FROM).map(|i| i * n / LEARNT_FROM).collect();
            let x = self.x.select(Axis(0), &rows);
            let pick = |all: &[f64]| rows.iter().map(|&i| all[i]).collect::<Vec<f64>>();
            let (y, known_noise) = (&pick(self.y), &pick(self.known_noise));
            return HyperparameterPosterior { columns: self.columns, x: &x, y, known_noise }
                .maximise();
        }
        let d = self.columns.len();
        let mut bounds = vec![(LENGTHSCALES.0.ln(), LENGTHSCALES.1.ln()); d];
        bounds.push((NOISE_VARIANCES.0.ln(), NOISE_VARIANCES.1.ln()));
        bounds.push(MEANS);

        let mut starts = Vec::with_capacity(1 + RANDOM_STARTS);
        for theta in self.starts() {
            let (value, _) = self.value_and_gradient(&theta)?;
            starts.push((theta, value));
        }
        starts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let objective = |theta: &[f64]| {
            let (value, gradient) = self.value_and_gradient(theta).ok()?;
            Some((-value, gradient.into_iter().map(|slope| -slope).collect()))
        };
        starts
            .iter()
            .take(if n > ONE_START_ABOVE { 1 } else { REFINED_STARTS })
            .filter_map(|(theta, _)| minimise(objective, theta, &bounds, EVALUATIONS))
            .min_by(|a, b| a.value.total_cmp(&b.value))
            .map(|best| natural(&best.x))
            .ok_or(GpError::NoHyperparameters)
    }

    /// log p(y | θ) + log p(θ) and its gradient. The densities are those of the natural values, not
    /// of their logarithms; the mean has none.
    pub(super) fn value_and_gradient(&self, theta: &[f64]) -> Result<(f64, Vec<f64>), GpError> {
        let d = self.columns.len();
        let hyperparameters = natural(theta);
        let inference =
            Inference::new(self.columns, self.x, self.y, self.known_noise, &hyperparameters)?;
        let likelihood = inference.gradient(self.x);
        let mut value = inference.log_marginal_likelihood;
        let mut gradient = likelihood.log_lengthscales;
        gradient.extend([likelihood.log_noise, likelihood.mean]);
        let lengthscale = LogNormal::of_lengthscale(d);
        let noise = LogNormal::of_noise_variance();
        for (j, prior) in std::iter::repeat_n(lengthscale, d).chain([noise]).enumerate() {
            let (density, slope) = prior.log_density(theta[j]);
            value += density;
            gradient[j] += slope;
        }
        Ok((value, gradient))
    }

    fn starts(&self) -> impl Iterator<Item = Vec<f64>> {
        /// Random lengthscales lie between these, where the cube's own length is 1.
        const SHORT: f64 = 0.1;
        const LONG: f64 = 10.0;
        let d = self.columns.len();
        let noise = LogNormal::of_noise_variance();
        let mut mode = vec![LogNormal::of_lengthscale(d).log_mode(); d];
        mode.extend([noise.mu, 0.0]);
        let random = SobolPoints::new(d + 1, 0).take(RANDOM_STARTS).map(move |unit| {
            let (log_noise, log_lengthscales) = unit.split_last().expect("d + 1 coordinates");
            let mut theta: Vec<f64> =
                log_lengthscales.iter().map(|u| SHORT.ln() + u * (LONG / SHORT).ln()).collect();
            theta.extend([noise.mu + noise.sigma * (4.0 * log_noise - 2.0), 0.0]);
            theta
        });
        std::iter::once(mode).chain(random)
    }
}

/// Hyperparameters on the natural scale from θ.
fn natural(theta: &[f64]) -> Hyperparameters {
    let d = theta.len() - 2;
    Hyperparameters {
        lengthscales: theta[..d].iter().map(|log| log.exp()).collect(),
        outputscale: 1.0,
        noise_variance: theta[d].exp(),
        mean: theta[d + 1],
    }
}
