//! All trials of a study: the only state that a search has.

use serde::{Deserialize, Serialize};

use crate::{
    Estimate, Measurement, Objective, Outcome, Trial, TrialId, front::front_of, trial::opening,
};

/// All trials of a study in the order they were asked for.
///
/// Append-only. A sampler is a deterministic function of (problem, history, seed), so resuming a
/// study means reading its history.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History {
    entries: Vec<Entry>,
}

/// A trial and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The trial.
    pub trial: Trial,
    /// Whether its outcome is known.
    pub state: State,
}

/// Whether the outcome of a trial is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Asked and not yet told.
    Pending,
    /// Told.
    Told {
        /// What came of it.
        outcome: Outcome,
        /// What the evaluation cost, in the caller's unit.
        cost: f64,
    },
}

impl Entry {
    /// The measurement of a completed trial.
    pub fn measurement(&self) -> Option<&Measurement> {
        match &self.state {
            State::Told { outcome: Outcome::Completed(measurement), .. } => Some(measurement),
            _ => None,
        }
    }

    /// What the trial's opening had of a metric, be it completed or pruned.
    pub fn opening(&self, metric: &str) -> Option<Estimate> {
        match &self.state {
            State::Told {
                outcome: Outcome::Completed(measurement) | Outcome::Pruned(measurement),
                ..
            } => measurement.get(&opening(metric)),
            _ => None,
        }
    }

    /// Whether the trial was ended after its opening.
    pub fn is_pruned(&self) -> bool {
        matches!(self.state, State::Told { outcome: Outcome::Pruned(_), .. })
    }

    /// Whether the outcome is not yet known.
    pub fn is_pending(&self) -> bool {
        self.state == State::Pending
    }

    /// Whether the outcome is the whole truth about the configuration: it was measured, or cannot work.
    pub fn is_fact(&self) -> bool {
        self.measurement().is_some() || self.is_infeasible()
    }

    /// Whether the configuration was found unable to work.
    pub fn is_infeasible(&self) -> bool {
        matches!(self.state, State::Told { outcome: Outcome::Infeasible(_), .. })
    }
}

impl History {
    /// No trials yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// All trials, in the order they were asked for.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The trial of that number.
    pub fn get(&self, id: TrialId) -> Option<&Entry> {
        // Trials are numbered as they come, so the number is the position.
        self.entries.get(usize::try_from(id.0).ok()?)
    }

    /// Number of trials, pending ones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no trial has been asked for.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Completed trials and their measurements.
    pub fn completed(&self) -> impl Iterator<Item = (&Trial, &Measurement)> {
        self.entries.iter().filter_map(|entry| Some((&entry.trial, entry.measurement()?)))
    }

    /// The incumbent: the completed trial with the best objective among those that meet every
    /// constraint, the earliest of equals; `None` while there is none. Where the objective has two goals,
    /// the best by the first.
    pub fn best(&self, objective: &Objective) -> Option<&Entry> {
        let goal = objective.goal();
        let mut best: Option<(&Entry, f64)> = None;
        for entry in &self.entries {
            let Some(measurement) = entry.measurement() else { continue };
            let Some(cost) = goal.cost(measurement) else { continue };
            if objective.is_feasible(measurement)
                && best.is_none_or(|(_, incumbent)| cost < incumbent)
            {
                best = Some((entry, cost));
            }
        }
        best.map(|(entry, _)| entry)
    }

    /// The completed trials that meet every constraint and that no other such trial beats in both goals,
    /// by the first goal, the earliest of equals. Where the objective has one goal, that is the incumbent
    /// alone.
    pub fn front(&self, objective: &Objective) -> Vec<&Entry> {
        let Some(second) = &objective.against else {
            return self.best(objective).into_iter().collect();
        };
        let feasible = self.entries.iter().filter_map(|entry| {
            let measurement = entry.measurement().filter(|m| objective.is_feasible(m))?;
            Some((entry, measurement))
        });
        front_of([&objective.goal(), second], feasible)
    }

    pub(crate) fn push(&mut self, trial: Trial) {
        debug_assert_eq!(trial.id.0, self.entries.len() as u64, "trials are numbered as they come");
        self.entries.push(Entry { trial, state: State::Pending });
    }

    pub(crate) fn get_mut(&mut self, id: TrialId) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(id.0).ok()?)
    }
}

impl FromIterator<Entry> for History {
    /// A history from stored entries; [`Study::resume`](crate::Study::resume) checks them.
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}
