//! What a study comes to: which configuration to use, and how sure that is.

mod simpler;

pub use simpler::Simpler;

use crate::{
    Configuration, Constraint, Entry, Estimate, History, Measurement, Objective, Problem, Scale,
    Trial, TrialId,
    acquisition::log_feasibility,
    front::non_dominated,
    gp::Posterior,
    sampler::{Manner, Noise, SURE, SuggestError, Surrogate},
};

/// Half the width of a 95 % interval of a normal variable, in standard deviations.
const HALF_WIDTH: f64 = 1.959_963_984_540_054;

/// A gain is beyond noise where 0 lies this many standard deviations below it: the quantile of 99.5 %,
/// since what is compared with trial 0 is the best of many.
const BEYOND_NOISE: f64 = 2.575_829_303_548_901;

/// By its own measurements alone what is recommended meets the targets with at least this probability: the
/// model, which makes little of one configuration among many, may not overrule them.
const LIKELY: f64 = 0.7;

/// What the trials of a study come to. Where the objective has two goals, this is by the first; what
/// trades them off, [`Study::recommend_front`](crate::Study::recommend_front) tells.
///
/// Candidates are the evaluated configurations. What is compared is the model's posterior there, not
/// the measured values: among many noisy measurements the best is the luckiest.
#[derive(Clone, Debug, PartialEq)]
pub enum Recommendation {
    /// The best configuration among those that meet the targets, and start, with a probability of at
    /// least 0.95, of at least 0.7 by their own measurements alone: better than that of trial 0 beyond
    /// noise, or trial 0 is no choice.
    Better(Candidate),
    /// Nothing is better than the configuration of trial 0 beyond noise. Trial 0 is no choice where it
    /// was not measured, or where by its measurements it misses a target with a probability of more than
    /// 0.95.
    KeepDefault(Candidate),
    /// No evaluated configuration meets the targets and starts with a probability of at least 0.95,
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
    /// The same of the second goal; `None` too where there is none.
    pub against: Option<f64>,
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
        let surrogate =
            Surrogate::fit(problem, history, &[], Manner::new(Noise::MeasuredAndLearnt))?;
        Ok(Self::by(&surrogate, problem, history))
    }

    fn by(surrogate: &Surrogate, problem: &Problem, history: &History) -> Self {
        let view = View::new(problem, history, surrogate);
        let seen = view.see_all(history);
        match chosen(&seen, problem.objective()) {
            Some(Chosen::Default(default)) => Self::KeepDefault(default.candidate.clone()),
            Some(Chosen::Best(best)) => Self::Better(best.candidate.clone()),
            None => {
                // The first of those that most probably meet them.
                let closest = seen.iter().reduce(|closest, next| {
                    if next.chance() > closest.chance() { next } else { closest }
                });
                let binding = closest.and_then(|seen| view.binding(&seen.point));
                let closest = closest.map(|seen| seen.candidate.clone());
                Self::NoneMeetsTargets { closest, binding }
            }
        }
    }

    /// The configuration that would be recommended now, if it was measured fewer than `enough` times and
    /// its measurements leave open whether it meets the targets.
    pub(crate) fn in_doubt(
        surrogate: &Surrogate,
        problem: &Problem,
        history: &History,
        enough: usize,
    ) -> Option<Configuration> {
        let seen = View::new(problem, history, surrogate).see_all(history);
        let (Chosen::Default(seen) | Chosen::Best(seen)) = chosen(&seen, problem.objective())?;
        let is_open = seen.measured > 1.0 - SURE && seen.measured < SURE;
        (is_open && seen.measurements < enough).then(|| seen.candidate.configuration.clone())
    }

    /// The configurations among which to choose, as
    /// [`Study::recommend_front`](crate::Study::recommend_front) tells.
    pub(crate) fn front(
        problem: &Problem,
        history: &History,
    ) -> Result<Vec<Candidate>, SuggestError> {
        let surrogate =
            Surrogate::fit(problem, history, &[], Manner::new(Noise::MeasuredAndLearnt))?;
        let seen = View::new(problem, history, &surrogate).see_all(history);
        let usable = seen.into_iter().filter(Seen::is_usable).map(|seen| seen.candidate);
        let objective = problem.objective();
        let (candidates, costs): (Vec<Candidate>, Vec<[f64; 2]>) = usable
            .filter_map(|candidate| {
                let first = objective.direction.as_cost(candidate.objective?);
                let second = match &objective.against {
                    Some(goal) => goal.direction.as_cost(candidate.against?),
                    None => 0.0,
                };
                Some((candidate, [first, second]))
            })
            .unzip();
        Ok(non_dominated(&costs).into_iter().map(|i| candidates[i].clone()).collect())
    }

    /// The configuration to use; `None` where none meets the targets.
    pub fn candidate(&self) -> Option<&Candidate> {
        match self {
            Self::Better(candidate) | Self::KeepDefault(candidate) => Some(candidate),
            Self::NoneMeetsTargets { .. } => None,
        }
    }
}

/// An evaluated configuration: the trial that measured it first, and all its measurements.
struct Evaluated<'a> {
    trial: &'a Trial,
    measurements: Vec<&'a Measurement>,
}

/// The configurations that were measured, in the order in which they first were.
fn evaluated(history: &History) -> Vec<Evaluated<'_>> {
    let mut all: Vec<Evaluated<'_>> = Vec::new();
    for (trial, measurement) in history.completed() {
        match all.iter_mut().find(|seen| seen.trial.configuration == trial.configuration) {
            Some(seen) => seen.measurements.push(measurement),
            None => all.push(Evaluated { trial, measurements: vec![measurement] }),
        }
    }
    all
}

impl Evaluated<'_> {
    /// The mean of the measurements of a metric, and its standard error.
    fn pooled(&self, metric: &str) -> Option<Estimate> {
        let all: Option<Vec<Estimate>> = self.measurements.iter().map(|m| m.get(metric)).collect();
        let all = all?;
        let n = all.len() as f64;
        let value = all.iter().map(|estimate| estimate.value).sum::<f64>() / n;
        let variances: f64 = all.iter().map(|estimate| estimate.standard_error.powi(2)).sum();
        Some(Estimate::new(value, variances.sqrt() / n))
    }

    /// The probability that all targets are met, from the measurements alone.
    fn measured_chance(&self, objective: &Objective) -> f64 {
        let each = |constraint: &Constraint| match self.pooled(&constraint.metric) {
            Some(Estimate { value, standard_error, .. }) if standard_error > 0.0 => {
                log_feasibility(value, standard_error, constraint.bound).value.exp()
            }
            Some(Estimate { value, .. }) if constraint.is_met(value) => 1.0,
            _ => 0.0,
        };
        objective.constraints.iter().map(each).product()
    }
}

/// An evaluated configuration as the model sees it.
struct Seen {
    candidate: Candidate,
    point: Vec<f64>,
    valid: f64,
    /// How often it was measured.
    measurements: usize,
    /// The probability that all targets are met, from its measurements alone.
    measured: f64,
    /// Whether it is better than trial 0 beyond noise, or there is no trial 0 to compare with.
    beyond_noise: bool,
}

impl Seen {
    fn chance(&self) -> f64 {
        self.candidate.meets_targets * self.valid
    }

    /// Whether it surely meets the targets and starts, and its measurements do not speak against it.
    fn is_usable(&self) -> bool {
        self.candidate.meets_targets >= SURE && self.valid >= SURE && self.measured >= LIKELY
    }

    /// Whether its measurements leave it open that it meets the targets. The model has no say: it makes
    /// little of one configuration among many.
    fn may_meet_targets(&self) -> bool {
        self.measured >= 1.0 - SURE
    }
}

struct View<'a> {
    problem: &'a Problem,
    surrogate: &'a Surrogate,
    /// Where trial 0 was measured.
    default: Option<Vec<f64>>,
}

impl<'a> View<'a> {
    fn new(problem: &'a Problem, history: &History, surrogate: &'a Surrogate) -> Self {
        Self { problem, surrogate, default: default_point(problem, history) }
    }

    fn see_all(&self, history: &History) -> Vec<Seen> {
        evaluated(history).iter().map(|evaluated| self.see(evaluated)).collect()
    }

    fn see(&self, evaluated: &Evaluated<'_>) -> Seen {
        let trial = evaluated.trial;
        let point = self.problem.space().encode(&trial.configuration).coordinates().to_vec();
        let objective = self.surrogate.objective(&point);
        let difference =
            self.default.as_ref().and_then(|default| self.surrogate.difference(default, &point));
        let gain = difference.map(|Posterior { mean, variance }| {
            let half = HALF_WIDTH * variance.sqrt();
            Gain { low: mean - half, high: mean + half }
        });
        let beyond_noise = difference
            .is_none_or(|Posterior { mean, variance }| mean > BEYOND_NOISE * variance.sqrt());
        let share = |logarithm| self.problem.objective().direction.gain_share(logarithm);
        let gain = match objective {
            Some((_, Scale::Log)) => {
                gain.map(|Gain { low, high }| Gain { low: share(low), high: share(high) })
            }
            _ => gain,
        };
        let median = |(posterior, scale): (Posterior, Scale)| scale.backward(posterior.mean);
        let candidate = Candidate {
            trial: trial.id,
            configuration: trial.configuration.clone(),
            objective: objective.map(median),
            against: self.surrogate.against(&point).map(median),
            meets_targets: self.surrogate.feasibilities(&point).iter().product(),
            gain,
        };
        let valid = self.surrogate.validity(&point);
        let measured = evaluated.measured_chance(self.problem.objective());
        let measurements = evaluated.measurements.len();
        Seen { candidate, point, valid, measurements, measured, beyond_noise }
    }

    /// The constraint least likely to be met.
    fn binding(&self, point: &[f64]) -> Option<String> {
        let constraints = self.problem.objective().constraints.iter();
        let each = constraints.zip(self.surrogate.feasibilities(point));
        each.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(constraint, _)| constraint.metric.clone())
    }
}

/// Which configuration is recommended.
enum Chosen<'a> {
    /// That of trial 0.
    Default(&'a Seen),
    /// The best of those that are usable.
    Best(&'a Seen),
}

/// `None` where none is usable and trial 0 is no choice.
fn chosen<'a>(seen: &'a [Seen], objective: &Objective) -> Option<Chosen<'a>> {
    let usable: Vec<&Seen> = seen.iter().filter(|seen| seen.is_usable()).collect();
    let best = best(&usable, objective);
    let is_first = |seen: &&Seen| seen.candidate.trial == TrialId(0);
    let default = seen.iter().find(is_first).filter(|seen| seen.may_meet_targets());
    match (default, best) {
        (Some(default), best) if !best.is_some_and(|best| best.beyond_noise) => {
            Some(Chosen::Default(default))
        }
        (_, best) => best.map(Chosen::Best),
    }
}

/// The first of those with the best expected objective.
fn best<'a>(usable: &[&'a Seen], objective: &Objective) -> Option<&'a Seen> {
    let value = |seen: &Seen| seen.candidate.objective.unwrap_or(f64::NAN);
    usable.iter().copied().filter(|seen| seen.candidate.objective.is_some()).reduce(|best, next| {
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
