//! Which configurations give a measurement at all: a random forest on started and not started.

use linfa::{
    DatasetBase, ParamGuard,
    traits::{Fit, PredictInplace},
};
use linfa_ensemble::{EnsembleLearner, EnsembleLearnerParams};
use linfa_trees::{DecisionTree, DecisionTreeParams};
use ndarray::{Array1, Array2, Axis};
use rand_08::SeedableRng;

use crate::random::derive;

/// Trees in the forest.
const TREES: usize = 64;

/// P(valid) of points of the unit cube.
pub(crate) struct Validity {
    /// `None` while nothing, or everything, was infeasible: then there is nothing to tell apart.
    forest: Option<EnsembleLearner<DecisionTree<f64, bool>>>,
    floor: f64,
}

impl Validity {
    /// Learns from points (n × d, one a row, at least one column) and whether each was valid.
    pub(crate) fn fit(points: Array2<f64>, valid: &[bool], seed: u64) -> Self {
        let infeasible = valid.iter().filter(|&&valid| !valid).count();
        // One crash says little about its surroundings: as many crashes as it takes to believe in
        // a region that does not work, as few as leaves chances for one that does.
        let floor = 1.0 / (1 + infeasible) as f64;
        if infeasible == 0 || infeasible == valid.len() {
            return Self { forest: None, floor };
        }
        let generator = rand_pcg_03::Pcg64::seed_from_u64(derive(seed, "validity", 0));
        let forest = EnsembleLearnerParams::new_fixed_rng(DecidedTrees, generator)
            .ensemble_size(TREES)
            .check()
            .and_then(|forest| forest.fit(&DatasetBase::new(points, Array1::from(valid.to_vec()))))
            .expect("the forest's settings are in range and there are rows");
        Self { forest: Some(forest), floor }
    }

    /// The probability that a configuration gives a measurement, for each row of `points` (t × d):
    /// the share of trees that say so, between a floor and 1.
    pub(crate) fn probabilities(&self, points: &Array2<f64>) -> Vec<f64> {
        let Some(forest) = &self.forest else { return vec![1.0; points.nrows()] };
        let mut votes = vec![0_u32; points.nrows()];
        let mut answers = Array1::default(points.nrows());
        for (tree, columns) in forest.models.iter().zip(&forest.model_features) {
            tree.predict_inplace(&points.select(Axis(1), columns), &mut answers);
            votes.iter_mut().zip(&answers).for_each(|(votes, &valid)| *votes += u32::from(valid));
        }
        let share = |votes: u32| f64::from(votes) / forest.models.len() as f64;
        votes.into_iter().map(|votes| share(votes).max(self.floor)).collect()
    }
}

/// linfa's decision trees on rows whose votes cannot tie.
///
/// A leaf with as many valid as infeasible rows would vote by the order of a hash map, which
/// differs between runs. An infeasible row therefore weighs a little less than a valid one.
#[derive(Clone, Copy, Debug)]
struct DecidedTrees;

impl Fit<Array2<f64>, Array1<bool>, linfa::Error> for DecidedTrees {
    type Object = DecisionTree<f64, bool>;

    fn fit(
        &self,
        data: &DatasetBase<Array2<f64>, Array1<bool>>,
    ) -> Result<Self::Object, linfa::Error> {
        /// A power of two below 1, so that sums of weights are exact.
        const INFEASIBLE: f32 = 1.0 - 1.0 / 1024.0;
        let weights = data.targets().mapv(|valid| if valid { 1.0 } else { INFEASIBLE });
        let weighted =
            DatasetBase::new(data.records().clone(), data.targets().clone()).with_weights(weights);
        DecisionTreeParams::new().min_weight_leaf(INFEASIBLE).check()?.fit(&weighted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probability(validity: &Validity, point: [f64; 2]) -> f64 {
        validity.probabilities(&ndarray::array![point])[0]
    }

    fn line(n: usize) -> Array2<f64> {
        Array2::from_shape_fn((n, 2), |(i, j)| if j == 0 { i as f64 / (n - 1) as f64 } else { 0.5 })
    }

    #[test]
    fn learns_the_side_that_crashes() {
        let valid: Vec<bool> = (0..20).map(|i| i < 14).collect();
        let validity = Validity::fit(line(20), &valid, 3);
        assert!(probability(&validity, [0.1, 0.5]) > 0.9);
        let crashing = probability(&validity, [0.95, 0.5]);
        assert!((1.0 / 7.0..0.5).contains(&crashing), "{crashing}");
    }

    #[test]
    fn one_crash_walls_off_nothing_and_no_crash_says_nothing() {
        let mut valid = [true; 10];
        assert!(probability(&Validity::fit(line(10), &valid, 0), [0.4, 0.5]) >= 1.0);
        valid[9] = false;
        assert!(probability(&Validity::fit(line(10), &valid, 0), [1.0, 0.5]) >= 0.5);
        assert!(probability(&Validity::fit(line(2), &[false; 2], 0), [1.0, 0.5]) >= 1.0);
    }

    /// An exclusive or has no first split that helps, so every leaf is a tie.
    #[test]
    fn ties_are_decided_the_same_way_every_time() {
        let corners = Array2::from_shape_vec((4, 2), vec![0., 0., 0., 1., 1., 0., 1., 1.]).unwrap();
        let fit = || Validity::fit(corners.clone(), &[true, false, false, true], 5);
        let first = fit().probabilities(&corners);
        assert!((0..20).all(|_| fit().probabilities(&corners) == first));
    }
}
