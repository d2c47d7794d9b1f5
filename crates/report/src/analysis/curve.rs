//! How good the best trial of a study was after each trial.

use slotune_core::{Objective, Outcome, State};
use slotune_results::{ResultSet, StoredTrial, StudyManifest, StudyRole};

use super::{is_feasible, value};

/// The course of one study.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve<'a> {
    /// The study.
    pub study: &'a StudyManifest,
    /// One point for each trial whose outcome is known, in order.
    pub points: Vec<CurvePoint<'a>>,
}

/// One trial of a study and the best so far.
#[derive(Clone, Debug, PartialEq)]
pub struct CurvePoint<'a> {
    /// The trial.
    pub trial: &'a StoredTrial,
    /// Its objective, if it was measured, whatever the constraints.
    pub value: Option<f64>,
    /// Whether it meets every constraint.
    pub feasible: bool,
    /// The best feasible objective up to and with this trial.
    pub incumbent: Option<f64>,
}

impl<'a> Curve<'a> {
    /// The curves of all studies that go over the whole search space, in the manifest's order.
    pub fn all(set: &'a ResultSet) -> Vec<Self> {
        let studies = set
            .manifest
            .studies
            .iter()
            .filter(|study| matches!(study.role, StudyRole::Search | StudyRole::Comparison));
        studies
            .map(|study| Self::new(&set.manifest.objective, study, set.study(&study.name)))
            .collect()
    }

    fn new(
        objective: &Objective,
        study: &'a StudyManifest,
        trials: impl Iterator<Item = &'a StoredTrial>,
    ) -> Self {
        let mut incumbent = None;
        let told = trials.filter(|trial| !trial.entry.is_pending());
        let points = told.map(|trial| {
            let value = value(trial, &objective.metric);
            let feasible = is_feasible(objective, trial);
            if let Some(value) = value.filter(|_| feasible)
                && incumbent.is_none_or(|incumbent| objective.is_better(value, incumbent))
            {
                incumbent = Some(value);
            }
            CurvePoint { trial, value, feasible, incumbent }
        });
        Self { study, points: points.collect() }
    }

    /// The best feasible objective of the first `trials` trials.
    pub fn best_within(&self, trials: usize) -> Option<f64> {
        self.points[..trials.min(self.points.len())].last()?.incumbent
    }

    /// The best feasible objective of all trials.
    pub fn best(&self) -> Option<f64> {
        self.best_within(usize::MAX)
    }

    /// How many trials it took until the incumbent was as good as `target`; `None` if it never was.
    pub fn trials_to_reach(&self, objective: &Objective, target: f64) -> Option<usize> {
        let reached = |point: &CurvePoint<'_>| {
            point.incumbent.is_some_and(|incumbent| !objective.is_better(target, incumbent))
        };
        self.points.iter().position(reached).map(|position| position + 1)
    }

    /// Trials that meet every constraint.
    pub fn feasible(&self) -> usize {
        self.points.iter().filter(|point| point.feasible).count()
    }

    /// Trials whose configuration cannot work.
    pub fn infeasible(&self) -> usize {
        self.points.iter().filter(|point| point.trial.entry.is_infeasible()).count()
    }

    /// Trials that the world was in the way of.
    pub fn failed(&self) -> usize {
        let failed = |point: &&CurvePoint<'_>| {
            matches!(point.trial.entry.state, State::Told { outcome: Outcome::Failed(_), .. })
        };
        self.points.iter().filter(failed).count()
    }

    /// What all trials cost together, in the study's unit (seconds, for server trials).
    pub fn cost(&self) -> f64 {
        let cost = |point: &CurvePoint<'_>| match point.trial.entry.state {
            State::Told { cost, .. } => cost,
            State::Pending => 0.0,
        };
        self.points.iter().map(cost).sum()
    }

    /// The part of [`cost`](Self::cost) in which servers that came up were starting, seconds;
    /// `None` where no trial tells.
    pub fn start_up_s(&self) -> Option<f64> {
        let servers = self.points.iter().filter_map(|point| point.trial.server.as_ref());
        servers.map(|server| server.start_up_s).reduce(|sum, next| sum + next)
    }
}
