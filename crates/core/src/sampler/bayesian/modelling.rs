//! From the trials of a study, and of past ones, to the models of every outcome.

use std::sync::Arc;

use super::{
    model::{Model, Structure},
    outcome::{Lens, Reading, fit, seen_error},
    part::Part,
    surrogate::{Improvement, Limited, Manner, Noise},
    tradeoff::{Tradeoff, reference},
};
use crate::{
    Bound, Constraint, Estimate, Front, Goal, History, Measurement, Problem, Scale, gp::Gp,
    sampler::SuggestError,
};

/// A completed trial: its design point and what it measured.
pub(super) type Completed<'a> = (Vec<f64>, &'a Measurement);

/// What the models are made from.
pub(super) struct Modelling<'a> {
    pub(super) problem: &'a Problem,
    pub(super) completed: &'a [Completed<'a>],
    /// What the openings of trials, pruned ones too, had of the objective, by design point.
    pub(super) openings: &'a [(Vec<f64>, Estimate)],
    pub(super) past: &'a [History],
    pub(super) manner: Manner,
    pub(super) structure: Structure,
}

impl<'a> Modelling<'a> {
    /// The models of the objective's goals; `None` until a trial met every target.
    pub(super) fn goals(&self) -> Result<(Option<Improvement>, Option<Tradeoff>), SuggestError> {
        let objective = self.problem.objective();
        let first = objective.goal();
        let Some(second) = &objective.against else {
            return Ok((self.improvement(&first)?, None));
        };
        let reference = [&first, second].map(|goal| reference(self.feasible_costs(goal)));
        let second = self.improvement(second)?;
        let tradeoff = second.map(|second| Tradeoff { second, front: Front::new(&[], reference) });
        Ok((self.improvement(&first)?, tradeoff))
    }

    /// A goal's model; `None` until a trial met every target.
    fn improvement(&self, goal: &Goal) -> Result<Option<Improvement>, SuggestError> {
        let Goal { metric, direction, .. } = goal;
        let (scale, direction) = (self.scale(goal), *direction);
        let Some(worst) = self.feasible_costs(goal).reduce(f64::max) else { return Ok(None) };
        let seen = |value| scale.forward(value);
        let mut past = self.past_processes(metric, scale, &seen);
        if *metric == self.problem.objective().metric {
            past.extend(self.opening_process(scale));
        }
        let model = self.model(metric, &seen, &past)?;
        let (best, least_gain) = (direction.as_cost(worst), 0.0);
        let metric = metric.clone();
        Ok(Some(Improvement { metric, model, scale, direction, best, least_gain }))
    }

    /// What feasible trials have of a goal, as costs on the scale that is modelled.
    fn feasible_costs<'s>(&'s self, goal: &'s Goal) -> impl Iterator<Item = f64> + Clone + 's {
        let scale = self.scale(goal);
        let objective = self.problem.objective();
        let feasible = self.completed.iter().filter(|(_, m)| objective.is_feasible(m));
        let values = feasible.filter_map(|(_, measurement)| measurement.value(&goal.metric));
        values.map(move |value| goal.direction.as_cost(scale.forward(value)))
    }

    /// The scale that a goal is modelled on.
    fn scale(&self, goal: &Goal) -> Scale {
        goal.scale.usable_for(self.values(&goal.metric))
    }

    /// The model of a constrained metric; `None` before anything was measured.
    pub(super) fn limited(&self, constraint: &Constraint) -> Result<Option<Limited>, SuggestError> {
        if self.completed.is_empty() {
            return Ok(None);
        }
        let metric = constraint.metric.clone();
        let limit = constraint.bound.value();
        let scale = constraint.scale.usable_for(self.values(&metric).chain([limit]));
        let bound = match constraint.bound {
            Bound::AtLeast(bound) => Bound::AtLeast(scale.forward(bound)),
            Bound::AtMost(bound) => Bound::AtMost(scale.forward(bound)),
        };
        let on_scale: Vec<f64> = self.values(&metric).map(|value| scale.forward(value)).collect();
        let lens = self.manner.has(Part::Lens).then(|| Lens::new(bound, &on_scale));
        let seen = |value| {
            let value = scale.forward(value);
            lens.map_or(value, |lens| lens.forward(value))
        };
        let past = self.past_processes(&metric, scale, &seen);
        let model = self.model(&metric, &seen, &past)?;
        Ok(Some(Limited { metric, model, bound }))
    }

    fn values<'s>(&'s self, metric: &'s str) -> impl Iterator<Item = f64> + 's {
        self.completed.iter().filter_map(move |(_, measurement)| measurement.value(metric))
    }

    /// A model of a metric as it is `seen`.
    fn model(
        &self,
        metric: &str,
        seen: &dyn Fn(f64) -> f64,
        past: &[Arc<Gp>],
    ) -> Result<Model, SuggestError> {
        let columns = self.problem.space().columns();
        let readings = readings(self.completed, metric, seen, self.manner.noise);
        Model::fit(&readings, &columns, past, self.structure)
            .map_err(|source| SuggestError::Surrogate { metric: metric.to_owned(), source })
    }

    /// The processes that past studies have of a metric as it is `seen`. Left out are those that did not
    /// measure it, or not on this scale, or whose numbers cannot be fitted: what cannot help must not
    /// hinder.
    fn past_processes(
        &self,
        metric: &str,
        scale: Scale,
        seen: &dyn Fn(f64) -> f64,
    ) -> Vec<Arc<Gp>> {
        let process = |past| self.past_process(past, metric, scale, seen);
        self.past.iter().filter_map(process).collect()
    }

    /// The process that the openings of trials have of the objective, on the scale that this is modelled
    /// on. What the whole trials had lies on top of it, with a learnt scale: the autoregressive model of
    /// two fidelities (Kennedy and O'Hagan 2000, equation 1). As a past study, it is believed as far as it
    /// ranks the trials.
    fn opening_process(&self, scale: Scale) -> Option<Arc<Gp>> {
        let values = self.openings.iter().map(|(_, estimate)| estimate.value);
        if self.openings.is_empty() || scale.usable_for(values) != scale {
            return None;
        }
        let reading = |(point, estimate): &'a (Vec<f64>, Estimate)| Reading {
            point,
            value: scale.forward(estimate.value),
            standard_error: 0.0,
            is_lower_bound: estimate.is_lower_bound,
        };
        let readings: Vec<Reading<'_>> = self.openings.iter().map(reading).collect();
        fit(&readings, &self.problem.space().columns()).ok().map(Arc::new)
    }

    fn past_process(
        &self,
        past: &History,
        metric: &str,
        scale: Scale,
        seen: &dyn Fn(f64) -> f64,
    ) -> Option<Arc<Gp>> {
        let space = self.problem.space();
        let completed: Vec<Completed<'_>> = past
            .completed()
            .filter(|(trial, _)| space.check(&trial.configuration).is_ok())
            .map(|(trial, measurement)| {
                (space.encode(&trial.configuration).coordinates().to_vec(), measurement)
            })
            .collect();
        let values = completed.iter().filter_map(|(_, measurement)| measurement.value(metric));
        if scale.usable_for(values) != scale {
            return None;
        }
        let readings = readings(&completed, metric, seen, Noise::Learnt);
        fit(&readings, &space.columns()).ok().map(Arc::new)
    }
}

/// What trials say of a metric as it is `seen`.
fn readings<'a>(
    completed: &'a [Completed<'a>],
    metric: &str,
    seen: &dyn Fn(f64) -> f64,
    noise: Noise,
) -> Vec<Reading<'a>> {
    let reading = |(point, measurement): &'a Completed<'a>| {
        let Estimate { value, standard_error, is_lower_bound } = measurement.get(metric)?;
        let standard_error = match noise {
            Noise::Learnt => 0.0,
            Noise::MeasuredAndLearnt => seen_error(seen, value, standard_error),
        };
        Some(Reading { point, value: seen(value), standard_error, is_lower_bound })
    };
    completed.iter().filter_map(reading).collect()
}
