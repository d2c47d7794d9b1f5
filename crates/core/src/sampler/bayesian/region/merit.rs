//! Which of two trials is the better, infeasible ones included.

use crate::{
    Bound, Constraint, Goal, History, Measurement, Objective, Scale,
    sampler::bayesian::outcome::deviation,
};

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
    goal: Goal,
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
            let scale = scale.usable_for(values(metric).chain([bound.value()]));
            let on_scale: Vec<f64> = values(metric).map(|value| scale.forward(value)).collect();
            Target { metric, scale, bound: *bound, deviation: deviation(&on_scale) }
        };
        let targets = objective.constraints.iter().map(target).collect();
        let scale = objective.scale.usable_for(values(&objective.metric));
        Self { objective, goal: objective.goal(), scale, targets }
    }

    /// `None` where the objective is only bounded: that wins nothing.
    pub(super) fn merit(&self, measurement: &Measurement) -> Option<Merit> {
        if self.objective.is_feasible(measurement) {
            let value = self.scale.forward(self.goal.value(measurement)?);
            let value = self.goal.direction.as_cost(value);
            let least_step = self.scale.step(LEAST_STEP, value);
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
