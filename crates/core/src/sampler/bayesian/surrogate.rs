//! What the search believes, and how promising that makes a point.

use std::cmp::Ordering;

use ndarray::Array2;

use crate::{
    Bound, Direction, Estimate, History, Problem, Scale,
    acquisition::{Acquisition, log_expected_improvement, log_feasibility},
    gp::{Gp, GpError, GpSpec, Observations, Posterior},
    sampler::SuggestError,
    validity::Validity,
};

/// Standard deviations below this are taken for it, so that a division by them is defined.
const SMALLEST_DEVIATION: f64 = 1e-100;

/// Evaluated points whose neighbourhood is searched.
const INCUMBENTS: usize = 3;

/// Models of every outcome.
pub(super) struct Surrogate {
    /// `None` until a feasible trial is known: then feasibility alone is sought.
    improvement: Option<Improvement>,
    constraints: Vec<Limited>,
    validity: Validity,
    /// Design points of all trials that say something, and of those believed.
    tried: Vec<Vec<f64>>,
    incumbents: Vec<Vec<f64>>,
}

/// The objective, on the scale it is modelled on.
struct Improvement {
    metric: String,
    gp: Gp,
    direction: Direction,
    best: f64,
}

/// A constrained metric and its bound, on the scale it is modelled on.
struct Limited {
    metric: String,
    gp: Gp,
    bound: Bound,
}

/// How promising a point is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Score {
    likely_valid: bool,
    value: f64,
}

impl Score {
    /// First by whether the point can likely be measured; total, so that it can sort.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let by_validity = self.likely_valid.cmp(&other.likely_valid);
        by_validity.then(self.value.total_cmp(&other.value))
    }
}

impl Surrogate {
    pub(super) fn fit(
        problem: &Problem,
        history: &History,
        seed: u64,
    ) -> Result<Self, SuggestError> {
        let (space, objective) = (problem.space(), problem.objective());
        let encode =
            |trial: &crate::Trial| space.encode(&trial.configuration).coordinates().to_vec();
        let started: Vec<(Vec<f64>, bool)> = history
            .entries()
            .iter()
            .filter(|entry| entry.measurement().is_some() || entry.is_infeasible())
            .map(|entry| (encode(&entry.trial), !entry.is_infeasible()))
            .collect();
        let tried: Vec<Vec<f64>> = started.iter().map(|(point, _)| point.clone()).collect();
        let valid: Vec<bool> = started.iter().map(|&(_, valid)| valid).collect();
        let validity = Validity::fit(matrix(&tried, space.parameters().len()), &valid, seed);
        let mut surrogate = Self {
            improvement: None,
            constraints: Vec::new(),
            validity,
            tried,
            incumbents: Vec::new(),
        };
        let completed: Vec<_> =
            history.completed().map(|(trial, measurement)| (encode(trial), measurement)).collect();
        if completed.is_empty() {
            return Ok(surrogate);
        }

        let model = |metric: &str, scale: Scale| {
            let measured = completed.iter().filter_map(|(x, m)| Some((x, m.get(metric)?)));
            fit(measured, scale, &space.columns())
                .map_err(|source| SuggestError::Surrogate { metric: metric.to_owned(), source })
        };
        for constraint in &objective.constraints {
            let metric = constraint.metric.clone();
            let values = completed.iter().filter_map(|(_, m)| m.value(&metric));
            let scale = usable_scale(constraint.scale, values.chain([constraint.bound.value()]));
            let gp = model(&metric, scale)?;
            let bound = match constraint.bound {
                Bound::AtLeast(bound) => Bound::AtLeast(scale.forward(bound)),
                Bound::AtMost(bound) => Bound::AtMost(scale.forward(bound)),
            };
            surrogate.constraints.push(Limited { metric, gp, bound });
        }
        let feasible: Vec<&Vec<f64>> = completed
            .iter()
            .filter(|(_, measurement)| objective.is_feasible(measurement))
            .map(|(point, _)| point)
            .collect();
        if feasible.is_empty() {
            let mut points: Vec<_> = completed
                .iter()
                .map(|(point, _)| (-surrogate.log_feasibility(point), point))
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            surrogate.incumbents =
                points.into_iter().take(INCUMBENTS).map(|(_, point)| point.clone()).collect();
            return Ok(surrogate);
        }
        let metric = objective.metric.clone();
        let values = completed.iter().filter_map(|(_, m)| m.value(&metric));
        let gp = model(&metric, usable_scale(objective.scale, values))?;
        let direction = objective.direction;
        // The luckiest sample is not the best: what is compared is the posterior mean.
        let mut means: Vec<_> = feasible
            .into_iter()
            .map(|point| (direction.as_cost(gp.posterior_at(point).mean), point))
            .collect();
        means.sort_by(|a, b| a.0.total_cmp(&b.0));
        let best = direction.as_cost(means[0].0);
        surrogate.incumbents =
            means.into_iter().take(INCUMBENTS).map(|(_, point)| point.clone()).collect();
        surrogate.improvement = Some(Improvement { metric, gp, direction, best });
        Ok(surrogate)
    }

    /// Takes it that a trial at this point will come out as expected.
    pub(super) fn believe(&mut self, point: &[f64]) -> Result<(), SuggestError> {
        let mut feasible = true;
        for Limited { metric, gp, bound } in &mut self.constraints {
            let mean = gp.posterior_at(point).mean;
            feasible &= bound.is_met_by(mean);
            *gp = believed(gp, point, mean, metric)?;
        }
        if let Some(Improvement { metric, gp, direction, best }) = &mut self.improvement {
            let mean = gp.posterior_at(point).mean;
            if feasible && direction.as_cost(mean) < direction.as_cost(*best) {
                *best = mean;
            }
            *gp = believed(gp, point, mean, metric)?;
        }
        self.tried.push(point.to_vec());
        Ok(())
    }

    /// Evaluated points around which the search looks closer.
    pub(super) fn incumbents(&self) -> &[Vec<f64>] {
        &self.incumbents
    }

    /// How promising each point is.
    pub(super) fn scores(&self, points: &[Vec<f64>]) -> Vec<Score> {
        let Some(d) = points.first().map(Vec::len) else { return Vec::new() };
        let points = matrix(points, d);
        let mut values = vec![0.0; points.nrows()];
        if self.is_measured() {
            if let Some(Improvement { gp, direction, best, .. }) = &self.improvement {
                for (value, posterior) in values.iter_mut().zip(gp.posterior(&points)) {
                    *value += improvement(posterior, *best, *direction).value;
                }
            }
            for Limited { gp, bound, .. } in &self.constraints {
                for (value, posterior) in values.iter_mut().zip(gp.posterior(&points)) {
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
        let score = |(value, valid): (f64, f64)| Score {
            likely_valid: valid >= 0.5,
            value: value + valid.ln(),
        };
        values.into_iter().zip(self.validity.probabilities(&points)).map(score).collect()
    }

    /// The part of the score that has a slope, and its gradient; `None` while nothing has been
    /// measured.
    pub(super) fn value_and_gradient(&self, point: &[f64]) -> Option<(f64, Vec<f64>)> {
        if !self.is_measured() {
            return None;
        }
        let (mut value, mut gradient) = (0.0, vec![0.0; point.len()]);
        let mut add = |gp: &Gp, acquire: &dyn Fn(Posterior) -> Acquisition| {
            let (posterior, slope) = gp.posterior_with_gradient(point);
            let acquisition = acquire(posterior);
            value += acquisition.value;
            for (j, entry) in gradient.iter_mut().enumerate() {
                // d deviation = d variance / (2 deviation).
                *entry += acquisition.d_mean * slope.mean[j]
                    + acquisition.d_deviation * slope.variance[j] / (2.0 * deviation(posterior));
            }
        };
        if let Some(Improvement { gp, direction, best, .. }) = &self.improvement {
            add(gp, &|posterior| improvement(posterior, *best, *direction));
        }
        for Limited { gp, bound, .. } in &self.constraints {
            add(gp, &|posterior| feasibility(posterior, *bound));
        }
        Some((value, gradient))
    }

    fn is_measured(&self) -> bool {
        self.improvement.is_some() || !self.constraints.is_empty()
    }

    fn log_feasibility(&self, point: &[f64]) -> f64 {
        let each =
            |Limited { gp, bound, .. }: &Limited| feasibility(gp.posterior_at(point), *bound).value;
        self.constraints.iter().map(each).sum()
    }
}

fn improvement(posterior: Posterior, best: f64, direction: Direction) -> Acquisition {
    log_expected_improvement(posterior.mean, deviation(posterior), best, direction)
}

fn feasibility(posterior: Posterior, bound: Bound) -> Acquisition {
    log_feasibility(posterior.mean, deviation(posterior), bound)
}

fn deviation(posterior: Posterior) -> f64 {
    posterior.variance.sqrt().max(SMALLEST_DEVIATION)
}

fn believed(gp: &Gp, point: &[f64], mean: f64, metric: &str) -> Result<Gp, SuggestError> {
    gp.with_observation(point, mean)
        .map_err(|source| SuggestError::Surrogate { metric: metric.to_owned(), source })
}

/// The wanted scale, or the linear one where a number has no logarithm.
fn usable_scale(wanted: Scale, mut numbers: impl Iterator<Item = f64>) -> Scale {
    if wanted == Scale::Log && numbers.all(|number| number > 0.0) {
        Scale::Log
    } else {
        Scale::Linear
    }
}

/// A Gaussian process of one metric on the scale it is modelled on.
fn fit<'a>(
    measured: impl Iterator<Item = (&'a Vec<f64>, Estimate)>,
    scale: Scale,
    columns: &[crate::Column],
) -> Result<Gp, GpError> {
    let (mut points, mut y, mut noise) = (Vec::new(), Vec::new(), Vec::new());
    for (point, Estimate { value, standard_error }) in measured {
        points.push(point.clone());
        y.push(scale.forward(value));
        // To first order, a standard error of ln v is that of v divided by v.
        let unit = if scale == Scale::Log { value } else { 1.0 };
        // The square may overflow: then the value is known to say nothing.
        noise.push((standard_error / unit).powi(2).min(f64::MAX));
    }
    let observations = Observations::with_noise(matrix(&points, columns.len()), y, noise)?;
    GpSpec::new(columns.to_vec()).fit(&observations)
}

fn matrix(points: &[Vec<f64>], columns: usize) -> Array2<f64> {
    Array2::from_shape_vec((points.len(), columns), points.concat()).expect("points of one space")
}
