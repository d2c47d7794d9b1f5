//! Which configurations may still be proposed.

use std::collections::BTreeMap;

use crate::{
    Configuration, DesignPoint, Entry, History, Outcome, SearchSpace, State,
    space::ENUMERATION_LIMIT,
};

/// Points tried as they are, before a walk picks from what is left where that can be enumerated, or
/// has its points mended where rules leave too little to be met by chance.
const TRIES: usize = 1024;

/// Points mended before a walk through any other space gives up.
const TRIES_WHEN_MENDED: usize = 1 << 14;

/// A configuration whose trial failed says nothing, so it may be tried again, but not for ever.
const FAILURES_ALLOWED: u32 = 1;

/// The configurations of a space that no trial of a history has tried.
///
/// Pending, completed and infeasible trials rule their configuration out at once, failed ones at
/// the second time.
#[derive(Clone, Debug)]
pub(super) struct Unseen<'a> {
    space: &'a SearchSpace,
    seen: BTreeMap<Key, u32>,
}

/// Coordinates of a design point, bit for bit: values that mean the same, such as 1 and 1.0 of a
/// float, have the same.
type Key = Vec<u64>;

/// `seen` counts failures; any other outcome counts as more than enough of them.
const TRIED: u32 = FAILURES_ALLOWED + 1;

impl<'a> Unseen<'a> {
    pub(super) fn new(space: &'a SearchSpace, history: &History) -> Self {
        let mut unseen = Self { space, seen: BTreeMap::new() };
        for Entry { trial, state } in history.entries() {
            let failed = matches!(state, State::Told { outcome: Outcome::Failed(_), .. });
            let count = unseen.seen.entry(key(&space.encode(&trial.configuration))).or_default();
            *count += if failed { 1 } else { TRIED };
        }
        unseen
    }

    /// Rules a configuration out.
    pub(super) fn remove(&mut self, configuration: &Configuration) {
        self.seen.insert(key(&self.space.encode(configuration)), TRIED);
    }

    /// Whether the configuration breaks no rule and was not tried.
    pub(super) fn holds(&self, configuration: &Configuration) -> bool {
        self.point(configuration).is_some()
    }

    /// The coordinates of the design point of a configuration that breaks no rule and was not tried.
    pub(super) fn point(&self, configuration: &Configuration) -> Option<Vec<f64>> {
        let point = self.space.encode(configuration);
        let is_tried = self.seen.get(&key(&point)).is_some_and(|&count| count >= TRIED);
        (!is_tried && self.space.allows(configuration)).then(|| point.into_coordinates())
    }

    /// All of them in lexicographic order, if the space is small enough to be enumerated.
    pub(super) fn all(&self) -> Option<Vec<Configuration>> {
        let mut all = self.space.enumerate(ENUMERATION_LIMIT)?;
        all.retain(|configuration| self.holds(configuration));
        Some(all)
    }

    /// The one that a configuration becomes when it may break no rule.
    pub(super) fn mended(&self, configuration: Configuration) -> Option<Configuration> {
        let mended = self.space.mended(configuration);
        mended.filter(|configuration| self.holds(configuration))
    }

    /// The first of them that a walk through the unit cube meets; where the walk keeps missing
    /// them, any of those left. `None` when none is left or none can be found.
    pub(super) fn first(&self, mut walk: impl Iterator<Item = Vec<f64>>) -> Option<Configuration> {
        let meet = |unit: Vec<f64>| {
            let configuration = self.space.configuration_at(&unit);
            self.holds(&configuration).then_some(configuration)
        };
        if let Some(met) = walk.by_ref().take(TRIES).find_map(meet) {
            return Some(met);
        }
        match self.all() {
            Some(left) => {
                let share = walk.next()?.first().copied()?;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0 <= share < 1"
                )]
                let position = (share * left.len() as f64) as usize;
                left.into_iter().nth(position)
            }
            None => walk
                .take(TRIES_WHEN_MENDED)
                .find_map(|unit| self.mended(self.space.configuration_at(&unit))),
        }
    }
}

fn key(point: &DesignPoint) -> Key {
    point.coordinates().iter().map(|coordinate| coordinate.to_bits()).collect()
}
