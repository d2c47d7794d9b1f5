//! Where in a space of many parameters the search looks: the trust region of `TuRBO` (Eriksson, Pearce,
//! Gardner, Turner and Poloczek 2019, arXiv:1910.01739) and, with constraints, of SCBO (Eriksson and
//! Poloczek 2021, arXiv:2002.08526).
//!
//! With many parameters nearly all of the space is far from every trial, and a score of the whole space
//! is highest where nothing is known. A region around the incumbent keeps the search near what works: it
//! grows while that succeeds and shrinks when it does not. Nothing of it is stored: its length is found
//! again from the history.

mod merit;

use super::{initial_design_size, maximise::next_values, surrogate::Surrogate};
use crate::{
    Configuration, Domain, History, Origin, Parameter, Problem, SearchSpace, minimise::Bounds,
    random::SobolPoints,
};
use merit::{Merit, Merits};

/// Coordinates that a candidate moves, on average.
const MOVED: f64 = 20.0;

/// Length of a new region, of the unit cube's side.
const FIRST_LENGTH: f64 = 0.8;

/// No region is longer.
const LARGEST_LENGTH: f64 = 1.6;

/// A region that became shorter is given up for a new one.
const SMALLEST_LENGTH: f64 = 1.0 / 128.0;

/// Successes in a row that double the length.
const SUCCESSES: u32 = 3;

/// Where the search looks.
pub(super) enum Region {
    /// Everywhere.
    Whole,
    /// Around the incumbent.
    Around {
        /// The incumbent.
        centre: Vec<f64>,
        /// Lowest and highest coordinate of each column.
        bounds: Vec<Bounds>,
        /// Probability that a candidate moves along each column.
        moved: Vec<f64>,
    },
}

impl Region {
    /// A box around the incumbent whose sides follow the lengthscales; the whole space where nothing was
    /// measured yet.
    pub(super) fn around_incumbent(
        problem: &Problem,
        history: &History,
        surrogate: &Surrogate,
    ) -> Self {
        let (Some(centre), Some(lengthscales)) =
            (surrogate.incumbents().first(), surrogate.lengthscales())
        else {
            return Self::Whole;
        };
        let parameters = problem.space().parameters();
        let d = parameters.len();
        let length = length(problem, history);
        let share = (MOVED / d as f64).min(1.0);
        let ordered = || parameters.iter().map(|parameter| parameter.domain().is_ordered());
        let logs = lengthscales.iter().zip(ordered()).filter(|(_, ordered)| *ordered);
        let logs: Vec<f64> = logs.map(|(lengthscale, _)| lengthscale.ln()).collect();
        let usual = (logs.iter().sum::<f64>() / logs.len().max(1) as f64).exp();
        let side = |(j, parameter): (usize, &Parameter)| {
            let domain = parameter.domain();
            if !domain.is_ordered() {
                // Any category, each as likely as the others.
                let half = 0.5 / domain.levels().map_or(1.0, |levels| (levels - 1).max(1) as f64);
                return (-half, 1.0 + half);
            }
            let half = length * lengthscales[j] / usual / 2.0;
            // At least the next values.
            let reached = next_values(domain, centre[j]).into_iter();
            let reached = reached.chain([centre[j] - half, centre[j] + half]);
            let (low, high) = reached.fold((1.0_f64, 0.0_f64), |(low, high), coordinate| {
                (low.min(coordinate), high.max(coordinate))
            });
            (low.max(0.0), high.min(1.0))
        };
        let bounds = parameters.iter().enumerate().map(side).collect();
        // Categories have no distance: of them, a smaller region changes fewer.
        let moved = ordered().map(|ordered| if ordered { share } else { share * length.min(1.0) });
        Self::Around { centre: centre.clone(), bounds, moved: moved.collect() }
    }

    /// Points whose configurations fill the region evenly, in a space of `d` parameters.
    pub(super) fn walk(&self, d: usize, seed: u64) -> SobolPoints {
        match self {
            Self::Whole => SobolPoints::new(d, seed),
            // Half of the coordinates choose what is moved.
            Self::Around { .. } => SobolPoints::new(2 * d, seed),
        }
    }

    /// Makes a configuration of the space the one at a point of the walk; rules may be broken.
    pub(super) fn move_to(
        &self,
        space: &SearchSpace,
        configuration: &mut Configuration,
        unit: &[f64],
    ) {
        match self {
            Self::Whole => space.move_to(configuration, unit, Domain::at),
            Self::Around { centre, bounds, moved } => {
                let (place, choice) = unit.split_at(centre.len());
                let coordinate = |j: usize| {
                    let (low, high) = bounds[j];
                    if choice[j] < moved[j] { low + (high - low) * place[j] } else { centre[j] }
                };
                let point: Vec<f64> = (0..centre.len()).map(coordinate).collect();
                space.move_to(configuration, &point, Domain::nearest);
            }
        }
    }

    /// The evaluated points whose neighbourhood is searched.
    pub(super) fn incumbents<'a>(&'a self, surrogate: &'a Surrogate) -> &'a [Vec<f64>] {
        match self {
            Self::Whole => surrogate.incumbents(),
            Self::Around { centre, .. } => std::slice::from_ref(centre),
        }
    }

    /// Lowest and highest coordinate along column `j`.
    pub(super) fn bounds(&self, j: usize) -> Bounds {
        match self {
            Self::Whole => (0.0, 1.0),
            Self::Around { bounds, .. } => bounds[j],
        }
    }
}

/// The region's length after all trials of a history: doubled after [`SUCCESSES`] in a row, halved after
/// some failures in a row, and that of a new region where it became too small.
///
/// A success is a trial after the initial design that is better than all before it. Trials that are
/// pending, failed or repeat another say nothing.
fn length(problem: &Problem, history: &History) -> f64 {
    let d = problem.space().parameters().len();
    let merits = Merits::of(problem.objective(), history);
    let facts = history.entries().iter().filter(|entry| entry.is_fact());
    let facts = facts.filter(|entry| entry.trial.origin != Origin::Repeat);
    let mut length = FIRST_LENGTH;
    let (mut successes, mut failures) = (0, 0);
    let mut best: Option<Merit> = None;
    for (position, entry) in facts.enumerate() {
        let merit = entry.measurement().and_then(|measurement| merits.merit(measurement));
        let is_success = merit.is_some_and(|merit| best.is_none_or(|best| merit.beats(best)));
        if is_success {
            best = merit;
        }
        if position < initial_design_size(d, false) {
            continue;
        }
        (successes, failures) = if is_success { (successes + 1, 0) } else { (0, failures + 1) };
        if successes == SUCCESSES {
            (length, successes) = ((2.0 * length).min(LARGEST_LENGTH), 0);
        } else if failures == failures_allowed(d) {
            (length, failures) = (length / 2.0, 0);
        }
        if length < SMALLEST_LENGTH {
            (length, successes, failures) = (FIRST_LENGTH, 0, 0);
        }
    }
    length
}

/// Failures in a row that halve the length: a third of what `TuRBO` takes, whose budgets are thousands of
/// trials.
fn failures_allowed(d: usize) -> u32 {
    u32::try_from(d.div_ceil(3)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
