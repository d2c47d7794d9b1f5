//! The most promising configuration.

use super::{score::Score, surrogate::Surrogate};
use crate::{
    Configuration, Domain, Origin, SearchSpace, Value,
    minimise::{Bounds, minimise},
    random::SobolPoints,
    sampler::unseen::Unseen,
};

/// Quasi-random candidates in a space that cannot be enumerated.
const CANDIDATES: usize = 2048;

/// Where rules leave fewer candidates than this, the others are mended.
const FEW: usize = 32;

/// Candidates that are refined.
const REFINED: usize = 4;

/// Rounds of refinement, each along the continuous and then along the discrete parameters.
const ROUNDS: usize = 4;

/// Evaluations of the score in each refinement along the continuous parameters.
const EVALUATIONS: usize = 40;

/// Steps along a continuous axis of the unit cube that are tried like steps between levels.
const STEPS: [f64; 6] = [-0.1, -0.02, -0.004, 0.004, 0.02, 0.1];

/// A configuration and its design point.
type Place = (Configuration, Vec<f64>);

/// A configuration, its design point and its score.
#[derive(Clone)]
pub(super) struct Candidate {
    configuration: Configuration,
    pub(super) point: Vec<f64>,
    pub(super) score: Score,
}

/// The unseen configuration with the best score, the first of equals; `None` when none is left.
///
/// A space that can be enumerated is scored whole. In any other, the best of many candidates are
/// refined in turn.
pub(super) fn best(
    space: &SearchSpace,
    unseen: &Unseen<'_>,
    surrogate: &Surrogate,
    seed: u64,
) -> Option<Candidate> {
    if let Some(all) = unseen.all() {
        let all = all.into_iter().map(|configuration| placed(space, configuration));
        return first_best(scored(surrogate, all.collect()));
    }
    let starts = promising(space, unseen, surrogate, seed, REFINED);
    let refined = starts.into_iter().map(|start| refine(space, unseen, surrogate, start));
    first_best(refined.collect())
}

/// Up to `count` unseen configurations with the best scores among all, or among many candidates in a
/// space that cannot be enumerated; best first, all different.
pub(super) fn promising(
    space: &SearchSpace,
    unseen: &Unseen<'_>,
    surrogate: &Surrogate,
    seed: u64,
    count: usize,
) -> Vec<Candidate> {
    let candidates = match unseen.all() {
        Some(all) => all.into_iter().map(|configuration| placed(space, configuration)).collect(),
        None => candidates(space, unseen, surrogate, seed),
    };
    let mut candidates = scored(surrogate, candidates);
    // Stable, so that equals stay in order.
    candidates.sort_by(|a, b| b.score.compare(&a.score));
    candidates.dedup_by(|a, b| a.point == b.point);
    candidates.truncate(count);
    candidates
}

/// Quasi-random points and the neighbours of the incumbents.
fn candidates(
    space: &SearchSpace,
    unseen: &Unseen<'_>,
    surrogate: &Surrogate,
    seed: u64,
) -> Vec<Place> {
    let d = space.parameters().len();
    let mut candidates: Vec<Place> = SobolPoints::new(d, seed)
        .take(CANDIDATES)
        .filter_map(|unit| unseen_place(unseen, space.configuration_at(&unit)))
        .collect();
    if candidates.len() < FEW {
        let mended = |unit: Vec<f64>| Some(placed(space, unseen.mended(&unit)?));
        candidates.extend(SobolPoints::new(d, seed).take(CANDIDATES).filter_map(mended));
    }
    candidates
        .extend(surrogate.incumbents().iter().flat_map(|point| neighbours(space, unseen, point)));
    if candidates.is_empty() {
        let last = unseen.first(SobolPoints::new(d, seed).skip(CANDIDATES));
        candidates.extend(last.map(|configuration| placed(space, configuration)));
    }
    candidates
}

/// The better of a new configuration and of one more measurement of an evaluated one, which is taken
/// out; the new one of equals. `None` where nothing new is left.
pub(super) fn better(
    space: &SearchSpace,
    surrogate: &Surrogate,
    new: Option<Candidate>,
    repeat: &mut Option<Configuration>,
) -> Option<(Configuration, Origin)> {
    let new = new?;
    let again = repeat.iter().map(|configuration| placed(space, configuration.clone()));
    let mut repeated = scored(surrogate, again.collect());
    for candidate in &mut repeated {
        candidate.score = surrogate.repeated(candidate.score, &candidate.point);
    }
    let is_better = |candidate: &Candidate| candidate.score.compare(&new.score).is_gt();
    if let Some(repeated) = repeated.into_iter().find(is_better) {
        *repeat = None;
        return Some((repeated.configuration, Origin::Repeat));
    }
    Some((new.configuration, Origin::Model))
}

/// Climbs from a candidate to a point that no step improves.
fn refine(
    space: &SearchSpace,
    unseen: &Unseen<'_>,
    surrogate: &Surrogate,
    start: Candidate,
) -> Candidate {
    let mut best = start;
    for _ in 0..ROUNDS {
        let mut moves: Vec<Place> = climb(space, surrogate, &best.point)
            .and_then(|configuration| unseen_place(unseen, configuration))
            .into_iter()
            .collect();
        moves.extend(neighbours(space, unseen, &best.point));
        match first_best(scored(surrogate, moves)) {
            Some(better) if better.score.compare(&best.score).is_gt() => best = better,
            _ => break,
        }
    }
    best
}

/// The configuration that L-BFGS reaches along the continuous axes, integers too large to be
/// indexed among them; `None` if there is no such axis.
fn climb(space: &SearchSpace, surrogate: &Surrogate, start: &[f64]) -> Option<Configuration> {
    let here = space.nearest(start);
    let parameters = space.parameters().iter().enumerate();
    let free: Vec<usize> = parameters
        .filter(|(_, p)| p.domain().levels().is_none() && p.is_active(&here))
        .map(|(j, _)| j)
        .collect();
    if free.is_empty() {
        return None;
    }
    let with = |moved: &[f64]| {
        let mut point = start.to_vec();
        free.iter().zip(moved).for_each(|(&j, &coordinate)| point[j] = coordinate);
        point
    };
    let loss = |moved: &[f64]| {
        let (value, gradient) = surrogate.value_and_gradient(&with(moved))?;
        Some((-value, free.iter().map(|&j| -gradient[j]).collect()))
    };
    let from: Vec<f64> = free.iter().map(|&j| start[j]).collect();
    let bounds: Vec<Bounds> = vec![(0.0, 1.0); free.len()];
    let reached = minimise(loss, &from, &bounds, EVALUATIONS)?;
    Some(space.nearest(&with(&reached.x)))
}

/// Unseen configurations one step away along one axis.
fn neighbours(space: &SearchSpace, unseen: &Unseen<'_>, point: &[f64]) -> Vec<Place> {
    let mut found = Vec::new();
    for (j, parameter) in space.parameters().iter().enumerate() {
        for coordinate in steps(parameter.domain(), point[j]) {
            let mut moved = point.to_vec();
            moved[j] = coordinate;
            found.extend(unseen_place(unseen, space.nearest(&moved)));
        }
    }
    found
}

/// Coordinates one step away from `here`: the next levels, any other category, the next integers,
/// or small steps along a continuous axis and both its ends.
fn steps(domain: &Domain, here: f64) -> Vec<f64> {
    let mut coordinates = match domain.levels() {
        Some(levels) => {
            let top = levels.saturating_sub(1).max(1) as f64;
            if domain.is_ordered() {
                vec![here - 1.0 / top, here + 1.0 / top]
            } else {
                (0..levels).map(|level| level as f64 / top).collect()
            }
        }
        None => STEPS.iter().map(|step| here + step).chain([0.0, 1.0]).collect(),
    };
    if let Value::Integer(value) = domain.nearest(here) {
        let next = [value - 1, value + 1].map(|value| domain.encode(&Value::Integer(value)));
        coordinates.extend(next.into_iter().flatten());
    }
    coordinates.retain(|coordinate| (0.0..=1.0).contains(coordinate));
    coordinates
}

fn placed(space: &SearchSpace, configuration: Configuration) -> Place {
    let point = space.encode(&configuration).coordinates().to_vec();
    (configuration, point)
}

/// `None` where the configuration may not be proposed.
fn unseen_place(unseen: &Unseen<'_>, configuration: Configuration) -> Option<Place> {
    let point = unseen.point(&configuration)?.coordinates().to_vec();
    Some((configuration, point))
}

fn scored(surrogate: &Surrogate, places: Vec<Place>) -> Vec<Candidate> {
    let (configurations, points): (Vec<Configuration>, Vec<Vec<f64>>) = places.into_iter().unzip();
    let scores = surrogate.scores(&points);
    let candidates = configurations.into_iter().zip(points).zip(scores);
    candidates
        .map(|((configuration, point), score)| Candidate { configuration, point, score })
        .collect()
}

fn first_best(candidates: Vec<Candidate>) -> Option<Candidate> {
    let better = |best: Candidate, next: Candidate| {
        if next.score.compare(&best.score).is_gt() { next } else { best }
    };
    candidates.into_iter().reduce(better)
}
