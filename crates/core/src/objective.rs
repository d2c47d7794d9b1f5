//! What is optimised: a metric, its direction, bounds on other metrics, and perhaps a second metric that
//! is traded off against the first.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Estimate, Measurement, SearchSpace};

/// How distance between numbers is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// By difference.
    #[default]
    Linear,
    /// By ratio.
    Log,
}

impl Scale {
    /// The number on this scale; on the log scale, the natural logarithm.
    pub(crate) fn forward(self, number: f64) -> f64 {
        match self {
            Self::Linear => number,
            Self::Log => number.ln(),
        }
    }

    /// This scale, or the linear one where a number has no logarithm.
    pub(crate) fn usable_for(self, mut numbers: impl Iterator<Item = f64>) -> Self {
        if numbers.all(|number| number > 0.0) { self } else { Self::Linear }
    }

    /// The difference on this scale that is a share of a number, which is given on this scale too.
    pub(crate) fn step(self, share: f64, on_scale: f64) -> f64 {
        match self {
            Self::Linear => share * on_scale.abs(),
            Self::Log => share,
        }
    }

    /// The inverse of `forward`.
    pub(crate) fn backward(self, number: f64) -> f64 {
        match self {
            Self::Linear => number,
            Self::Log => number.exp(),
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear => Ok(()),
            Self::Log => f.write_str(", log scale"),
        }
    }
}

/// Whether less or more of the metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Less is better.
    Minimise,
    /// More is better.
    Maximise,
}

impl Direction {
    /// The number as one to minimise, and back.
    pub(crate) fn as_cost(self, number: f64) -> f64 {
        match self {
            Self::Minimise => number,
            Self::Maximise => -number,
        }
    }

    /// A gain as a share of what it is compared with, from the logarithm of their ratio; above 0 is
    /// better.
    pub(crate) fn gain_share(self, logarithm: f64) -> f64 {
        match self {
            Self::Minimise => -(-logarithm).exp_m1(),
            Self::Maximise => logarithm.exp_m1(),
        }
    }
}

/// A metric to optimise, subject to bounds on other metrics.
///
/// ```
/// use slotune_core::{Constraint, Goal, Objective};
///
/// let objective = Objective::minimise("latency")
///     .against(Goal::maximise("throughput"))
///     .subject_to(Constraint::at_most("queue_share", 0.5).linear());
/// assert_eq!(objective.metrics().collect::<Vec<_>>(), ["latency", "throughput", "queue_share"]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Name of the metric.
    pub metric: String,
    /// Whether less or more of it is better.
    pub direction: Direction,
    /// How the surrogate sees it. On the log scale, values that are not all positive are modelled
    /// linearly.
    pub scale: Scale,
    /// Bounds on other metrics, all to be met.
    #[serde(default)]
    pub constraints: Vec<Constraint>,
    /// A second goal that is traded off against the first: what is sought then is not one configuration
    /// but those that no other beats in both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Goal>,
}

/// A metric to optimise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// Name of the metric.
    pub metric: String,
    /// Whether less or more of it is better.
    pub direction: Direction,
    /// How the surrogate sees it, as for the objective.
    pub scale: Scale,
}

/// A bound on a metric that is known only after a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// Name of the metric.
    pub metric: String,
    /// The bound, in the metric's unit.
    pub bound: Bound,
    /// How the surrogate sees the metric, as for the objective.
    pub scale: Scale,
}

/// The side and place of a bound, in the metric's unit; the bound itself is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The metric must not fall below this.
    AtLeast(f64),
    /// The metric must not exceed this.
    AtMost(f64),
}

impl Objective {
    /// Minimises a positive metric such as a latency, modelled on a log scale.
    pub fn minimise(metric: impl Into<String>) -> Self {
        Goal::minimise(metric).into()
    }

    /// Maximises a positive metric such as a throughput, modelled on a log scale.
    pub fn maximise(metric: impl Into<String>) -> Self {
        Goal::maximise(metric).into()
    }

    /// Models the objective on a linear scale: for metrics that may be zero or negative.
    #[must_use]
    pub fn linear(mut self) -> Self {
        self.scale = Scale::Linear;
        self
    }

    /// Adds a constraint.
    #[must_use]
    pub fn subject_to(mut self, constraint: Constraint) -> Self {
        self.constraints.push(constraint);
        self
    }

    /// Trades the objective off against a second goal; in place of one that was named before.
    #[must_use]
    pub fn against(mut self, goal: Goal) -> Self {
        self.against = Some(goal);
        self
    }

    /// The objective's own goal.
    pub fn goal(&self) -> Goal {
        let Self { metric, direction, scale, .. } = self;
        Goal { metric: metric.clone(), direction: *direction, scale: *scale }
    }

    /// Names of all metrics that a measurement must hold: those of the goals, then the constraints'.
    pub fn metrics(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.metric.as_str())
            .chain(self.against.iter().map(|goal| goal.metric.as_str()))
            .chain(self.constraints.iter().map(|c| c.metric.as_str()))
    }

    /// Whether a measurement meets every constraint. A metric that was not measured meets none.
    pub fn is_feasible(&self, measurement: &Measurement) -> bool {
        self.constraints.iter().all(|constraint| {
            measurement.get(&constraint.metric).is_some_and(|estimate| {
                let may_be_above =
                    estimate.is_lower_bound && matches!(constraint.bound, Bound::AtMost(_));
                constraint.is_met(estimate.value) && !may_be_above
            })
        })
    }

    /// Whether objective value `a` is better than `b`.
    pub fn is_better(&self, a: f64, b: f64) -> bool {
        match self.direction {
            Direction::Minimise => a < b,
            Direction::Maximise => a > b,
        }
    }
}

impl From<Goal> for Objective {
    /// This goal alone, without constraints.
    fn from(Goal { metric, direction, scale }: Goal) -> Self {
        Self { metric, direction, scale, constraints: Vec::new(), against: None }
    }
}

impl Goal {
    /// Minimises a positive metric such as a latency, modelled on a log scale.
    pub fn minimise(metric: impl Into<String>) -> Self {
        Self { metric: metric.into(), direction: Direction::Minimise, scale: Scale::Log }
    }

    /// Maximises a positive metric such as a throughput, modelled on a log scale.
    pub fn maximise(metric: impl Into<String>) -> Self {
        Self { metric: metric.into(), direction: Direction::Maximise, scale: Scale::Log }
    }

    /// Models the metric on a linear scale: for metrics that may be zero or negative.
    #[must_use]
    pub fn linear(mut self) -> Self {
        self.scale = Scale::Linear;
        self
    }

    /// What a measurement gives for it, as a cost: less is better. `None` where the metric was not
    /// measured, or where less is better and it is known only to be so much or more, which wins nothing.
    pub fn cost(&self, measurement: &Measurement) -> Option<f64> {
        self.value(measurement).map(|value| self.direction.as_cost(value))
    }

    /// The same in the metric's unit.
    pub(crate) fn value(&self, measurement: &Measurement) -> Option<f64> {
        let Estimate { value, is_lower_bound, .. } = measurement.get(&self.metric)?;
        let may_be_worse = is_lower_bound && self.direction == Direction::Minimise;
        (!may_be_worse).then_some(value)
    }
}

impl Constraint {
    /// A positive metric such as a throughput must reach `bound`; modelled on a log scale.
    pub fn at_least(metric: impl Into<String>, bound: f64) -> Self {
        Self { metric: metric.into(), bound: Bound::AtLeast(bound), scale: Scale::Log }
    }

    /// A positive metric such as a latency must not exceed `bound`; modelled on a log scale.
    pub fn at_most(metric: impl Into<String>, bound: f64) -> Self {
        Self { metric: metric.into(), bound: Bound::AtMost(bound), scale: Scale::Log }
    }

    /// Models the metric on a linear scale: for metrics that may be zero, such as shares.
    #[must_use]
    pub fn linear(mut self) -> Self {
        self.scale = Scale::Linear;
        self
    }

    /// Whether a value of the metric meets the bound.
    pub fn is_met(&self, value: f64) -> bool {
        self.bound.is_met_by(value)
    }
}

impl Bound {
    /// The number that must not be passed.
    pub fn value(self) -> f64 {
        match self {
            Self::AtLeast(bound) | Self::AtMost(bound) => bound,
        }
    }

    /// Whether a value of the metric meets the bound.
    pub(crate) fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bound {
            Bound::AtLeast(bound) => write!(f, "{} >= {bound}", self.metric),
            Bound::AtMost(bound) => write!(f, "{} <= {bound}", self.metric),
        }
    }
}

/// A search space and an objective over it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    space: SearchSpace,
    objective: Objective,
}

impl Problem {
    /// Puts the two together.
    pub fn new(space: SearchSpace, objective: Objective) -> Self {
        Self { space, objective }
    }

    /// Where to search.
    pub fn space(&self) -> &SearchSpace {
        &self.space
    }

    /// What to search for.
    pub fn objective(&self) -> &Objective {
        &self.objective
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feasible_means_every_bound_is_met_and_bounds_are_allowed() {
        let objective = Objective::minimise("latency")
            .subject_to(Constraint::at_least("throughput", 10.0))
            .subject_to(Constraint::at_most("queue_share", 0.5).linear());
        let measured = |throughput, share| {
            Measurement::new()
                .with("latency", 1.0)
                .with("throughput", throughput)
                .with("queue_share", share)
        };
        assert!(objective.is_feasible(&measured(10.0, 0.5)));
        assert!(!objective.is_feasible(&measured(9.9, 0.5)));
        assert!(!objective.is_feasible(&measured(10.0, 0.6)));
        let bounded = |metric: &str| {
            let estimate = measured(10.0, 0.5).get(metric).expect("measured");
            let bound = Estimate { is_lower_bound: true, ..estimate };
            objective.is_feasible(&measured(10.0, 0.5).with_estimate(metric, bound))
        };
        assert!(bounded("throughput"), "more throughput meets the target too");
        assert!(!bounded("queue_share"), "it may be more than is allowed");
        assert!(!objective.is_feasible(&Measurement::new().with("throughput", 11.0)));
    }

    #[test]
    fn an_objective_stored_without_a_second_goal_has_none_and_is_stored_as_before() {
        let stored =
            r#"{"metric":"latency","direction":"minimise","scale":"log","constraints":[]}"#;
        let objective: Objective = serde_json::from_str(stored).unwrap();
        assert_eq!(objective, Objective::minimise("latency"));
        assert_eq!(serde_json::to_string(&objective).unwrap(), stored);
        let two = objective.against(Goal::maximise("fill").linear());
        let again: Objective = serde_json::from_str(&serde_json::to_string(&two).unwrap()).unwrap();
        assert_eq!(again, two);
    }
}
