//! Conclusions from a result set, each a plain value that borrows from the set.
//!
//! Nothing here is rounded, worded or drawn.

mod caveat;
mod change;
mod constraint;
mod curve;
mod effects;
mod failure;
mod finals;
mod judgement;
mod paired;
mod price;
mod simpler;
mod sweep;
mod verdict;

pub use caveat::{CaveatGroup, caveat_groups};
pub use change::Change;
pub use constraint::{ConstraintEffect, Miss, misses};
pub use curve::{Curve, CurvePoint};
pub use effects::{Effects, RESULT_SET};
pub use failure::{FailureGroup, Range, failure_groups};
pub use finals::{Contender, Final, Finals, OutOfReach, finalists};
pub use judgement::Judgement;
pub use paired::{LEAST_ROUNDS, Paired};
pub use price::Price;
pub use simpler::FewerChanges;
pub use sweep::{Level, Sweep};
pub use verdict::{NearMiss, Recommendation, Verdict};

use slotune_core::{Objective, front_of};
use slotune_results::{BASELINE, DEFAULT, ResultSet, StoredTrial, StudyRole};
use slotune_serving::metrics::percentile;

pub(crate) use change::{BEYOND_NOISE, differ, is_error_known};
use constraint::constraint_effects;
pub(crate) use finals::{CONFIDENCE, Decision};

/// Everything that a report says of a result set.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis<'a> {
    /// The set.
    pub set: &'a ResultSet,
    /// The trial labelled `baseline`.
    pub baseline: Option<&'a StoredTrial>,
    /// The trial labelled `default`: the server as it comes.
    pub default: Option<&'a StoredTrial>,
    /// What to do.
    pub verdict: Verdict<'a>,
    /// The trials of the search that meet every target and that no other beats in both goals, by the first;
    /// empty where the objective has one goal.
    pub front: Vec<&'a StoredTrial>,
    /// The best of the search repeated beside the default; `None` where the set has no finals.
    pub finals: Option<Finals<'a>>,
    /// Whether the verdict is that of the finals.
    pub is_decided_by_finals: bool,
    /// What each bound of the objective did to the search, in the objective's order.
    pub constraints: Vec<ConstraintEffect<'a>>,
    /// How each search went, in the manifest's order; reference and focus studies have none.
    pub curves: Vec<Curve<'a>>,
    /// The effect of each parameter that varied, in the order of the search space.
    pub sweeps: Vec<Sweep<'a>>,
    /// Name of the study that `sweeps` looks at: the grid, or the search where there is no grid.
    pub sweep_study: Option<&'a str>,
    /// The sweeps of each study that looks at some of the parameters, with its name.
    pub focused: Vec<(&'a str, Vec<Sweep<'a>>)>,
    /// Trials without a measurement, by kind and class.
    pub failures: Vec<FailureGroup<'a>>,
}

impl<'a> Analysis<'a> {
    /// Draws all conclusions.
    pub fn new(set: &'a ResultSet) -> Self {
        let objective = &set.manifest.objective;
        let search: Vec<&StoredTrial> = trials_of(set, StudyRole::Search).collect();
        let [default, baseline] = [DEFAULT, BASELINE].map(|label| reference(set, label));
        let sweep_study = sweep_study(set);
        let swept: Vec<&StoredTrial> =
            set.trials.iter().filter(|t| Some(t.study.as_str()) == sweep_study).collect();
        let finals = Finals::of(set);
        let found = best(objective, search.iter().copied());
        let decision =
            finals.as_ref().map_or(Decision::Open, |finals| finals.decision(objective, found));
        let is_decided_by_finals = decision != Decision::Open;
        Self {
            set,
            baseline,
            default,
            front: front(objective, &search),
            verdict: Verdict::new(objective, &search, found, [default, baseline], decision),
            finals,
            is_decided_by_finals,
            constraints: constraint_effects(objective, &search, set),
            curves: Curve::all(set),
            sweeps: Sweep::all(&set.manifest.space, &swept),
            sweep_study,
            focused: focused(set),
            failures: failure_groups(&set.trials),
        }
    }

    /// What is optimised.
    pub fn objective(&self) -> &'a Objective {
        &self.set.manifest.objective
    }

    /// The curve of the study that is recommended from.
    pub fn search(&self) -> Option<&Curve<'a>> {
        self.curves.iter().find(|curve| curve.study.role == StudyRole::Search)
    }

    /// The curve of the grid that the search is compared with.
    pub fn grid(&self) -> Option<&Curve<'a>> {
        self.curves
            .iter()
            .find(|c| c.study.role == StudyRole::Comparison && c.study.sampler == GRID)
    }
}

/// The sweeps of the studies that look at some of the parameters.
fn focused(set: &ResultSet) -> Vec<(&str, Vec<Sweep<'_>>)> {
    let studies = set.manifest.studies.iter().filter(|study| study.role == StudyRole::Focus);
    studies
        .map(|study| {
            let trials: Vec<&StoredTrial> = set.study(&study.name).collect();
            (study.name.as_str(), Sweep::all(&set.manifest.space, &trials))
        })
        .collect()
}

/// The sampler whose study shows the effect of single parameters.
const GRID: &str = "grid";

/// The reference trial of that label; the first of several.
pub fn reference<'a>(set: &'a ResultSet, label: &str) -> Option<&'a StoredTrial> {
    trials_of(set, StudyRole::Reference).find(|trial| trial.label.as_deref() == Some(label))
}

/// The trials of all studies of that role, in the set's order.
pub fn trials_of(set: &ResultSet, role: StudyRole) -> impl Iterator<Item = &StoredTrial> {
    let studies = set.manifest.studies.iter().filter(move |study| study.role == role);
    studies.flat_map(|study| set.study(&study.name))
}

/// The incumbent among `trials`: the best objective among those that meet every constraint, the
/// earliest of equals. [`History::best`](slotune_core::History::best), which a search goes by, leaves out
/// lower bounds besides.
pub fn best<'a>(
    objective: &Objective,
    trials: impl IntoIterator<Item = &'a StoredTrial>,
) -> Option<&'a StoredTrial> {
    let feasible = trials.into_iter().filter(|trial| is_feasible(objective, trial));
    best_value(objective, feasible).map(|(trial, _)| trial)
}

/// The feasible trials that no other beats in both goals, by the first.
fn front<'a>(objective: &Objective, trials: &[&'a StoredTrial]) -> Vec<&'a StoredTrial> {
    let Some(second) = &objective.against else { return Vec::new() };
    let feasible = trials.iter().filter(|trial| is_feasible(objective, trial));
    let measured = feasible.filter_map(|&trial| Some((trial, trial.entry.measurement()?)));
    front_of([&objective.goal(), second], measured)
}

/// The best objective among `trials` whatever the constraints, the earliest of equals.
fn best_value<'a>(
    objective: &Objective,
    trials: impl IntoIterator<Item = &'a StoredTrial>,
) -> Option<(&'a StoredTrial, f64)> {
    trials
        .into_iter()
        .filter_map(|trial| Some((trial, value(trial, &objective.metric)?)))
        .reduce(|best, next| if objective.is_better(next.1, best.1) { next } else { best })
}

/// The value of a metric in a completed trial, if it was measured and is finite.
pub(crate) fn value(trial: &StoredTrial, metric: &str) -> Option<f64> {
    trial.entry.measurement()?.value(metric).filter(|value| value.is_finite())
}

/// Whether a trial was measured and meets every constraint.
fn is_feasible(objective: &Objective, trial: &StoredTrial) -> bool {
    trial.entry.measurement().is_some_and(|measurement| objective.is_feasible(measurement))
}

/// The comparison study of a grid sampler; without one, the search.
fn sweep_study(set: &ResultSet) -> Option<&str> {
    let studies = &set.manifest.studies;
    let grid = studies.iter().find(|s| s.role == StudyRole::Comparison && s.sampler == GRID);
    grid.or_else(|| studies.iter().find(|s| s.role == StudyRole::Search))
        .map(|study| study.name.as_str())
}

/// The median; `None` of nothing.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    percentile(&values, 50.0)
}
