//! What a study comes to: which configuration to use, and how sure that is.

use crate::{
    Configuration, Constraint, Direction, Entry, Estimate, History, Measurement, Objective,
    Problem, Scale, Trial, TrialId,
    acquisition::log_feasibility,
    gp::Posterior,
    sampler::{Noise, SuggestError, Surrogate},
};

/// A configuration is recommended only if it meets all targets, and starts, with this probability.
const SURE: f64 = 0.9;

/// Half the width of a 95 % interval of a normal variable, in standard deviations.
const HALF_WIDTH: f64 = 1.959_963_984_540_054;

/// What the trials of a study come to.
///
/// Candidates are the evaluated configurations. What is compared is the model's posterior there, not
/// the measured values: among many noisy measurements the best is the luckiest.
#[derive(Clone, Debug, PartialEq)]
pub enum Recommendation {
    /// The best configuration among those that meet the targets, and start, with a probability of at
    /// least 0.9: better than that of trial 0 beyond noise, or trial 0 is no choice.
    Better(Candidate),
    /// Nothing is better than the configuration of trial 0 beyond noise. Trial 0 is no choice where it
    /// was not measured, or where its measurement says with a probability of at least 0.9 that it
    /// misses a target.
    KeepDefault(Candidate),
    /// No evaluated configuration meets the targets and starts with a probability of at least 0.9,
    /// and trial 0 is no choice.
    NoneMeetsTargets {
        /// The trial that most probably does; `None` before anything was measured.
        closest: Option<Candidate>,
        /// The metric whose target it most probably misses; `None` where there are no targets.
        binding: Option<String>,
    },
}

/// An evaluated configuration and what the model says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The trial that evaluated it first.
    pub trial: TrialId,
    /// What was evaluated.
    pub configuration: Configuration,
    /// The median of the objective, in the metric's unit; `None` until a trial was seen to meet the
    /// targets, since the objective is not modelled before.
    pub objective: Option<f64>,
    /// The probability that all targets are met.
    pub meets_targets: f64,
    /// The 95 % interval of the gain over trial 0; `None` where trial 0 was not measured.
    pub gain: Option<Gain>,
}

/// A 95 % interval of how much better than trial 0 a configuration is: a share of trial 0's objective
/// where it is modelled on a log scale, and in the metric's unit where it is modelled linearly. Above
/// 0 is better, whatever the direction of the objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    /// 2.5 % lie below.
    pub low: f64,
    /// 2.5 % lie above.
    pub high: f64,
}

impl Recommendation {
    /// From the models of the search, which here take measurement errors for noise.
    pub(crate) fn of(problem: &Problem, history: &History) -> Result<Self, SuggestError> {
        let surrogate = Surrogate::fit(problem, history, Noise::MeasuredAndLearnt)?;
        let view =
            View { problem, surrogate: &surrogate, default: default_point(problem, history) };
        let mut usable = Vec::new();
        let mut closest: Option<Seen> = None;
        for (trial, measurement) in history.completed() {
            let seen = view.see(trial);
            if closest.as_ref().is_none_or(|closest| seen.chance() > closest.chance()) {
                closest = Some(seen.clone());
            }
            let sure = seen.candidate.meets_targets >= SURE && seen.valid >= SURE;
            if sure && problem.objective().is_feasible(measurement) {
                usable.push(seen);
            }
        }
        let best = best(&usable, problem.objective());
        let surely_better =
            |seen: &&Seen| seen.candidate.gain.is_none_or(|Gain { low, .. }| low > 0.0);
        let default = history.entries().first().and_then(|entry| {
            let chance = measured_chance(problem.objective(), entry.measurement()?);
            (chance >= 1.0 - SURE).then(|| view.see(&entry.trial).candidate)
        });
        match (default, best) {
            (Some(default), best) if !best.as_ref().is_some_and(surely_better) => {
                Ok(Self::KeepDefault(default))
            }
            (_, Some(best)) => Ok(Self::Better(best.candidate.clone())),
            (_, None) => {
                let binding = closest.as_ref().and_then(|seen| view.binding(&seen.point));
                let closest = closest.map(|seen| seen.candidate);
                Ok(Self::NoneMeetsTargets { closest, binding })
            }
        }
    }

    /// The configuration to use; `None` where none meets the targets.
    pub fn candidate(&self) -> Option<&Candidate> {
        match self {
            Self::Better(candidate) | Self::KeepDefault(candidate) => Some(candidate),
            Self::NoneMeetsTargets { .. } => None,
        }
    }
}

/// An evaluated configuration as the model sees it.
#[derive(Clone)]
struct Seen {
    candidate: Candidate,
    point: Vec<f64>,
    valid: f64,
}

impl Seen {
    fn chance(&self) -> f64 {
        self.candidate.meets_targets * self.valid
    }
}

struct View<'a> {
    problem: &'a Problem,
    surrogate: &'a Surrogate,
    /// Where trial 0 was measured.
    default: Option<Vec<f64>>,
}

impl View<'_> {
    fn see(&self, trial: &Trial) -> Seen {
        let point = self.problem.space().encode(&trial.configuration).coordinates().to_vec();
        let objective = self.surrogate.objective(&point);
        let gain = self.default.as_ref().and_then(|default| {
            let Posterior { mean, variance } = self.surrogate.difference(default, &point)?;
            let half = HALF_WIDTH * variance.sqrt();
            Some(Gain { low: mean - half, high: mean + half })
        });
        let share = |logarithm: f64| match self.problem.objective().direction {
            Direction::Minimise => -(-logarithm).exp_m1(),
            Direction::Maximise => logarithm.exp_m1(),
        };
        let gain = match objective {
            Some((_, Scale::Log)) => {
                gain.map(|Gain { low, high }| Gain { low: share(low), high: share(high) })
            }
            _ => gain,
        };
        let candidate = Candidate {
            trial: trial.id,
            configuration: trial.configuration.clone(),
            objective: objective.map(|(posterior, scale)| scale.backward(posterior.mean)),
            meets_targets: self.surrogate.feasibilities(&point).iter().product(),
            gain,
        };
        let valid = self.surrogate.validity(&point);
        Seen { candidate, point, valid }
    }

    /// The constraint least likely to be met.
    fn binding(&self, point: &[f64]) -> Option<String> {
        let constraints = self.problem.objective().constraints.iter();
        let each = constraints.zip(self.surrogate.feasibilities(point));
        each.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(constraint, _)| constraint.metric.clone())
    }
}

/// The probability that a configuration meets all targets, from its own measurement alone.
fn measured_chance(objective: &Objective, measurement: &Measurement) -> f64 {
    let each = |constraint: &Constraint| {
        let Some(Estimate { value, standard_error, .. }) = measurement.get(&constraint.metric)
        else {
            return 0.0;
        };
        if standard_error > 0.0 {
            log_feasibility(value, standard_error, constraint.bound).value.exp()
        } else if constraint.is_met(value) {
            1.0
        } else {
            0.0
        }
    };
    objective.constraints.iter().map(each).product()
}

/// The first of those with the best expected objective.
fn best<'a>(usable: &'a [Seen], objective: &Objective) -> Option<&'a Seen> {
    let value = |seen: &Seen| seen.candidate.objective.unwrap_or(f64::NAN);
    usable.iter().filter(|seen| seen.candidate.objective.is_some()).reduce(|best, next| {
        if objective.is_better(value(next), value(best)) { next } else { best }
    })
}

/// Where trial 0 lies, if it was measured.
fn default_point(problem: &Problem, history: &History) -> Option<Vec<f64>> {
    let Entry { trial, .. } = history.entries().first().filter(|e| e.measurement().is_some())?;
    Some(problem.space().encode(&trial.configuration).coordinates().to_vec())
}

#[cfg(test)]
mod tests;
