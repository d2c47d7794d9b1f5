//! Hyperparameters: the most likely ones, or draws from their posterior.

use ndarray::{Array2, Axis};
use rand_distr::{Distribution, StandardNormal, StandardUniform};

use super::{GpError, Hyperparameters, inference::Inference, prior::LogNormal, warp::Warp};
use crate::{
    Column,
    minimise::{Bounds, Effort, Minimum, minimise},
    random::{SobolPoints, stream},
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
/// cost n³ at each of some thirty evaluations.
const LEARNT_FROM: usize = 200;

/// How far each refinement goes: hardly ever more than 2e-4 below the maximum, which a test holds it to.
pub(super) const REFINEMENT: Effort = Effort { evaluations: 60, tolerance: 1e-4 };

/// Draws from the posterior of the hyperparameters, and steps of the random walk to each.
const DRAWS: usize = 8;
const STEPS: usize = 50;

/// The length of a step in deviations of the posterior, times √dimensions. For a normal posterior 2.4 is best
/// (Gelman, Roberts and Gilks 1996); this one is narrower in some directions than along its axes.
const STEP: f64 = 2.0;

/// No deviation is taken for longer than this: the posterior is not normal.
const LONGEST: f64 = 2.0;

/// How far a hyperparameter is moved to see how the density bends.
const NUDGE: f64 = 0.05;

/// Standard deviation a priori of the logarithms of a warp's parameters, whose median, 1, warps nothing.
const WARPING: f64 = 0.5;

/// Bounds of those logarithms.
const LOG_SHAPES: Bounds = (-4.0, 4.0);

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
    pub(super) fn most_likely(&self) -> Result<Hyperparameters, GpError> {
        Ok(natural(&self.maximise(REFINEMENT)?.x))
    }

    /// Draws from the posterior of θ and of a warp by a random walk (Metropolis et al. 1953) from where it
    /// is highest without a warp, each as likely as the others; that start alone where there are so many
    /// targets that the posterior is narrow. Few targets can be explained in several ways, and the most
    /// likely one alone is too sure.
    ///
    /// The prior of log l and of log v is normal around the logarithm of the prior's mode, so that the
    /// most likely θ is that of [`most_likely`](Self::most_likely).
    pub(super) fn draws(&self) -> Result<Vec<(Hyperparameters, Warp)>, GpError> {
        let Minimum { x: mut state, .. } = self.maximise(REFINEMENT)?;
        let n = self.y.len();
        if n > ONE_START_ABOVE {
            return Ok(vec![(natural(&state), Warp::default())]);
        }
        let mut bounds = self.bounds();
        state.resize(state.len() + Warp::parameters(self.columns), 0.0);
        bounds.resize(state.len(), LOG_SHAPES);
        let mut log_density = self.warped_value(&state)?;
        let lengths = self.step_lengths(&state, log_density)?;
        let mut random = stream(0, "hyperparameters", n as u64);
        let mut draws = Vec::with_capacity(DRAWS);
        while draws.len() < DRAWS {
            for _ in 0..STEPS {
                let mut step = |(&here, &length): (&f64, &f64)| {
                    let z: f64 = StandardNormal.sample(&mut random);
                    here + length * z
                };
                let next: Vec<f64> = state.iter().zip(&lengths).map(&mut step).collect();
                let share: f64 = StandardUniform.sample(&mut random);
                let is_within =
                    next.iter().zip(&bounds).all(|(x, (low, high))| low <= x && x <= high);
                // Where the numerics fail there is nothing to draw.
                let Some(there) = is_within.then(|| self.warped_value(&next).ok()).flatten() else {
                    continue;
                };
                if there - log_density > share.ln() {
                    (state, log_density) = (next, there);
                }
            }
            let (theta, shapes) = self.parts(&state);
            draws.push((natural(theta), Warp::new(self.columns, shapes)));
        }
        Ok(draws)
    }

    /// How far the random walk steps along each axis, by how the density bends along it where the walk
    /// starts.
    fn step_lengths(&self, state: &[f64], log_density: f64) -> Result<Vec<f64>, GpError> {
        let length = |j: usize| {
            let at = |step: f64| {
                let mut moved = state.to_vec();
                moved[j] += step;
                self.warped_value(&moved)
            };
            let curvature = (2.0 * log_density - at(NUDGE)? - at(-NUDGE)?) / NUDGE.powi(2);
            let deviation = curvature.max(LONGEST.powi(-2)).sqrt().recip();
            Ok(STEP * deviation / (state.len() as f64).sqrt())
        };
        (0..state.len()).map(length).collect()
    }

    /// log p(y | θ, warp) + log p(θ) + log p(warp), up to a constant.
    fn warped_value(&self, state: &[f64]) -> Result<f64, GpError> {
        let (theta, shapes) = self.parts(state);
        let x = Warp::new(self.columns, shapes).points(self.x).into_owned();
        let prior: f64 = shapes.iter().map(|shape| -0.5 * (shape / WARPING).powi(2)).sum();
        Ok(HyperparameterPosterior { x: &x, ..*self }.value(theta)? + prior)
    }

    /// What the random walk moves: θ, and the parameters of a warp.
    fn parts<'s>(&self, state: &'s [f64]) -> (&'s [f64], &'s [f64]) {
        state.split_at(self.columns.len() + 2)
    }

    /// The θ with the highest posterior density, and the negative logarithm of that.
    ///
    /// θ = (log l, log v, m). The prior's mode and a fixed set of random starts are
    /// compared, and the best of them refined by L-BFGS.
    pub(super) fn maximise(&self, effort: Effort) -> Result<Minimum, GpError> {
        let n = self.y.len();
        if n > LEARNT_FROM {
            // Evenly over the order in which they came.
            let rows: Vec<usize> = (0..LEARNT_FROM).map(|i| i * n / LEARNT_FROM).collect();
            let x = self.x.select(Axis(0), &rows);
            let pick = |all: &[f64]| rows.iter().map(|&i| all[i]).collect::<Vec<f64>>();
            let (y, known_noise) = (&pick(self.y), &pick(self.known_noise));
            return HyperparameterPosterior { columns: self.columns, x: &x, y, known_noise }
                .maximise(effort);
        }
        let mut starts = Vec::with_capacity(1 + RANDOM_STARTS);
        for theta in self.starts() {
            let value = self.value(&theta)?;
            starts.push((theta, value));
        }
        starts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let objective = |theta: &[f64]| {
            let (value, gradient) = self.value_and_gradient(theta).ok()?;
            Some((-value, gradient.into_iter().map(|slope| -slope).collect()))
        };
        let bounds = self.bounds();
        starts
            .iter()
            .take(if n > ONE_START_ABOVE { 1 } else { REFINED_STARTS })
            .filter_map(|(theta, _)| minimise(objective, theta, &bounds, effort))
            .min_by(|a, b| a.value.total_cmp(&b.value))
            .ok_or(GpError::NoHyperparameters)
    }

    /// log p(y | θ) + log p(θ) and its gradient.
    pub(super) fn value_and_gradient(&self, theta: &[f64]) -> Result<(f64, Vec<f64>), GpError> {
        let Self { columns, x, y, known_noise } = self;
        let (inference, likelihood) =
            Inference::with_gradient(columns, x, y, known_noise, &natural(theta))?;
        let value = self.with_priors(&inference, theta);
        let mut gradient = likelihood.log_lengthscales;
        gradient.extend([likelihood.log_noise, likelihood.mean]);
        for ((entry, prior), &theta) in gradient.iter_mut().zip(self.priors()).zip(theta) {
            *entry += prior.log_density(theta).1;
        }
        Ok((value, gradient))
    }

    /// log p(y | θ) + log p(θ).
    fn value(&self, theta: &[f64]) -> Result<f64, GpError> {
        let Self { columns, x, y, known_noise } = self;
        let inference = Inference::new(columns, x, y, known_noise, &natural(theta))?;
        Ok(self.with_priors(&inference, theta))
    }

    /// The densities are those of the natural values, not of their logarithms; the mean has none.
    fn with_priors(&self, inference: &Inference, theta: &[f64]) -> f64 {
        let densities = self.priors().zip(theta).map(|(prior, &theta)| prior.log_density(theta).0);
        densities.fold(inference.log_marginal_likelihood, |sum, density| sum + density)
    }

    /// Of each lengthscale and of the noise variance.
    fn priors(&self) -> impl Iterator<Item = LogNormal> {
        let d = self.columns.len();
        std::iter::repeat_n(LogNormal::of_lengthscale(d), d).chain([LogNormal::of_noise_variance()])
    }

    /// Of θ.
    fn bounds(&self) -> Vec<Bounds> {
        let mut bounds = vec![(LENGTHSCALES.0.ln(), LENGTHSCALES.1.ln()); self.columns.len()];
        bounds.push((NOISE_VARIANCES.0.ln(), NOISE_VARIANCES.1.ln()));
        bounds.push(MEANS);
        bounds
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
