//! What further search may still gain.

use super::{
    maximise::promising,
    region::Region,
    surrogate::{Limited, Noise, Surrogate, matrix},
    threads::Threads,
};
use crate::{
    History, Problem, Scale,
    gp::GpError,
    random::{derive, stream},
    sampler::{SuggestError, unseen::Unseen},
};

/// Unseen configurations that are looked at: the most promising ones.
const LOOKED_AT: usize = 128;

/// Joint draws of all outcomes there.
const DRAWS: usize = 256;

/// How much better than the incumbent the best configuration not yet evaluated may be, by draws from
/// the posterior: a share of the incumbent's objective where it is modelled on a log scale, and in the
/// metric's unit where it is modelled linearly.
///
/// The draws are joint over the 128 most promising unseen configurations, those that likely do not start
/// left out; a draw in which none meets every target and is better has a gain of 0.
#[derive(Clone, Debug, PartialEq)]
pub struct RemainingGain {
    /// Ascending, each 0 or more.
    draws: Vec<f64>,
}

impl RemainingGain {
    /// `None` until a trial is known to meet every target.
    pub(crate) fn of(
        problem: &Problem,
        history: &History,
        seed: u64,
    ) -> Result<Option<Self>, SuggestError> {
        let surrogate = Surrogate::fit(problem, history, &[], Noise::Learnt, Threads::default())?;
        let Some(improvement) = &surrogate.improvement else { return Ok(None) };
        let unseen = Unseen::new(problem.space(), history);
        let position = history.len() as u64;
        let candidates = derive(seed, "candidates", position);
        let mut left =
            promising(problem.space(), &unseen, &Region::Whole, &surrogate, candidates, LOOKED_AT);
        left.retain(|candidate| candidate.score.likely_valid);
        let mut gains = vec![0.0_f64; DRAWS];
        if !left.is_empty() {
            let points: Vec<Vec<f64>> = left.into_iter().map(|candidate| candidate.point).collect();
            let points = matrix(&points, problem.space().parameters().len());
            let mut random = stream(seed, "remaining gain", position);
            let failed = |metric: &str| {
                let metric = metric.to_owned();
                move |source: GpError| SuggestError::Surrogate { metric, source }
            };
            let objective = improvement
                .model
                .draws(&points, DRAWS, &mut random)
                .map_err(failed(&improvement.metric))?;
            let mut met = objective.map(|_| true);
            for Limited { metric, model, bound } in &surrogate.constraints {
                let drawn = model.draws(&points, DRAWS, &mut random).map_err(failed(metric))?;
                met.zip_mut_with(&drawn, |met, &value| *met &= bound.is_met_by(value));
            }
            let best = improvement.direction.as_cost(improvement.best);
            for ((gain, values), met) in gains.iter_mut().zip(objective.rows()).zip(met.rows()) {
                let usable = values.iter().zip(met).filter(|(_, met)| **met);
                let costs = usable.map(|(&value, _)| improvement.direction.as_cost(value));
                let difference = (best - costs.fold(f64::INFINITY, f64::min)).max(0.0);
                *gain = match improvement.scale {
                    Scale::Linear => difference,
                    Scale::Log => improvement.direction.gain_share(difference),
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
