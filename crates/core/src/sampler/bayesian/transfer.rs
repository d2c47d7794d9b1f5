//! What past studies say of a metric: a trend below the Gaussian process of this study's trials.
//!
//! Each past study has a process of its own. How far it is believed is decided by how well it ranks
//! this study's trials, compared with what these say of each other: the ranking-weighted ensemble of
//! Feurer, Letham and Bakshy (2018, arXiv:1802.02219). Its weighted mean is not averaged with this
//! study's process but put below it, with a learnt scale, so that trials correct it where it is wrong
//! (Kennedy and O'Hagan 2000; the stacking of Golovin et al. 2017). A past study that ranks no better
//! than chance has no weight, and the model is what it would be without it.

use std::sync::Arc;

use ndarray::Array2;
use rand_distr::{Distribution, StandardNormal};

use crate::{
    gp::{Gp, Posterior},
    random::stream,
};

/// Rankings that are drawn.
const DRAWS: usize = 256;

/// A past study whose median loss is above this percentile of the losses of this study's own trials is
/// left out, so that many useless ones do not add up (Feurer et al., section 4.3).
const DILUTION: usize = 95;

/// A weighted mean of past processes, with its scale: scale × Σ weight × mean.
#[derive(Clone, Debug)]
pub(super) struct Trend {
    /// Scale × weight of each, and its process.
    members: Vec<(f64, Arc<Gp>)>,
}

impl Trend {
    /// 0 everywhere.
    pub(super) fn none() -> Self {
        Self { members: Vec::new() }
    }

    /// From n points with their values, what these predict of each other, and past processes.
    pub(super) fn learn(
        points: &[&[f64]],
        values: &[f64],
        own: &[Posterior],
        past: &[Arc<Gp>],
    ) -> Self {
        let predictions: Vec<Vec<Posterior>> = past
            .iter()
            .map(|gp| points.iter().map(|point| gp.posterior_at(point)).collect())
            .collect();
        let weights = ranking_weights(values, own, &predictions);
        let mut members: Vec<(f64, Arc<Gp>)> = weights
            .iter()
            .zip(past)
            .filter(|(weight, _)| **weight > 0.0)
            .map(|(&weight, gp)| (weight, Arc::clone(gp)))
            .collect();
        let unscaled = Self { members: members.clone() };
        let guesses: Vec<f64> = points.iter().map(|point| unscaled.at(point)).collect();
        let scale = slope(&guesses, values);
        for (weight, _) in &mut members {
            *weight *= scale;
        }
        members.retain(|(weight, _)| *weight > 0.0);
        Self { members }
    }

    /// How much of a change of each past study's mean is expected, one a member.
    pub(super) fn weights(&self) -> impl Iterator<Item = f64> {
        self.members.iter().map(|(weight, _)| *weight)
    }

    pub(super) fn at(&self, point: &[f64]) -> f64 {
        self.members.iter().map(|(weight, gp)| weight * gp.posterior_at(point).mean).sum()
    }

    /// At every row of `points` (t × d).
    pub(super) fn at_each(&self, points: &Array2<f64>) -> Vec<f64> {
        let mut sums = vec![0.0; points.nrows()];
        for (weight, gp) in &self.members {
            for (sum, mean) in sums.iter_mut().zip(gp.means(points)) {
                *sum += weight * mean;
            }
        }
        sums
    }

    /// Adds value and gradient at a point.
    pub(super) fn add(&self, point: &[f64], value: &mut f64, gradient: &mut [f64]) {
        for (weight, gp) in &self.members {
            let (posterior, slope) = gp.posterior_with_gradient(point);
            *value += weight * posterior.mean;
            gradient.iter_mut().zip(slope.mean).for_each(|(entry, slope)| *entry += weight * slope);
        }
    }
}

/// The share of drawn rankings in which each past process ranks the values best; the rest is the share
/// of the trials themselves, which predict each other. `own` and each of `past` predict the values.
fn ranking_weights(values: &[f64], own: &[Posterior], past: &[Vec<Posterior>]) -> Vec<f64> {
    let losses = |name: &str, predicted: &[Posterior], is_own: bool| -> Vec<usize> {
        let mut random = stream(0, name, predicted.len() as u64);
        let mut draw = |posterior: &Posterior| {
            let z: f64 = StandardNormal.sample(&mut random);
            posterior.mean + posterior.variance.sqrt() * z
        };
        (0..DRAWS)
            .map(|_| {
                let drawn: Vec<f64> = predicted.iter().map(&mut draw).collect();
                misranked(values, &drawn, is_own)
            })
            .collect()
    };
    let own = losses("own ranking", own, true);
    let mut sorted = own.clone();
    sorted.sort_unstable();
    let limit = sorted[DILUTION * (DRAWS - 1) / 100];
    let past: Vec<Option<Vec<usize>>> = past
        .iter()
        .map(|predicted| {
            let losses = losses("past ranking", predicted, false);
            let mut sorted = losses.clone();
            sorted.sort_unstable();
            (sorted[DRAWS / 2] <= limit).then_some(losses)
        })
        .collect();
    let mut weights = vec![0.0; past.len()];
    for draw in 0..DRAWS {
        let of = |losses: &Option<Vec<usize>>| losses.as_ref().map(|losses| losses[draw]);
        let least = past.iter().filter_map(of).chain([own[draw]]).min().unwrap_or(0);
        let winners: Vec<usize> =
            (0..past.len()).filter(|&k| of(&past[k]) == Some(least)).collect();
        // A draw in which trials and past rank alike is the past's: it costs nothing to believe it.
        for &k in &winners {
            weights[k] += 1.0 / (winners.len() * DRAWS) as f64;
        }
    }
    weights
}

/// Pairs of which the smaller value is not the one drawn smaller. A trial's own prediction comes from
/// the others, so that it is compared with what those measured.
fn misranked(values: &[f64], drawn: &[f64], is_own: bool) -> usize {
    let mut count = 0;
    for i in 0..values.len() {
        for j in 0..values.len() {
            let other = if is_own { values[j] } else { drawn[j] };
            count += usize::from((values[i] < values[j]) != (drawn[i] < other));
        }
    }
    count
}

/// The least-squares slope of values over guesses, drawn towards 1 as by one more pair that lies as far
/// out as those do on average; not below 0. Both are on the scale of one metric, where 1 means that a
/// change there is the same change here.
fn slope(guesses: &[f64], values: &[f64]) -> f64 {
    let n = guesses.len().max(1) as f64;
    let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / n;
    let (centre, level) = (mean(guesses), mean(values));
    let square: f64 = guesses.iter().map(|guess| (guess - centre).powi(2)).sum();
    let product: f64 =
        guesses.iter().zip(values).map(|(guess, value)| (guess - centre) * (value - level)).sum();
    if square > 0.0 { ((product + square / n) / (square + square / n)).max(0.0) } else { 0.0 }
}
