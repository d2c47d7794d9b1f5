//! What further search may still gain.

use super::{
    maximise::promising,
    model::Model,
    region::Region,
    surrogate::{Improvement, Limited, Manner, Noise, Surrogate, matrix},
    tradeoff::Tradeoff,
};
use crate::{
    Front, History, Problem, Scale,
    random::{derive, stream},
    sampler::{SuggestError, unseen::Unseen},
};

/// Unseen configurations that are looked at: the most promising ones.
const LOOKED_AT: usize = 128;

/// Joint draws of all outcomes there.
const DRAWS: usize = 256;

/// How much better than the incumbent the best configuration not yet evaluated may be, by draws from
/// the posterior: a share of the incumbent's objective where it is modelled on a log scale, and in the
/// metric's unit where it is modelled linearly. Of two goals, how much larger the hypervolume of their
/// front may become: a share of what it is.
///
/// The draws are joint over the 128 most promising unseen configurations, those that likely do not start
/// left out; a draw in which none meets every target and is better has a gain of 0.
#[derive(Clone, Debug, PartialEq)]
pub struct RemainingGain {
    /// Ascending, each 0 or more.
    draws: Vec<f64>,
}

impl RemainingGain {
    /// `None` until a trial is known to meet every target; of two goals, until their front dominates
    /// anything.
    pub(crate) fn of(
        problem: &Problem,
        history: &History,
        seed: u64,
    ) -> Result<Option<Self>, SuggestError> {
        let surrogate = Surrogate::fit(problem, history, &[], Manner::new(Noise::Learnt))?;
        let Some(improvement) = &surrogate.improvement else { return Ok(None) };
        let reached = surrogate.tradeoff.as_ref().map(|tradeoff| tradeoff.front.hypervolume());
        if reached.is_some_and(|hypervolume| hypervolume <= 0.0) {
            return Ok(None);
        }
        let unseen = Unseen::new(problem.space(), history);
        let position = history.len() as u64;
        let candidates = derive(seed, "candidates", position);
        let mut left =
            promising(problem.space(), &unseen, &Region::Whole, &surrogate, candidates, LOOKED_AT);
        left.retain(|candidate| candidate.score.likely_valid);
        let mut gains = vec![0.0_f64; DRAWS];
        if !left.is_empty() {
            let points: Vec<Vec<f64>> =
                left.into_iter().map(|candidate| candidate.place.point).collect();
            let points = matrix(&points, problem.space().parameters().len());
            let mut random = stream(seed, "remaining gain", position);
            let mut draws = |metric: &str, model: &Model| {
                let failed = |source| SuggestError::Surrogate { metric: metric.to_owned(), source };
                model.draws(&points, DRAWS, &mut random).map_err(failed)
            };
            let first = draws(&improvement.metric, &improvement.model)?;
            let second = match &surrogate.tradeoff {
                Some(tradeoff) => {
                    let Improvement { metric, model, .. } = &tradeoff.second;
                    Some((tradeoff, draws(metric, model)?))
                }
                None => None,
            };
            let mut met = first.map(|_| true);
            for Limited { metric, model, bound } in &surrogate.constraints {
                let drawn = draws(metric, model)?;
                met.zip_mut_with(&drawn, |met, &value| *met &= bound.is_met_by(value));
            }
            for (draw, gain) in gains.iter_mut().enumerate() {
                let usable = (0..points.nrows()).filter(|&i| met[(draw, i)]);
                *gain = match &second {
                    None => improvement.gain(usable.map(|i| first[(draw, i)])),
                    Some((tradeoff, second)) => {
                        let both = usable.map(|i| [first[(draw, i)], second[(draw, i)]]);
                        tradeoff.gain(improvement, both)
                    }
                };
            }
        }
        gains.sort_by(f64::total_cmp);
        Ok(Some(Self { draws: gains }))
    }

    /// The mean of the draws.
    pub fn expected(&self) -> f64 {
        self.draws.iter().sum::<f64>() / self.draws.len() as f64
    }

    /// The share of draws whose gain is below `gain`: the probability that stopping now forgoes less.
    pub fn probability_below(&self, gain: f64) -> f64 {
        self.draws.partition_point(|&drawn| drawn < gain) as f64 / self.draws.len() as f64
    }
}

impl Improvement {
    /// How much better than the incumbent the best of these values is.
    fn gain(&self, values: impl Iterator<Item = f64>) -> f64 {
        let best = self.direction.as_cost(self.best);
        let costs = values.map(|value| self.direction.as_cost(value));
        let difference = (best - costs.fold(f64::INFINITY, f64::min)).max(0.0);
        match self.scale {
            Scale::Linear => difference,
            Scale::Log => self.direction.gain_share(difference),
        }
    }
}

impl Tradeoff {
    /// By which share of its hypervolume the front grows with these pairs of values.
    fn gain(&self, first: &Improvement, values: impl Iterator<Item = [f64; 2]>) -> f64 {
        let directions = [first.direction, self.second.direction];
        let cost = |pair: [f64; 2]| [0, 1].map(|k| directions[k].as_cost(pair[k]));
        let all: Vec<[f64; 2]> =
            self.front.points().iter().copied().chain(values.map(cost)).collect();
        let grown = Front::new(&all, self.front.reference()).hypervolume();
        (grown / self.front.hypervolume() - 1.0).max(0.0)
    }
}
