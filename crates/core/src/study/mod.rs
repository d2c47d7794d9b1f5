//! Ask and tell: one optimisation with its history.

use std::collections::VecDeque;

use crate::{
    Candidate, Configuration, ConfigurationError, Estimate, History, Measurement, Origin, Outcome,
    Problem, Recommendation, Simpler, State, Trial, TrialId,
    random::derive,
    sampler::{RemainingGain, Sampler, SuggestError, Suggestion, promising_opening},
    trial::opening,
};

/// Numbers beyond this are taken for a mistake, and would overflow where they are squared.
const LARGEST: f64 = 1e100;

/// One optimisation: a problem, a sampler, a seed, and the history they have so far.
///
/// The caller drives it: [`ask`](Self::ask) for a trial, evaluate it in any way, in any order and
/// as many at once as wanted, and [`tell`](Self::tell) what came of it.
#[derive(Debug)]
pub struct Study {
    problem: Problem,
    sampler: Box<dyn Sampler>,
    seed: u64,
    history: History,
    /// Configurations that the user wants evaluated before the sampler's.
    given: VecDeque<Configuration>,
}

impl Study {
    /// Starts a study without trials.
    ///
    /// # Errors
    /// [`StudyError::Constraint`] when a constraint's bound is not a usable number.
    pub fn new(problem: Problem, sampler: Box<dyn Sampler>, seed: u64) -> Result<Self, StudyError> {
        Self::resume(problem, sampler, seed, History::new())
    }

    /// Goes on from a stored history as if the study had never stopped: the next
    /// [`ask`](Self::ask) gives what it would have given then.
    ///
    /// # Errors
    /// When a bound is not a usable number, or when a stored trial does not fit the problem: its
    /// number, its configuration, or its measurement.
    pub fn resume(
        problem: Problem,
        sampler: Box<dyn Sampler>,
        seed: u64,
        history: History,
    ) -> Result<Self, StudyError> {
        for constraint in &problem.objective().constraints {
            if !is_usable(constraint.bound.value()) {
                return Err(StudyError::Constraint {
                    metric: constraint.metric.clone(),
                    bound: constraint.bound.value(),
                });
            }
        }
        for (position, entry) in history.entries().iter().enumerate() {
            let id = entry.trial.id;
            if id.0 != position as u64 {
                return Err(StudyError::Numbering { id, position });
            }
            problem
                .space()
                .check(&entry.trial.configuration)
                .map_err(|source| StudyError::Configuration { id, source })?;
            if let State::Told { outcome, cost } = &entry.state {
                check(&problem, id, outcome, *cost)
                    .map_err(|source| StudyError::Outcome { id, source })?;
            }
        }
        Ok(Self { problem, sampler, seed, history, given: VecDeque::new() })
    }

    /// Puts a configuration of the user's, such as a baseline, before the sampler's suggestions.
    ///
    /// # Errors
    /// When it does not belong to the search space.
    pub fn enqueue(&mut self, configuration: Configuration) -> Result<(), ConfigurationError> {
        self.problem.space().check(&configuration)?;
        self.given.push_back(configuration);
        Ok(())
    }

    /// The next trial to evaluate, now pending; `None` when the sampler has nothing left to try.
    ///
    /// # Errors
    /// When the sampler cannot give a suggestion; the study is unchanged.
    pub fn ask(&mut self) -> Result<Option<Trial>, AskError> {
        Ok(self.ask_many(1)?.pop())
    }

    /// Up to `count` trials to evaluate at once, now pending; fewer, or none, when the sampler has
    /// no more to try.
    ///
    /// # Errors
    /// When the sampler cannot give a suggestion; the study is unchanged.
    pub fn ask_many(&mut self, count: usize) -> Result<Vec<Trial>, AskError> {
        let from_user = count.min(self.given.len());
        let mut suggestions: Vec<Suggestion> = Vec::new();
        if from_user < count {
            // Nothing is taken from the queue before the sampler has succeeded.
            let mut known = self.history.clone();
            for configuration in self.given.iter().take(from_user) {
                let trial = self.trial(known.len(), configuration.clone(), Origin::Given);
                known.push(trial);
            }
            suggestions =
                self.sampler.suggest(&self.problem, &known, count - from_user, self.seed)?;
        }
        let given = self.given.drain(..from_user).collect::<Vec<_>>();
        let given = given
            .into_iter()
            .map(|configuration| Suggestion { configuration, origin: Origin::Given });
        let mut trials = Vec::new();
        for Suggestion { configuration, origin } in given.chain(suggestions) {
            debug_assert_eq!(self.problem.space().check(&configuration), Ok(()));
            let trial = self.trial(self.history.len(), configuration, origin);
            self.history.push(trial.clone());
            trials.push(trial);
        }
        Ok(trials)
    }

    /// Takes what came of a pending trial. `cost` is what the evaluation cost, in any one unit.
    ///
    /// # Errors
    /// When no such trial is pending, or the outcome is unusable; the study is unchanged, so a
    /// corrected outcome can be told.
    pub fn tell(&mut self, id: TrialId, outcome: Outcome, cost: f64) -> Result<(), TellError> {
        let asked = self.history.len() as u64;
        check(&self.problem, id, &outcome, cost)?;
        let opening = opening(&self.problem.objective().metric);
        if let Outcome::Pruned(measurement) = &outcome
            && measurement.get(&opening).is_none()
        {
            return Err(missing(id, &opening, measurement));
        }
        let entry = self.history.get_mut(id).ok_or(TellError::NeverAsked { id, asked })?;
        match &entry.state {
            State::Pending => {
                entry.state = State::Told { outcome, cost };
                Ok(())
            }
            State::Told { outcome, .. } => Err(TellError::ToldTwice { id, first: outcome.name() }),
        }
    }

    /// What the trials so far come to: a configuration that is better than that of trial 0, or that
    /// it is best kept, or that no evaluated configuration meets the targets.
    ///
    /// # Errors
    /// When the models of the outcomes cannot be fitted.
    pub fn recommend(&self) -> Result<Recommendation, SuggestError> {
        Recommendation::of(&self.problem, &self.history)
    }

    /// Which of the changes from `base` to `changed`, two configurations of the space, the models need: the
    /// configuration without those that they expect to do nothing to the first goal and to the targets. `None`
    /// where every change is needed, or none.
    ///
    /// # Errors
    /// When the models of the outcomes cannot be fitted.
    pub fn simpler(
        &self,
        changed: &Configuration,
        base: &Configuration,
    ) -> Result<Option<Simpler>, SuggestError> {
        Simpler::of(&self.problem, &self.history, changed, base)
    }

    /// The evaluated configurations among which to choose: of those that meet the targets, and start, with
    /// a probability of at least 0.95, and that do not speak against it by their own measurements, those
    /// that no other beats in the medians of both goals; best first by the first goal. Where the objective
    /// has one goal, the best alone. Empty while none is so sure.
    ///
    /// # Errors
    /// When the models of the outcomes cannot be fitted.
    pub fn recommend_front(&self) -> Result<Vec<Candidate>, SuggestError> {
        Recommendation::front(&self.problem, &self.history)
    }

    /// How much better than the incumbent a configuration not yet evaluated may be, or how much further the
    /// front of two goals may reach; `None` until a trial meets every target. A study may end when this is below what is worth a trial.
    ///
    /// # Errors
    /// When the models of the outcomes cannot be fitted.
    pub fn remaining_gain(&self) -> Result<Option<RemainingGain>, SuggestError> {
        RemainingGain::of(&self.problem, &self.history, self.seed)
    }

    /// How good the [opening](crate::opening) of a pending trial must be for the trial to go on: the worst
    /// value of the objective's, in its unit, after which the whole trial still beats the incumbent with a
    /// probability of 0.05. `None` where that cannot be told: before four trials are completed, without an
    /// incumbent, while the openings of the trials so far say too little of how they ended, or of two goals; and
    /// of what is wanted whole, a configuration that was given or a repeat.
    ///
    /// # Errors
    /// When the models of the outcomes cannot be fitted.
    pub fn promising_opening(&self, trial: &Trial) -> Result<Option<f64>, SuggestError> {
        promising_opening(&self.problem, &self.history, trial)
    }

    /// What is optimised, and where.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// All trials so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Root of all random streams.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What proposes the trials.
    pub fn sampler(&self) -> &dyn Sampler {
        self.sampler.as_ref()
    }

    fn trial(&self, position: usize, configuration: Configuration, origin: Origin) -> Trial {
        let id = TrialId(position as u64);
        Trial { id, configuration, origin, seed: derive(self.seed, "trial", id.0) }
    }
}

/// Whether an outcome can be learnt from.
fn check(problem: &Problem, id: TrialId, outcome: &Outcome, cost: f64) -> Result<(), TellError> {
    if !(cost.is_finite() && cost >= 0.0) {
        return Err(TellError::Cost { id, cost });
    }
    let (Outcome::Completed(measurement) | Outcome::Pruned(measurement)) = outcome else {
        return Ok(());
    };
    for (metric, estimate) in measurement.iter() {
        let Estimate { value, standard_error, .. } = estimate;
        let (field, value) = if !is_usable(value) {
            ("value", value)
        } else if !(is_usable(standard_error) && standard_error >= 0.0) {
            ("standard error", standard_error)
        } else {
            continue;
        };
        return Err(TellError::OutOfRange { id, metric: metric.to_owned(), field, value });
    }
    // A trial that was pruned by one objective may be read under another, of which it says nothing.
    let is_whole = matches!(outcome, Outcome::Completed(_));
    let mut needed = problem.objective().metrics().filter(|_| is_whole);
    match needed.find(|metric| measurement.get(metric).is_none()) {
        Some(metric) => Err(missing(id, metric, measurement)),
        None => Ok(()),
    }
}

fn missing(id: TrialId, metric: &str, measurement: &Measurement) -> TellError {
    TellError::MissingMetric { id, metric: metric.to_owned(), measured: names(measurement) }
}

/// NaN is not.
fn is_usable(number: f64) -> bool {
    number.abs() <= LARGEST
}

fn names(measurement: &Measurement) -> String {
    measurement.iter().map(|(metric, _)| metric).collect::<Vec<_>>().join(", ")
}

/// Why a study cannot start or go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// A bound is NaN, or beyond ±1e100.
    #[error(
        "constraint on `{metric}`: the bound {bound} is not a number from -1e100 to 1e100; give one, or drop the constraint"
    )]
    Constraint {
        /// The constrained metric.
        metric: String,
        /// The bound seen.
        bound: f64,
    },
    /// Stored trials are not numbered 0, 1, 2, …
    #[error(
        "trial {id} stands at position {position} of the history; trials are numbered from 0 without gaps"
    )]
    Numbering {
        /// The number seen.
        id: TrialId,
        /// Where it stands.
        position: usize,
    },
    /// A stored configuration is not of this space.
    #[error("trial {id} of the history does not fit the search space: {source}")]
    Configuration {
        /// The trial.
        id: TrialId,
        /// What does not fit.
        source: ConfigurationError,
    },
    /// A stored outcome is unusable.
    #[error("trial {id} of the history has an unusable outcome: {source}")]
    Outcome {
        /// The trial.
        id: TrialId,
        /// What is wrong with it.
        source: TellError,
    },
}

/// Why no trial can be asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The sampler failed.
    #[error(transparent)]
    Sampler(#[from] SuggestError),
}

/// Why an outcome was not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TellError {
    /// No trial has that number.
    #[error(
        "trial {id} was never asked for; {asked} trials were asked for so far, numbered from 0"
    )]
    NeverAsked {
        /// The number seen.
        id: TrialId,
        /// How many trials there are.
        asked: u64,
    },
    /// The outcome is known already.
    #[error("trial {id} was already told ({first}); the first outcome is kept")]
    ToldTwice {
        /// The trial.
        id: TrialId,
        /// Name of the outcome that is kept.
        first: &'static str,
    },
    /// The objective needs a metric that was not measured.
    #[error(
        "trial {id}: the objective needs metric `{metric}`, which was not measured; measured: {measured}"
    )]
    MissingMetric {
        /// The trial.
        id: TrialId,
        /// The metric that is missing.
        metric: String,
        /// The metrics that are there.
        measured: String,
    },
    /// A number is NaN, beyond ±1e100, or a negative standard error.
    #[error(
        "trial {id}: the {field} of metric `{metric}` is {value}; tell a number from -1e100 to 1e100 (a standard error: 0 or more), or tell the trial as infeasible or failed"
    )]
    OutOfRange {
        /// The trial.
        id: TrialId,
        /// The metric.
        metric: String,
        /// `value` or `standard error`.
        field: &'static str,
        /// The number seen.
        value: f64,
    },
    /// The cost is NaN, infinite or negative.
    #[error("trial {id}: the cost is {cost}; tell a finite number, 0 or more")]
    Cost {
        /// The trial.
        id: TrialId,
        /// The number seen.
        cost: f64,
    },
}

#[cfg(test)]
mod tests;
