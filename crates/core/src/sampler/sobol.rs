//! Quasi-random search.

use super::{Sampler, SuggestError, Suggestion, unseen::Unseen};
use crate::{
    History, Origin, Problem,
    random::{SobolPoints, derive},
};

/// Quasi-random search without repeats: a scrambled Sobol sequence, which fills the space more
/// evenly than random points do, less the points that break a rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sobol;

impl Sobol {
    /// The next points of the sequence that are still unseen.
    pub(super) fn next(
        unseen: &mut Unseen<'_>,
        dimensions: usize,
        count: usize,
        seed: u64,
        origin: Origin,
    ) -> Vec<Suggestion> {
        let next = || {
            // Always from the start: points that were tried are passed over, so the sequence goes
            // on where it stopped without having to be remembered.
            let configuration =
                unseen.first(SobolPoints::new(dimensions, derive(seed, "sobol search", 0)))?;
            unseen.remove(&configuration);
            Some(Suggestion { configuration, origin })
        };
        std::iter::from_fn(next).take(count).collect()
    }
}

impl Sampler for Sobol {
    fn name(&self) -> &'static str {
        "sobol"
    }

    fn suggest(
        &self,
        problem: &Problem,
        history: &History,
        count: usize,
        seed: u64,
    ) -> Result<Vec<Suggestion>, SuggestError> {
        let mut unseen = Unseen::new(problem.space(), history);
        let dimensions = problem.space().parameters().len();
        Ok(Self::next(&mut unseen, dimensions, count, seed, Origin::Sampled))
    }
}
