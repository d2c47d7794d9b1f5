//! What the search believes, and how promising that makes a point.

use std::cmp::Ordering;

use ndarray::Array2;

use crate::{
    Bound, Direction, History, Problem, Scale,
    acquisition::{Acquisition, log_expected_improvement, log_feasibility},
    gp::{Gp, GpError, GpSpec, Observations, Posterior},
    sampler::SuggestError,
    validity::Validity,
};

/// Standard deviations below this are taken for it, so that a division by them is defined.
const SMALLEST_DEVIATION: f64 = 1e-100;

/// Evaluated points whose neighbourhood is searched.
const INCUMBENTS: usize = 3;

/// A gain below this share of the incumbent is not worth a trial: expected improvement counts from
/// there. Without it, a plateau of nearly equal configurations draws trial after trial.
const LEAST_GAIN: f64 = 0.01;

/// A constrained metric is modelled up to this many times as far from its bound as the trials that
/// meet it are.
const REACH: f64 = 2.0;

/// Models of every outcome.
///
/// Targets are winsorised. An objective worse than that of every feasible trial says only "bad",
/// and a metric far beyond its bound only "missed"; left as they are, a few such trials would set
/// the scale and bury the differences that decide.
///
/// Standard errors within a run are not used as noise. They tell how well the run speaks for the
/// law behind its requests; trials that serve the same requests share that error, and it cancels
/// between them. Noise between runs is learnt.
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
    least_gain: f64,
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

        let model = |metric: &str, scale: Scale, limits: (f64, f64)| {
            let measured = completed.iter().filter_map(|(x, m)| Some((x, m.value(metric)?)));
            fit(measured, scale, limits, &space.columns())
                .map_err(|source| SuggestError::Surrogate { metric: metric.to_owned(), source })
        };
        for constraint in &objective.constraints {
            let metric = constraint.metric.clone();
            let values = || completed.iter().filter_map(|(_, m)| m.value(&metric));
            let scale = usable_scale(constraint.scale, values().chain([constraint.bound.value()]));
            let bound = match constraint.bound {
                Bound::AtLeast(bound) => Bound::AtLeast(scale.forward(bound)),
                Bound::AtMost(bound) => Bound::AtMost(scale.forward(bound)),
            };
            let gp = model(&metric, scale, limits(bound, values().map(|v| scale.forward(v))))?;
            surrogate.constraints.push(Limited { metric, gp, bound });
        }
        let feasible: Vec<_> = completed
            .iter()
            .filter(|(_, measurement)| objective.is_feasible(measurement))
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
        let scale =
            usable_scale(objective.scale, completed.iter().filter_map(|(_, m)| m.value(&metric)));
        let direction = objective.direction;
        let worst = feasible
            .iter()
            .filter_map(|(_, m)| m.value(&metric))
            .map(|value| direction.as_cost(scale.forward(value)))
            .fold(f64::NEG_INFINITY, f64::max);
        let limits = match direction {
            Direction::Minimise => (f64::NEG_INFINITY, worst),
            Direction::Maximise => (-worst, f64::INFINITY),
        };
        let gp = model(&metric, scale, limits)?;
        // The luckiest sample is not the best: what is compared is the posterior mean.
        let mut means: Vec<_> = feasible
            .into_iter()
            .map(|(point, _)| (direction.as_cost(gp.posterior_at(point).mean), point))
            .collect();
        means.sort_by(|a, b| a.0.total_cmp(&b.0));
        let best = direction.as_cost(means[0].0);
        surrogate.incumbents =
            means.into_iter().take(INCUMBENTS).map(|(_, point)| point.clone()).collect();
        let least_gain = match scale {
            Scale::Linear => LEAST_GAIN * best.abs(),
            Scale::Log => LEAST_GAIN,
        };
        surrogate.improvement = Some(Improvement { metric, gp, direction, best, least_gain });
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
        if let Some(Improvement { metric, gp, direction, best, .. }) = &mut self.improvement {
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
            if let Some(improvement) = &self.improvement {
                for (value, posterior) in values.iter_mut().zip(improvement.gp.posterior(&points)) {
                    *value += improvement.expected(posterior).value;
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
        if let Some(improvement) = &self.improvement {
            add(&improvement.gp, &|posterior| improvement.expected(posterior));
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

impl Improvement {
    /// How much better than the incumbent, and what is least worth having, a point may be.
    fn expected(&self, posterior: Posterior) -> Acquisition {
        let to_beat = self.direction.as_cost(self.direction.as_cost(self.best) - self.least_gain);
        log_expected_improvement(posterior.mean, deviation(posterior), to_beat, self.direction)
    }
}

/// Between which values a constrained metric is told apart: around its bound, as wide as the
/// values that meet it ask for; all where none does.
fn limits(bound: Bound, values: impl Iterator<Item = f64>) -> (f64, f64) {
    let met = values.filter(|&value| bound.is_met_by(value));
    let furthest = met.map(|value| (value - bound.value()).abs()).fold(0.0, f64::max);
    if furthest > 0.0 {
        (bound.value() - REACH * furthest, bound.value() + REACH * furthest)
    } else {
        (f64::NEG_INFINITY, f64::INFINITY)
    }
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

/// A Gaussian process of one metric on the scale it is modelled on, its values kept within limits
/// on that scale.
fn fit<'a>(
    measured: impl Iterator<Item = (&'a Vec<f64>, f64)>,
    scale: Scale,
    limits: (f64, f64),
    columns: &[crate::Column],
) -> Result<Gp, GpError> {
    let (points, y): (Vec<Vec<f64>>, Vec<f64>) = measured
        .map(|(point, value)| (point.clone(), scale.forward(value).clamp(limits.0, limits.1)))
        .unzip();
    let observations = Observations::new(matrix(&points, columns.len()), y)?;
    GpSpec::new(columns.to_vec()).fit(&observations)
}

fn matrix(points: &[Vec<f64>], columns: usize) -> Array2<f64> {
    Array2::from_shape_vec((points.len(), columns), points.concat()).expect("points of one space")
}
