//! Constrained Bayesian optimisation.
//!
//! After a quasi-random initial design, each suggestion is the configuration that maximises
//! log expected improvement + log P(every constraint is met) + log P(it can be measured) under
//! Gaussian processes of the objective, of each constrained metric and of what could be measured
//! (Gardner et al. 2014; Ament et al. 2023), less λ log cost where a budget of cost is scarce. Of two
//! goals, what is expected is the growth of the hypervolume that their front dominates (Yang et al. 2019).

mod maximise;
mod model;
mod modelling;
mod opening;
mod outcome;
mod part;
mod price;
mod region;
mod remaining;
mod repeat;
mod score;
mod surrogate;
mod threads;
mod tradeoff;
mod transfer;

use super::{Sampler, Sobol, SuggestError, Suggestion, unseen::Unseen};
use crate::{
    Configuration, Entry, History, Origin, Outcome, Problem, State, Trial, random::derive,
};
pub(crate) use opening::promising_opening;
pub use part::Part;
use price::{Budget, Price};
use region::Region;
pub use remaining::RemainingGain;
pub(crate) use surrogate::{Manner, Noise, SURE, Surrogate};
use threads::Threads;

/// Constrained Bayesian optimisation: the default.
///
/// The first max(5, min(10, d + 1)) trials, the user's included, are quasi-random; where past studies
/// are known, three trials, the best configurations of the past among them, are enough. Pending trials
/// are believed to come out as the model expects (the kriging believer of Ginsbourger, Le Riche
/// and Carraro 2010), and so are the earlier ones of a batch.
///
/// Where measurements have an error and the space has more than 20 configurations, the first
/// configuration is measured twice at the start, and one that may be the best is measured again when
/// that promises more than a new one. At most every fifth trial measures again what would be recommended,
/// up to six times in all, while it is open whether it meets the targets. No other configuration is
/// proposed twice, but once more where its trial failed.
///
/// With more than 20 parameters, the model's suggestions come from a region around the incumbent, which
/// grows while they are better than all before and shrinks while they are not (Eriksson and Poloczek
/// 2021).
#[derive(Clone, Debug, Default)]
pub struct Bayesian {
    past: Vec<History>,
    budget: Option<Budget>,
    left_out: Option<Part>,
    threads: Threads,
}

/// Most parameters of a space that is searched as a whole.
const LARGEST_WHOLE: usize = 20;

/// Trials before the first model in a space of `d` parameters.
fn initial_design_size(d: usize, knows_past: bool) -> usize {
    if knows_past { 3 } else { (d + 1).clamp(5, 10) }
}

impl Bayesian {
    /// A search that learns from past studies too, such as those of another day, model or GPU, or of
    /// the simulator. They must name the same metrics; of their trials only those count whose
    /// configuration belongs to the search space. Those that rank this study's trials no better than
    /// chance are ignored.
    pub fn learning_from(past: Vec<History>) -> Self {
        Self { past, ..Self::default() }
    }

    /// The same search in a study that ends when its trials together have cost `cost`, a positive number
    /// in the unit that [`Study::tell`](crate::Study::tell) takes, or when there were `trials` of them.
    ///
    /// Where the cost will be spent before the trials, at the mean cost so far, and depends on the
    /// configuration as far as the trials tell, improvement is sought per unit of cost, and the cost counts
    /// for less the more of it is spent. Otherwise suggestions are what they would be without a budget.
    #[must_use]
    pub fn within_cost(mut self, cost: f64, trials: usize) -> Self {
        self.budget = Some(Budget { cost, trials });
        self
    }

    /// The same search without one of its parts.
    #[must_use]
    pub fn without(mut self, part: Part) -> Self {
        self.left_out = Some(part);
        self
    }

    fn has(&self, part: Part) -> bool {
        self.left_out != Some(part)
    }

    /// The best configurations of each past study, by its own measurements.
    fn best_of_past<'a>(&'a self, problem: &'a Problem) -> impl Iterator<Item = &'a Configuration> {
        let best = |past: &'a History| past.front(problem.objective());
        let configurations =
            self.past.iter().flat_map(best).map(|entry| &entry.trial.configuration);
        configurations.filter(|best| problem.space().check(best).is_ok())
    }

    fn initial_design(
        &self,
        problem: &Problem,
        history: &History,
        unseen: &mut Unseen<'_>,
        count: usize,
        seed: u64,
    ) -> Vec<Suggestion> {
        let dimensions = problem.space().parameters().len();
        let known = history.entries().iter().filter(|entry| says_something(entry)).count();
        let size = initial_design_size(dimensions, !self.past.is_empty());
        let mut left = size.saturating_sub(known).min(count);
        let mut suggestions = Vec::new();
        if left > 0
            && self.has(Part::Repeats)
            && let Some(configuration) = first_again(problem, history)
        {
            suggestions.push(Suggestion { configuration, origin: Origin::Repeat });
            left -= 1;
        }
        for configuration in self.best_of_past(problem) {
            if left > 0 && unseen.holds(configuration) {
                unseen.remove(configuration);
                let configuration = configuration.clone();
                suggestions.push(Suggestion { configuration, origin: Origin::InitialDesign });
                left -= 1;
            }
        }
        suggestions.extend(Sobol::next(unseen, dimensions, left, seed, Origin::InitialDesign));
        suggestions
    }
}

impl Sampler for Bayesian {
    fn name(&self) -> &'static str {
        "bayesian"
    }

    fn suggest(
        &self,
        problem: &Problem,
        history: &History,
        count: usize,
        seed: u64,
    ) -> Result<Vec<Suggestion>, SuggestError> {
        let space = problem.space();
        let mut unseen = Unseen::new(space, history);
        let mut suggestions = self.initial_design(problem, history, &mut unseen, count, seed);
        if suggestions.len() == count {
            return Ok(suggestions);
        }

        let Self { left_out, threads, .. } = *self;
        let manner = Manner { noise: Noise::Learnt, left_out, threads };
        let mut surrogate = Surrogate::fit(problem, history, &self.past, manner)?;
        if let Some(budget) = self.budget {
            surrogate.price = Price::learn(problem, history, budget)?;
        }
        let region = if space.parameters().len() > LARGEST_WHOLE && self.has(Part::Region) {
            Region::around_incumbent(problem, history, &surrogate)
        } else {
            Region::Whole
        };
        let mut repeat = None;
        if self.has(Part::Repeats) {
            match repeat::in_doubt(problem, history, &surrogate) {
                Some(configuration) if suggestions.is_empty() => {
                    suggestions.push(Suggestion { configuration, origin: Origin::Repeat });
                }
                _ => repeat = repeat::candidate(problem, history, &surrogate),
            }
        }
        let pending = history.entries().iter().filter(|entry| entry.is_pending());
        let pending = pending.map(|entry| &entry.trial.configuration);
        for configuration in pending.chain(suggestions.iter().map(|s| &s.configuration)) {
            surrogate.believe(space.encode(configuration).coordinates())?;
        }
        while suggestions.len() < count {
            let position = (history.len() + suggestions.len()) as u64;
            let candidates = derive(seed, "candidates", position);
            let new = maximise::best(space, &unseen, &region, &surrogate, candidates);
            let Some((best, origin)) = maximise::better(space, &surrogate, new, &mut repeat) else {
                break;
            };
            unseen.remove(&best);
            surrogate.believe(space.encode(&best).coordinates())?;
            suggestions.push(Suggestion { configuration: best, origin });
        }
        Ok(suggestions)
    }
}

/// Whether a trial says, or will say, something of its configuration: failed ones do not.
fn says_something(entry: &Entry) -> bool {
    !matches!(entry.state, State::Told { outcome: Outcome::Failed(_), .. })
}

/// The configuration of trial 0, if the user gave it, it was measured with an error and no other trial
/// has it: its repeat tells from the start how far runs differ.
fn first_again(problem: &Problem, history: &History) -> Option<Configuration> {
    let (first, rest) = history.entries().split_first()?;
    let Trial { configuration, origin, .. } = &first.trial;
    first.measurement()?;
    let is_only = rest.iter().all(|entry| entry.trial.configuration != *configuration);
    let is_due = *origin == Origin::Given && is_only;
    (is_due && repeat::is_worth_it(problem, history)).then(|| configuration.clone())
}

#[cfg(test)]
mod tests;
