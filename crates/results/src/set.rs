//! A result set in memory.

use slotune_core::Entry;
use slotune_serving::ServerFacts;

use crate::Manifest;

/// A result set as it was read: its manifest and all trials that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultSet {
    /// What the set is of.
    pub manifest: Manifest,
    /// All trials, by study in the manifest's order, then by number.
    pub trials: Vec<StoredTrial>,
}

/// A finished trial and where it belongs.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTrial {
    /// Name of its study.
    pub study: String,
    /// What it is known as, such as `baseline` or `default`.
    pub label: Option<String>,
    /// The trial with its outcome.
    pub entry: Entry,
    /// What the server told, where it ran.
    pub server: Option<ServerFacts>,
}

impl ResultSet {
    /// The trials of one study, by number.
    pub fn study<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a StoredTrial> {
        self.trials.iter().filter(move |trial| trial.study == name)
    }
}
