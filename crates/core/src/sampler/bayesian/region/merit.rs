//! Which of two trials is the better, infeasible ones included.

use super::super::surrogate::usable_scale;
use crate::{Bound, Constraint, Direction, Estimate, History, Measurement, Objective, Scale};

/// An objective, or a distance to the targets, that is less by a smaller share is no better.
const LEAST_STEP: f64 = 1e-3;

/// How good a measurement is: one that meets every target by its objective as a cost, any other by how
/// far it misses the targets, in standard deviations of the metrics on their scales.
#[derive(Clone, Copy, Debug)]
pub(super) struct Merit {
    is_feasible: bool,
    /// Less is better.
    value: f64,
    /// Less of a difference is none.
    least_step: f64,
}

impl Merit {
    pub(super) fn beats(self, other: Self) -> bool {
        match (self.is_feasible, other.is_feasible) {
            (true, false) => true,
            (false, true) => false,
            _ => self.value < other.value - other.least_step,
        }
    }
}

/// What merits are judged by.
pub(super) struct Merits<'a> {
    objective: &'a Objective,
    scale: Scale,
    targets: Vec<Target<'a>>,
}

/// A bound on a metric's scale, and the standard deviation of the metric there.
struct Target<'a> {
    metric: &'a str,
    scale: Scale,
    bound: Bound,
    deviation: f64,
}

impl<'a> Merits<'a> {
    pub(super) fn of(objective: &'a Objective, history: &History) -> Self {
        let values = |metric: &'a str| {
            history.completed().filter_map(move |(_, measurement)| measurement.value(metric))
        };
        let target = |constraint: &'a Constraint| {
            let Constraint { metric, bound, scale } = constraint;
            let scale = usable_scale(*scale, values(metric).chain([bound.value()]));
            let on_scale: Vec<f64> = values(metric).map(|value| scale.forward(value)).collect();
            let n = on_scale.len().max(1) as f64;
            let mean = on_scale.iter().sum::<f64>() / n;
            let variance = on_scale.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
            Target { metric, scale, bound: *bound, deviation: variance.sqrt() }
        };
        let targets = objective.constraints.iter().map(target).collect();
        let scale = usable_scale(objective.scale, values(&objective.metric));
        Self { objective, scale, targets }
    }

    /// `None` where the objective is only bounded: that wins nothing.
    pub(super) fn merit(&self, measurement: &Measurement) -> Option<Merit> {
        if self.objective.is_feasible(measurement) {
            let Estimate { value, is_lower_bound, .. } = measurement.get(&self.objective.metric)?;
            if is_lower_bound && self.objective.direction == Direction::Minimise {
                return None;
            }
            let value = self.objective.direction.as_cost(self.scale.forward(value));
            let least_step = match self.scale {
                Scale::Linear => LEAST_STEP * value.abs(),
                Scale::Log => LEAST_STEP,
            };
            return Some(Merit { is_feasible: true, value, least_step });
        }
        let missed = self.targets.iter().map(|target| target.missed_by(measurement));
        let value = missed.sum::<f64>();
        Some(Merit { is_feasible: false, value, least_step: LEAST_STEP * value })
    }
}

impl Target<'_> {
    fn missed_by(&self, measurement: &Measurement) -> f64 {
        let Some(value) = measurement.value(self.metric) else { return 0.0 };
        let above = self.scale.forward(value) - self.scale.forward(self.bound.value());
        let missed = match self.bound {
            Bound::AtLeast(_) => -above,
            Bound::AtMost(_) => above,
        };
        if self.deviation > 0.0 { missed.max(0.0) / self.deviation } else { 0.0 }
    }
}
