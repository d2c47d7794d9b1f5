//! What a trial is expected to cost, and how much that counts.
//!
//! Where a study ends because its trials have cost all they may, a cheap trial leaves more of the budget
//! to others. Expected improvement is then taken per unit of cost (Snoek, Larochelle and Adams 2012,
//! section 3.2), which on the log scale of the score subtracts log cost(x). That alone keeps away from what
//! is dear, be it the best; so the cost counts for less the more of the budget is spent (the cost cooling of
//! Lee, Perrone, Archambeau and Seeger 2020, arXiv:2003.10870): λ log cost(x), where λ falls from 1 to 0.

use ndarray::Array2;

use super::surrogate::matrix;
use crate::{
    Entry, History, Origin, Problem, State,
    gp::{Gp, GpSpec, Observations, Posterior},
    sampler::SuggestError,
};

/// What errors call the model of costs.
const COST: &str = "(cost)";

/// Costs differ between configurations where each is predicted from the others with at most this share of
/// the variance of their logarithms left. Where more is left, most of it may be noise.
const UNEXPLAINED: f64 = 0.5;

/// What ends a study: the cost of its trials together, and their number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) cost: f64,
    pub(super) trials: usize,
}

impl Budget {
    /// λ: the share that is left of what the trials of the model may cost. 0 where the trials that are left
    /// will be spent before that, at the mean cost so far.
    fn weight(self, history: &History) -> f64 {
        let entries = history.entries();
        let costs: Vec<f64> = entries.iter().filter_map(told_cost).collect();
        let spent: f64 = costs.iter().sum();
        let left = self.cost - spent;
        let trials_left = self.trials.saturating_sub(entries.len()) as f64;
        let would_do = trials_left * spent / costs.len().max(1) as f64 <= left;
        if would_do || left <= 0.0 {
            return 0.0;
        }
        let is_of_model =
            |entry: &&Entry| matches!(entry.trial.origin, Origin::Model | Origin::Repeat);
        let spent_by_model: f64 = entries.iter().filter(is_of_model).filter_map(told_cost).sum();
        left / (left + spent_by_model)
    }
}

fn told_cost(entry: &Entry) -> Option<f64> {
    match entry.state {
        State::Told { cost, .. } => Some(cost),
        State::Pending => None,
    }
}

/// λ log cost(x): what is subtracted from the score of a point.
pub(super) struct Price {
    /// Of the natural logarithm of the cost.
    process: Gp,
    /// λ, above 0.
    weight: f64,
}

impl Price {
    /// From the trials of a history that say something of their configuration, what did not start among
    /// them; those that cost nothing are left out. `None` where cost does not matter: it is not what is
    /// scarce, or does not differ between configurations as far as the trials tell.
    pub(super) fn learn(
        problem: &Problem,
        history: &History,
        budget: Budget,
    ) -> Result<Option<Self>, SuggestError> {
        let weight = budget.weight(history);
        let space = problem.space();
        let (mut points, mut logs) = (Vec::new(), Vec::new());
        for entry in history.entries().iter().filter(|entry| entry.is_fact()) {
            if let Some(cost) = told_cost(entry).filter(|&cost| cost > 0.0) {
                points.push(space.encode(&entry.trial.configuration).coordinates().to_vec());
                logs.push(cost.ln());
            }
        }
        let n = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let spread: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        // Costs that are equal but for rounding do not differ.
        let negligible = n * (8.0 * f64::EPSILON * mean.abs().max(1.0)).powi(2);
        if weight <= 0.0 || logs.len() < 2 || spread <= negligible {
            return Ok(None);
        }
        let columns = space.columns();
        let process = Observations::new(matrix(&points, columns.len()), logs.clone())
            .and_then(|observations| GpSpec::new(columns).fit(&observations))
            .map_err(|source| SuggestError::Surrogate { metric: COST.to_owned(), source })?;
        let predicted = process.leave_one_out();
        let errors = predicted.iter().zip(&logs).map(|(at, log)| (at.mean - log).powi(2));
        let differ = errors.sum::<f64>() <= UNEXPLAINED * spread;
        Ok(differ.then_some(Self { process, weight }))
    }

    /// At every row of `points` (t × d).
    pub(super) fn at_each(&self, points: &Array2<f64>) -> Vec<f64> {
        let price = |at: Posterior| self.weight * log_mean(at.mean, at.variance);
        self.process.posterior(points).into_iter().map(price).collect()
    }

    /// At a point, and its slope there.
    pub(super) fn with_gradient(&self, point: &[f64]) -> (f64, Vec<f64>) {
        let (at, slope) = self.process.posterior_with_gradient(point);
        let slopes = slope.mean.iter().zip(&slope.variance);
        let slopes = slopes.map(|(&mean, &variance)| self.weight * log_mean(mean, variance));
        (self.weight * log_mean(at.mean, at.variance), slopes.collect())
    }
}

/// The logarithm of the mean of a lognormal variable, up to what noise adds everywhere alike.
fn log_mean(mean: f64, variance: f64) -> f64 {
    mean + variance / 2.0
}
