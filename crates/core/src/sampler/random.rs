//! Uniform random search.

use rand::RngExt;

use super::{Sampler, SuggestError, Suggestion, unseen::Unseen};
use crate::{History, Origin, Problem, random::stream};

/// Random search without repeats: uniform along each axis, on the parameter's scale, among the
/// configurations that break no rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Sampler for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn suggest(
        &self,
        problem: &Problem,
        history: &History,
        count: usize,
        seed: u64,
    ) -> Result<Vec<Suggestion>, SuggestError> {
        let dimensions = problem.space().parameters().len();
        let mut unseen = Unseen::new(problem.space(), history);
        let mut suggestions = Vec::new();
        for position in (history.len()..).take(count) {
            // One stream a trial, so that asking for two at once is asking twice.
            let mut random = stream(seed, "random search", position as u64);
            let walk =
                std::iter::repeat_with(|| (0..dimensions).map(|_| random.random()).collect());
            let Some(configuration) = unseen.first(walk) else { break };
            unseen.remove(&configuration);
            suggestions.push(Suggestion { configuration, origin: Origin::Sampled });
        }
        Ok(suggestions)
    }
}
