//! Placeholder.
use super::{Sampler, SuggestError, Suggestion};
use crate::{History, Problem};

/// Placeholder.
#[derive(Clone, Debug, Default)]
pub struct Sobol;

impl Sampler for Sobol {
    fn name(&self) -> &'static str {
        "sobol"
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
