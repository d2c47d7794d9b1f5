//! What the search believes of every outcome.

use std::borrow::Borrow;

use ndarray::Array2;

use super::{
    model::{Model, Structure},
    modelling::{Completed, Modelling},
    part::Part,
    price::Price,
    repeat,
    score::feasibility,
    threads::Threads,
    tradeoff::Tradeoff,
};
use crate::{
    Bound, Direction, Entry, Estimate, History, Problem, Scale, Trial, gp::Posterior,
    sampler::SuggestError, validity::Validity,
};

/// What errors call the model of what can be measured.
const VALIDITY: &str = "(validity)";

/// Evaluated points whose neighbourhood is searched.
const INCUMBENTS: usize = 3;

/// A gain below this share of the incumbent is not worth a trial: expected improvement counts from
/// there. Without it, a plateau of nearly equal configurations draws trial after trial.
const LEAST_GAIN: f64 = 0.01;

/// The same where runs do not differ, times the number of trials: one more costs one n-th of what all have,
/// and a plateau has no luckiest configuration that would be followed.
const LEAST_EXACT_GAIN: f64 = 0.1;

/// An evaluated configuration is surely feasible with this probability.
pub(crate) const SURE: f64 = 0.95;

/// Trials from which on the objective is modelled by a thread of its own.
const WORTH_A_THREAD: usize = 10;

/// Models of every outcome.
///
/// A constrained metric is seen through a [lens](super::outcome::Lens): left as it is, a few extreme trials
/// would set the scale and bury the differences that decide.
pub(crate) struct Surrogate {
    /// `None` until a feasible trial is known: then feasibility alone is sought.
    pub(super) improvement: Option<Improvement>,
    /// `None` too where there is one goal alone.
    pub(super) tradeoff: Option<Tradeoff>,
    pub(super) constraints: Vec<Limited>,
    pub(super) validity: Validity,
    /// `None` where the cost of a trial does not matter.
    pub(super) price: Option<Price>,
    /// Design points of all trials that say something, and of those believed.
    pub(super) tried: Vec<Vec<f64>>,
    incumbents: Vec<Vec<f64>>,
    pub(super) threads: Threads,
}

/// What is taken for noise of a measured value.
///
/// Standard errors within a run tell how well the run speaks for the law behind its requests. Trials
/// that serve the same requests share that error, and it cancels between them: a search that compares
/// trials learns the noise between runs alone. Whether a target is met is a matter of the law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noise {
    /// What differs between runs, learnt.
    Learnt,
    /// That, and the standard errors within the runs.
    MeasuredAndLearnt,
}

/// How models are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) noise: Noise,
    /// A part of the search that they do without.
    pub(crate) left_out: Option<Part>,
    pub(crate) threads: Threads,
}

impl Manner {
    /// Nothing left out.
    pub(crate) fn new(noise: Noise) -> Self {
        Self { noise, left_out: None, threads: Threads::default() }
    }

    pub(super) fn has(self, part: Part) -> bool {
        self.left_out != Some(part)
    }
}

/// A goal, on the scale it is modelled on.
pub(super) struct Improvement {
    pub(super) metric: String,
    pub(super) model: Model,
    pub(super) scale: Scale,
    pub(super) direction: Direction,
    pub(super) best: f64,
    pub(super) least_gain: f64,
}

/// A constrained metric and its bound, on the scale it is modelled on.
pub(super) struct Limited {
    pub(super) metric: String,
    pub(super) model: Model,
    pub(super) bound: Bound,
}

impl Surrogate {
    /// From the trials of a history and those of past studies of the same space.
    pub(crate) fn fit(
        problem: &Problem,
        history: &History,
        past: &[History],
        manner: Manner,
    ) -> Result<Self, SuggestError> {
        let space = problem.space();
        let encode = |trial: &Trial| space.encode(&trial.configuration).coordinates().to_vec();
        let started: Vec<(Vec<f64>, bool)> = history
            .entries()
            .iter()
            .filter(|entry| entry.is_fact() || entry.is_pruned())
            .map(|entry| (encode(&entry.trial), !entry.is_infeasible()))
            .collect();
        let tried: Vec<Vec<f64>> = started.iter().map(|(point, _)| point.clone()).collect();
        let valid: Vec<bool> = started.iter().map(|&(_, valid)| valid).collect();
        let completed: Vec<Completed<'_>> =
            history.completed().map(|(trial, measurement)| (encode(trial), measurement)).collect();
        let opening = |entry: &Entry| entry.opening(&problem.objective().metric);
        let openings = history.entries().iter();
        let openings = openings.filter_map(|entry| Some((encode(&entry.trial), opening(entry)?)));
        let openings: Vec<(Vec<f64>, Estimate)> = openings.collect();
        let may_differ = repeat::may_differ(problem.objective(), history);
        let is_table = space.parameters().iter().all(|p| p.domain().levels().is_some());
        let structure =
            if is_table && manner.has(Part::Draws) { Structure::Table } else { Structure::Smooth };
        let (completed, openings) = (&completed, &openings);
        let modelling = Modelling { problem, completed, openings, past, manner, structure };
        let threads = manner.threads;
        let columns = space.columns();
        let validity = || {
            Validity::fit(matrix(&tried, columns.len()), &valid, &columns)
                .map_err(|source| SuggestError::Surrogate { metric: VALIDITY.to_owned(), source })
        };
        let constraints = || -> Result<Vec<Limited>, SuggestError> {
            let all = problem.objective().constraints.iter();
            all.filter_map(|constraint| modelling.limited(constraint).transpose()).collect()
        };
        let (goals, (constraints, validity)) = threads.both(
            completed.len() >= WORTH_A_THREAD,
            || modelling.goals(),
            || (constraints(), validity()),
        );
        let (improvement, tradeoff) = goals?;
        let mut surrogate = Self {
            improvement,
            tradeoff,
            constraints: constraints?,
            validity: validity?,
            price: None,
            tried,
            incumbents: Vec::new(),
            threads,
        };
        let least_gain = match may_differ {
            _ if !manner.has(Part::LeastGain) => 0.0,
            true => LEAST_GAIN,
            false => LEAST_EXACT_GAIN / completed.len().max(1) as f64,
        };
        surrogate.choose_incumbents(problem, completed, may_differ, least_gain);
        Ok(surrogate)
    }

    /// The incumbent is what is best in the posterior mean, not the luckiest sample, among the trials
    /// that were seen to meet the targets; where a repeat `may_differ`, among those that surely do, if
    /// there is one. `least_gain` is the share of it that is worth a trial.
    fn choose_incumbents(
        &mut self,
        problem: &Problem,
        completed: &[Completed<'_>],
        may_differ: bool,
        least_gain: f64,
    ) {
        let of = |chosen: &dyn Fn(&Completed<'_>) -> bool| -> Vec<Vec<f64>> {
            completed.iter().filter(|one| chosen(one)).map(|(point, _)| point.clone()).collect()
        };
        let Some(improvement) = &self.improvement else {
            let all = of(&|_| true);
            let costs = self.log_feasibilities(&all).into_iter().map(|chance| -chance);
            self.incumbents = first_by(&all, &costs.collect::<Vec<_>>());
            return;
        };
        let mut usable = of(&|(_, measurement)| problem.objective().is_feasible(measurement));
        if may_differ {
            let chances = self.log_feasibilities(&usable);
            let sure = usable.iter().zip(chances).filter(|(_, chance)| *chance >= SURE.ln());
            let sure: Vec<Vec<f64>> = sure.map(|(point, _)| point.clone()).collect();
            usable = if sure.is_empty() { usable } else { sure };
        }
        let points = matrix(&usable, problem.space().parameters().len());
        let costs = improvement.costs(&points);
        self.incumbents = match &mut self.tradeoff {
            None => first_by(&usable, &costs),
            Some(tradeoff) => {
                let front = tradeoff.reached(&costs, &points);
                front.into_iter().map(|position| usable[position].clone()).collect()
            }
        };
        if let (Some(first), Some(best)) = (&mut self.improvement, self.incumbents.first()) {
            first.set_incumbent(best, least_gain);
        }
        if let (Some(tradeoff), Some(best)) = (&mut self.tradeoff, self.incumbents.last()) {
            tradeoff.second.set_incumbent(best, least_gain);
        }
    }

    /// Takes it that a trial at this point will come out as expected.
    pub(super) fn believe(&mut self, point: &[f64]) -> Result<(), SuggestError> {
        let mut feasible = true;
        for Limited { metric, model, bound } in &mut self.constraints {
            let mean = model.at(point).mean;
            feasible &= bound.is_met_by(mean);
            *model = believed(model, point, mean, metric)?;
        }
        if let (true, Some(first), Some(tradeoff)) =
            (feasible, &self.improvement, &mut self.tradeoff)
        {
            tradeoff.believe(first, point);
        }
        let second = self.tradeoff.iter_mut().map(|tradeoff| &mut tradeoff.second);
        for Improvement { metric, model, direction, best, .. } in
            self.improvement.iter_mut().chain(second)
        {
            let mean = model.at(point).mean;
            if feasible && direction.as_cost(mean) < direction.as_cost(*best) {
                *best = mean;
            }
            *model = believed(model, point, mean, metric)?;
        }
        self.tried.push(point.to_vec());
        Ok(())
    }

    /// Evaluated points around which the search looks closer.
    pub(super) fn incumbents(&self) -> &[Vec<f64>] {
        &self.incumbents
    }

    /// The objective as a cost, on the scale it is modelled on, at a point less that at another;
    /// `None` until a feasible trial is known.
    pub(crate) fn difference(&self, point: &[f64], other: &[f64]) -> Option<Posterior> {
        let Improvement { model, direction, .. } = self.improvement.as_ref()?;
        let Posterior { mean, variance } = model.difference(point, other);
        Some(Posterior { mean: direction.as_cost(mean), variance })
    }

    /// The objective on the scale it is modelled on; `None` until a feasible trial is known.
    pub(crate) fn objective(&self, point: &[f64]) -> Option<(Posterior, Scale)> {
        let Improvement { model, scale, .. } = self.improvement.as_ref()?;
        Some((model.at(point), *scale))
    }

    /// The same of the second goal, where there is one.
    pub(crate) fn against(&self, point: &[f64]) -> Option<(Posterior, Scale)> {
        let Improvement { model, scale, .. } = &self.tradeoff.as_ref()?.second;
        Some((model.at(point), *scale))
    }

    /// The probability that each constraint is met at a point, in their order.
    pub(crate) fn feasibilities(&self, point: &[f64]) -> Vec<f64> {
        let each = |limited: &Limited| feasibility(limited.model.at(point), limited.bound);
        self.constraints.iter().map(|limited| each(limited).value.exp()).collect()
    }

    /// log of the probability that all constraints are met at each point.
    pub(super) fn log_feasibilities(&self, points: &[Vec<f64>]) -> Vec<f64> {
        let mut sums = vec![0.0; points.len()];
        let Some(d) = points.first().map(Vec::len) else { return sums };
        let points = matrix(points, d);
        for Limited { model, bound, .. } in &self.constraints {
            for (sum, posterior) in sums.iter_mut().zip(model.at_each(&points)) {
                *sum += feasibility(posterior, *bound).value;
            }
        }
        sums
    }

    /// The probability that a point gives a measurement at all.
    pub(crate) fn validity(&self, point: &[f64]) -> f64 {
        self.validity.probabilities(&matrix(&[point.to_vec()], point.len()))[0]
    }

    /// Lengthscales of the objective on the unit cube, one a column; before it has a model, those of the
    /// first constrained metric. `None` before anything was measured.
    pub(super) fn lengthscales(&self) -> Option<Vec<f64>> {
        let objective = self.improvement.as_ref().map(|improvement| &improvement.model);
        let model = objective.or(self.constraints.first().map(|limited| &limited.model))?;
        Some(model.lengthscales())
    }

    /// Whether there is a model of anything but validity.
    pub(super) fn is_measured(&self) -> bool {
        self.improvement.is_some() || !self.constraints.is_empty()
    }
}

impl Improvement {
    /// The posterior means at every row of `points` (t × d), as costs.
    pub(super) fn costs(&self, points: &Array2<f64>) -> Vec<f64> {
        self.model.at_each(points).iter().map(|at| self.direction.as_cost(at.mean)).collect()
    }

    /// Makes the posterior mean at this point what is to be beaten, by at least a share of it.
    fn set_incumbent(&mut self, point: &[f64], least_gain: f64) {
        self.best = self.model.at(point).mean;
        self.least_gain = self.scale.step(least_gain, self.best);
    }
}

/// The first few points by their costs, ties in their order.
fn first_by(points: &[Vec<f64>], costs: &[f64]) -> Vec<Vec<f64>> {
    let mut ordered: Vec<(f64, &Vec<f64>)> = costs.iter().copied().zip(points).collect();
    ordered.sort_by(|a, b| a.0.total_cmp(&b.0));
    // A repeated configuration is one point.
    ordered.dedup_by(|a, b| a.1 == b.1);
    ordered.into_iter().take(INCUMBENTS).map(|(_, point)| point.clone()).collect()
}

fn believed(model: &Model, point: &[f64], mean: f64, metric: &str) -> Result<Model, SuggestError> {
    model
        .with_observation(point, mean)
        .map_err(|source| SuggestError::Surrogate { metric: metric.to_owned(), source })
}

pub(super) fn matrix(points: &[impl Borrow<[f64]>], columns: usize) -> Array2<f64> {
    Array2::from_shape_vec((points.len(), columns), points.concat()).expect("points of one space")
}
