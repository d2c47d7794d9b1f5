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
/// the variance of their logarithms left, of n costs at most 1 − 4/n of this: where more is left, most of it
/// may be noise, and a handful can seem to follow the configuration by chance.
const UNEXPLAINED: f64 = 0.5;

/// What ends a study: the cost of its trials together, and their number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) cost: f64,
    pub(super) trials: usize,
}

impl Budget {
    /// λ: the share that is left of what the trials of the model may cost. 0 where the trials that are left
    /// will be spent before that, at the mean cost so far. Pending trials have cost nothing yet.
    fn weight(self, history: &History) -> f64 {
        let entries = history.entries();
        let costs: Vec<f64> = entries.iter().filter_map(told_cost).collect();
        let spent: f64 = costs.iter().sum();
        let left = self.cost - spent;
        let trials_left = self.trials.saturating_sub(entries.len()) as f64;
        let needed = trials_left * (spent / costs.len().max(1) as f64);
        let is_scarce = left > 0.0 && needed > left;
        if !is_scarce {
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
        if weight <= 0.0 || logs.len() < 3 || spread <= negligible {
            return Ok(None);
        }
        let columns = space.columns();
        let process = Observations::new(matrix(&points, columns.len()), logs.clone())
            .and_then(|observations| GpSpec::new(columns).fit(&observations))
            .map_err(|source| SuggestError::Surrogate { metric: COST.to_owned(), source })?;
        let predicted = process.leave_one_out();
        let errors = predicted.iter().zip(&logs).map(|(at, log)| (at.mean - log).powi(2));
        let differ = errors.sum::<f64>() <= UNEXPLAINED * (1.0 - 4.0 / n) * spread;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Configuration, Objective, Outcome, Parameter, Reason, SearchSpace, Trial, TrialId,
    };

    fn problem() -> Problem {
        let space = SearchSpace::new(vec![Parameter::float("width", 0.0, 1.0)], vec![]);
        Problem::new(space.unwrap(), Objective::minimise("f"))
    }

    /// Trials that did not start, at even steps, the first four of the initial design.
    fn history(costs: &[f64]) -> History {
        let entry = |(i, &cost): (usize, &f64)| {
            let id = TrialId(i as u64);
            let width = i as f64 / (costs.len() - 1) as f64;
            let configuration = Configuration::new().with("width", width);
            let origin = if i < 4 { Origin::InitialDesign } else { Origin::Model };
            let outcome = Outcome::Infeasible(Reason::new("memory", "does not fit"));
            let trial = Trial { id, configuration, origin, seed: 0 };
            Entry { trial, state: State::Told { outcome, cost } }
        };
        costs.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn cost_counts_for_less_as_it_is_spent_and_for_nothing_where_it_is_not_scarce() {
        let weight =
            |cost, trials, told: usize| Budget { cost, trials }.weight(&history(&vec![10.0; told]));
        let is = |weight: f64, expected: f64| (weight - expected).abs() < 1e-12;
        assert!(is(weight(100.0, usize::MAX, 4), 1.0));
        assert!(is(weight(100.0, usize::MAX, 7), 0.5));
        assert!(is(weight(100.0, usize::MAX, 10), 0.0));
        assert!(is(weight(100.0, usize::MAX, 12), 0.0));
        assert!(is(weight(100.0, 10, 7), 0.0), "three trials are left, and enough for them");
        assert!(is(weight(100.0, 11, 7), 0.5));
        for cost in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            assert!(is(weight(cost, usize::MAX, 7), 0.0), "{cost}");
        }
    }

    #[test]
    fn the_price_follows_what_failed_starts_cost_and_its_slope_is_that_of_its_values() {
        let costs: Vec<f64> = (0..9).map(|i| 60.0 * 10_f64.powf(f64::from(i) / 8.0)).collect();
        let budget = Budget { cost: 1e6, trials: usize::MAX };
        let price = Price::learn(&problem(), &history(&costs), budget).unwrap().unwrap();
        let at = |x: f64| price.with_gradient(&[x]).0;
        assert!((at(1.0) - at(0.0) - price.weight * 10_f64.ln()).abs() < 0.2);
        let slope = (at(0.4 + 1e-5) - at(0.4 - 1e-5)) / 2e-5;
        assert!((price.with_gradient(&[0.4]).1[0] / slope - 1.0).abs() < 1e-6);
        assert!((price.at_each(&ndarray::array![[0.4]])[0] - at(0.4)).abs() < 1e-9);
    }

    #[test]
    fn even_costs_and_costs_without_a_pattern_have_no_price() {
        let budget = Budget { cost: 1e6, trials: usize::MAX };
        let learn = |costs: &[f64]| Price::learn(&problem(), &history(costs), budget).unwrap();
        assert!(learn(&[60.0; 9]).is_none());
        assert!(learn(&[60.0, 600.0, 70.0, 500.0, 60.0, 550.0, 65.0, 620.0, 60.0]).is_none());
        assert!(learn(&[0.0; 9]).is_none(), "they were not measured");
    }
}
