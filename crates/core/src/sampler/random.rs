//! Placeholder.
use super::{Sampler, SuggestError, Suggestion};
use crate::{History, Problem};

/// Placeholder.
#[derive(Clone, Debug, Default)]
pub struct Random;

impl Sampler for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn suggest(
        &self,
        _: &Problem,
        _: &History,
        _: usize,
        _: u64,
    ) -> Result<Vec<Suggestion>, SuggestError> {
        Ok(vec![])
    }
}
