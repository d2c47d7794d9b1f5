//! Constrained Bayesian optimisation.
//!
//! After a quasi-random initial design, each suggestion is the configuration that maximises
//! log expected improvement + log P(every constraint is met) + log P(it can be measured) under
//! Gaussian processes of the objective, of each constrained metric and of what could be measured (Gardner et al. 2014; Ament et al. 2023).

mod maximise;
mod outcome;
mod surrogate;

use super::{Sampler, Sobol, SuggestError, Suggestion, unseen::Unseen};
use crate::{Entry, History, Origin, Outcome, Problem, State, random::derive};
pub(crate) use surrogate::{Noise, Surrogate};

/// Constrained Bayesian optimisation: the default.
///
/// The first max(5, min(10, d + 1)) trials, the user's included, are quasi-random. Pending trials
/// are believed to come out as the model expects (the kriging believer of Ginsbourger, Le Riche
/// and Carraro 2010), and so are the earlier ones of a batch. No configuration is proposed twice,
/// but once more where its trial failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bayesian;

/// Trials before the first model, in a space of `d` parameters.
fn initial_design_size(d: usize) -> usize {
    (d + 1).clamp(5, 10)
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
        let dimensions = space.parameters().len();
        let mut unseen = Unseen::new(space, history);
        let initial = initial_design_size(dimensions)
            .saturating_sub(history.entries().iter().filter(|entry| says_something(entry)).count())
            .min(count);
        let mut suggestions =
            Sobol::next(&mut unseen, dimensions, initial, seed, Origin::InitialDesign);
        if suggestions.len() < initial || initial == count {
            return Ok(suggestions);
        }

        let mut surrogate = Surrogate::fit(problem, history, Noise::Learnt)?;
        let pending = history.entries().iter().filter(|entry| entry.is_pending());
        let pending = pending.map(|entry| &entry.trial.configuration);
        for configuration in pending.chain(suggestions.iter().map(|s| &s.configuration)) {
            surrogate.believe(space.encode(configuration).coordinates())?;
        }
        while suggestions.len() < count {
            let position = (history.len() + suggestions.len()) as u64;
            let candidates = derive(seed, "candidates", position);
            let Some(configuration) = maximise::best(space, &unseen, &surrogate, candidates) else {
                break;
            };
            unseen.remove(&configuration);
            surrogate.believe(space.encode(&configuration).coordinates())?;
            suggestions.push(Suggestion { configuration, origin: Origin::Model });
        }
        Ok(suggestions)
    }
}

/// Whether a trial says, or will say, something of its configuration: failed ones do not.
fn says_something(entry: &Entry) -> bool {
    !matches!(entry.state, State::Told { outcome: Outcome::Failed(_), .. })
}
