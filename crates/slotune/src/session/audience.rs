//! Who hears of a session.

use slotune_results::StudyRole;
use slotune_serving::Silent;

use crate::Observer;

/// Hears of each study of a session, as [`Observer`] does of each trial of one.
pub trait Audience: Sync {
    /// A study begins, or goes on where it was left. What is returned hears of its trials, and is
    /// dropped when it ends.
    fn hear_of(&self, study: &StudyUnderWay<'_>) -> Box<dyn Observer + '_>;
}

/// Hears nothing.
impl Audience for Silent {
    fn hear_of(&self, _: &StudyUnderWay<'_>) -> Box<dyn Observer + '_> {
        Box::new(Self)
    }
}

/// A study that begins or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StudyUnderWay<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is for.
    pub role: StudyRole,
    /// Most trials.
    pub trials: u32,
    /// How many of them are stored.
    pub done: usize,
    /// Of a final: how many configurations are repeated, vLLM's default among them.
    pub contenders: Option<usize>,
}
