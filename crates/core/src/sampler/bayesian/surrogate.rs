//! What the search believes, and how promising that makes a point.

use std::cmp::Ordering;

use ndarray::Array2;

use super::outcome::{Lens, Reading, fit, seen_error};
use crate::{
    Bound, Direction, Estimate, History, Problem, Scale,
    acquisition::{Acquisition, log_expected_improvement, log_feasibility},
    gp::{Gp, Posterior},
    sampler::SuggestError,
    validity::Validity,
};

/// Standard deviations below this are taken for it, so that a division by them is defined.
const SMALLEST_DEVIATION: f64 = 1e-100;

/// What errors call the model of what can be measured.
const VALIDITY: &str = "(validity)";

/// Evaluated points whose neighbourhood is searched.
const INCUMBENTS: usize = 3;

/// A gain below this share of the incumbent is not worth a trial: expected improvement counts from
/// there. Without it, a plateau of nearly equal configurations draws trial after trial.
const LEAST_GAIN: f64 = 0.01;

/// Models of every outcome.
///
/// An objective worse than that of every feasible trial says only "bad" and counts as the worst of
/// those. A constrained metric is seen through [`Lens`]. Left as they are, a few extreme trials would
/// set the scale and bury the differences that decide.
///
pub(crate) struct Surrogate {
    /// `None` until a feasible trial is known: then feasibility alone is sought.
    improvement: Option<Improvement>,
    constraints: Vec<Limited>,
    validity: Validity,
    /// Design points of all trials that say something, and of those believed.
    tried: Vec<Vec<f64>>,
    incumbents: Vec<Vec<f64>>,
}

/// What is taken for noise of a measured value.
///
/// Standard errors within a run tell how well the run speaks for the law behind its requests. Trials
/// that serve the same requests share that error, and it cancels between them: a search that compares
/// trials learns the noise between runs alone. Whether a target is met is a matter of the law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noise {
    /// What differs between runs, learnt.
    Learnt,
    /// That, and the standard errors within the runs.
    MeasuredAndLearnt,
}

/// The objective, on the scale it is modelled on.
struct Improvement {
    metric: String,
    gp: Gp,
    scale: Scale,
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
    pub(crate) fn fit(
        problem: &Problem,
        history: &History,
        noise: Noise,
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
        let points = matrix(&tried, space.parameters().len());
        let validity = Validity::fit(points, &valid, &space.columns())
            .map_err(|source| SuggestError::Surrogate { metric: VALIDITY.to_owned(), source })?;
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

        let model = |metric: &str, seen: &dyn Fn(f64) -> f64, ceiling: f64| {
            let readings: Vec<Reading<'_>> = completed
                .iter()
                .filter_map(|(point, measurement)| {
                    let Estimate { value, standard_error, is_lower_bound } =
                        measurement.get(metric)?;
                    let standard_error = match noise {
                        Noise::Learnt => 0.0,
                        Noise::MeasuredAndLearnt => seen_error(seen, value, standard_error),
                    };
                    Some(Reading { point, value: seen(value), standard_error, is_lower_bound })
                })
                .collect();
            fit(&readings, &space.columns(), ceiling)
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
            let lens = Lens::new(bound, &values().map(|v| scale.forward(v)).collect::<Vec<_>>());
            let seen = |value| lens.forward(scale.forward(value));
            let gp = model(&metric, &seen, f64::INFINITY)?;
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
        let seen = |value| direction.as_cost(direction.as_cost(scale.forward(value)).min(worst));
        let ceiling = match direction {
            Direction::Minimise => worst,
            Direction::Maximise => f64::INFINITY,
        };
        let gp = model(&metric, &seen, ceiling)?;
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
        surrogate.improvement =
            Some(Improvement { metric, gp, scale, direction, best, least_gain });
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

    /// The objective as a cost, on the scale it is modelled on, at a point less that at another;
    /// `None` until a feasible trial is known.
    pub(crate) fn difference(&self, point: &[f64], other: &[f64]) -> Option<Posterior> {
        let Improvement { gp, direction, .. } = self.improvement.as_ref()?;
        let (here, there) = (gp.posterior_at(point), gp.posterior_at(other));
        let variance = here.variance + there.variance - 2.0 * gp.covariance(point, other);
        let mean = direction.as_cost(here.mean) - direction.as_cost(there.mean);
        Some(Posterior { mean, variance: variance.max(0.0) })
    }

    /// The objective on the scale it is modelled on; `None` until a feasible trial is known.
    pub(crate) fn objective(&self, point: &[f64]) -> Option<(Posterior, Scale)> {
        let Improvement { gp, scale, .. } = self.improvement.as_ref()?;
        Some((gp.posterior_at(point), *scale))
    }

    /// The probability that each constraint is met at a point, in their order.
    pub(crate) fn feasibilities(&self, point: &[f64]) -> Vec<f64> {
        let each =
            |Limited { gp, bound, .. }: &Limited| feasibility(gp.posterior_at(point), *bound);
        self.constraints.iter().map(|limited| each(limited).value.exp()).collect()
    }

    /// The probability that a point gives a measurement at all.
    pub(crate) fn validity(&self, point: &[f64]) -> f64 {
        self.validity.probabilities(&matrix(&[point.to_vec()], point.len()))[0]
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

pub(super) fn matrix(points: &[Vec<f64>], columns: usize) -> Array2<f64> {
    Array2::from_shape_vec((points.len(), columns), points.concat()).expect("points of one space")
}
