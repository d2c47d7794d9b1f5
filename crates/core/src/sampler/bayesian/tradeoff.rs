//! A second goal that is traded off against the first.

use ndarray::Array2;

use super::{score::deviation, surrogate::Improvement};
use crate::{
    Front,
    acquisition::{JointAcquisition, log_expected_hypervolume_improvement},
    front::non_dominated,
    gp::Posterior,
};

/// How far beyond the worst of the feasible trials the reference point lies, as a share of their range. The
/// further out, the more the ends of the front count (Ishibuchi et al. 2018, <https://doi.org/10.1162/evco_a_00226>); the
/// usual tenth beyond the worst of the front itself, as in BoTorch's `infer_reference_point`, lets a search
/// of few trials creep from the middle, where its initial design lies, a tenth at a time.
const MARGIN: f64 = 0.3;

/// The second goal, and what both goals have reached together.
pub(super) struct Tradeoff {
    pub(super) second: Improvement,
    /// As costs, on the scales the goals are modelled on: what was reached in the posterior means.
    pub(super) front: Front,
}

impl Tradeoff {
    /// Takes the front of the posterior means at every row of `points` (t × d), of which the first goal's
    /// are given as costs. Gives the rows that no other beats in both goals, by the first.
    pub(super) fn reached(&mut self, costs: &[f64], points: &Array2<f64>) -> Vec<usize> {
        let both = costs.iter().zip(self.second.costs(points));
        let both: Vec<[f64; 2]> = both.map(|(&first, second)| [first, second]).collect();
        self.front = Front::new(&both, self.front.reference());
        non_dominated(&both)
    }

    /// Takes it that a trial at this point will reach the posterior means.
    pub(super) fn believe(&mut self, first: &Improvement, point: &[f64]) {
        let expected = |goal: &Improvement| goal.direction.as_cost(goal.model.at(point).mean);
        self.front = self.front.with([expected(first), expected(&self.second)]);
    }

    /// By how much the front may grow. As of one goal, what is least worth having must be gained before
    /// anything counts, here in both.
    pub(super) fn expected(
        &self,
        first: &Improvement,
        posteriors: [Posterior; 2],
    ) -> JointAcquisition {
        let goals = [first, &self.second];
        let mean = |k: usize| goals[k].direction.as_cost(posteriors[k].mean) + goals[k].least_gain;
        let expected = log_expected_hypervolume_improvement(
            [mean(0), mean(1)],
            posteriors.map(deviation),
            &self.front,
        );
        let d_mean = [0, 1].map(|k| goals[k].direction.as_cost(expected.d_mean[k]));
        JointAcquisition { d_mean, ..expected }
    }
}

/// Where the reference point lies, in the one goal of which feasible trials have these costs: at the worst,
/// and a share of their range beyond. Of a single trial, at that trial: then what is better in both goals is
/// sought.
pub(super) fn reference(costs: impl Iterator<Item = f64> + Clone) -> f64 {
    let best = costs.clone().fold(f64::INFINITY, f64::min);
    let worst = costs.fold(f64::NEG_INFINITY, f64::max);
    worst + MARGIN * (worst - best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Constraint, Goal, History, Measurement, Objective, Outcome, Parameter, Problem,
        SearchSpace, Study,
        sampler::{Manner, Noise, Random, Surrogate},
    };

    /// Ten random trials: latency and throughput grow with width, and cost has an optimum.
    fn told(objective: Objective) -> (Problem, History) {
        let parameters =
            vec![Parameter::float("width", 1.0, 9.0), Parameter::float("fill", 0.0, 1.0)];
        let problem = Problem::new(SearchSpace::new(parameters, vec![]).unwrap(), objective);
        let mut study = Study::new(problem.clone(), Box::new(Random), 3).unwrap();
        for _ in 0..10 {
            let trial = study.ask().unwrap().unwrap();
            let at = |name: &str| trial.configuration.float(name).unwrap();
            let (width, fill) = (at("width"), at("fill"));
            let measurement = Measurement::new()
                .with("latency", (0.3 * width).exp() * (1.0 + (fill - 0.4).powi(2)))
                .with("throughput", width.sqrt() * (1.0 + fill))
                .with("memory", width * fill);
            study.tell(trial.id, Outcome::Completed(measurement), 1.0).unwrap();
        }
        (problem, study.history().clone())
    }

    #[test]
    fn the_slope_of_the_score_agrees_with_finite_differences() {
        let latency = || Objective::minimise("latency").against(Goal::maximise("throughput"));
        let throughput =
            || Objective::maximise("throughput").against(Goal::minimise("latency").linear());
        for objective in [latency(), throughput()] {
            let objective = objective.subject_to(Constraint::at_most("memory", 5.0));
            let (problem, history) = told(objective);
            let mut surrogate =
                Surrogate::fit(&problem, &history, &[], Manner::new(Noise::Learnt)).unwrap();
            surrogate.believe(&[0.9, 0.2]).unwrap();
            for point in [[0.3, 0.45], [0.05, 0.7], [0.8, 0.1]] {
                let value = |at: [f64; 2]| surrogate.value_and_gradient(&at).unwrap().0;
                let gradient = surrogate.value_and_gradient(&point).unwrap().1;
                for k in 0..2 {
                    let moved = |steps: f64| {
                        let mut at = point;
                        at[k] += steps * 1e-4;
                        value(at)
                    };
                    let expected = (8.0 * (moved(1.0) - moved(-1.0)) - moved(2.0) + moved(-2.0))
                        / (12.0 * 1e-4);
                    let error = (gradient[k] - expected).abs();
                    assert!(error <= 1e-6 * expected.abs().max(1.0), "{gradient:?}: {expected}");
                }
            }
        }
    }

    #[test]
    fn a_trial_that_is_believed_joins_the_front() {
        let (problem, history) =
            told(Objective::minimise("latency").against(Goal::maximise("throughput")));
        let mut surrogate =
            Surrogate::fit(&problem, &history, &[], Manner::new(Noise::Learnt)).unwrap();
        let here = [0.55, 0.9];
        let before = surrogate.value_and_gradient(&here).unwrap().0;
        let first = surrogate.improvement.as_ref().unwrap();
        let second = &surrogate.tradeoff.as_ref().unwrap().second;
        let expected = [first.model.at(&here).mean, -second.model.at(&here).mean];
        surrogate.believe(&here).unwrap();
        let after = surrogate.value_and_gradient(&here).unwrap().0;
        assert!(
            after < before - 1.0,
            "what is expected there is no gain any more: {before} {after}"
        );
        let front = &surrogate.tradeoff.as_ref().unwrap().front;
        let is_it = |point: &[f64; 2]| (0..2).all(|k| (point[k] - expected[k]).abs() < 1e-6);
        assert!(front.points().iter().any(is_it), "{front:?} {expected:?}");
    }

    #[test]
    fn the_reference_lies_a_share_of_the_range_beyond_the_worst() {
        let [far, alone] = [vec![3.0, 1.0, 11.0], vec![2.0]].map(|c| reference(c.into_iter()));
        assert!((far - 14.0).abs() < 1e-12 && (alone - 2.0).abs() < 1e-12, "{far} {alone}");
    }
}
