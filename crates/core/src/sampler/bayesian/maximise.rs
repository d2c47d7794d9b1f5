//! The most promising configuration.

use super::{region::Region, score::Score, surrogate::Surrogate};
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
    region: &Region,
    surrogate: &Surrogate,
    seed: u64,
) -> Option<Candidate> {
    if let Some(all) = unseen.all() {
        let all = all.into_iter().map(|configuration| placed(space, configuration));
        return first_best(scored(surrogate, all.collect()));
    }
    let starts = promising(space, unseen, region, surrogate, seed, REFINED);
    let refined = |starts: &[Candidate]| -> Vec<Candidate> {
        let starts = starts.iter().cloned();
        starts.map(|start| refine(space, unseen, region, surrogate, start)).collect()
    };
    let (left, right) = starts.split_at(starts.len() / 2);
    let (mut all, others) = surrogate.threads.both(true, || refined(left), || refined(right));
    all.extend(others);
    first_best(all)
}

/// Up to `count` unseen configurations with the best scores among all, or among many candidates in a
/// space that cannot be enumerated; best first, all different.
pub(super) fn promising(
    space: &SearchSpace,
    unseen: &Unseen<'_>,
    region: &Region,
    surrogate: &Surrogate,
    seed: u64,
    count: usize,
) -> Vec<Candidate> {
    let candidates = match unseen.all() {
        Some(all) => all.into_iter().map(|configuration| placed(space, configuration)).collect(),
        None => candidates(space, unseen, region, surrogate, seed),
    };
    let mut candidates = scored(surrogate, candidates);
    // Stable, so that equals stay in order.
    candidates.sort_by(|a, b| b.score.compare(&a.score));
    candidates.dedup_by(|a, b| a.point == b.point);
    candidates.truncate(count);
    candidates
}

/// Quasi-random points of a region and the neighbours of its incumbents.
fn candidates(
    space: &SearchSpace,
    unseen: &Unseen<'_>,
    region: &Region,
    surrogate: &Surrogate,
    seed: u64,
) -> Vec<Place> {
    let d = space.parameters().len();
    let even = || region.configurations(space, seed).take(CANDIDATES);
    let mut candidates: Vec<Place> =
        even().filter_map(|configuration| unseen_place(unseen, configuration)).collect();
    if candidates.len() < FEW {
        let mended = |configuration| Some(placed(space, unseen.mended(configuration)?));
        candidates.extend(even().filter_map(mended));
    }
    let incumbents = region.incumbents(surrogate).iter();
    candidates.extend(incumbents.flat_map(|point| neighbours(space, unseen, region, point)));
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
    region: &Region,
    surrogate: &Surrogate,
    start: Candidate,
) -> Candidate {
    let mut best = start;
    for _ in 0..ROUNDS {
        let mut moves: Vec<Place> = climb(space, region, surrogate, &best.point)
            .and_then(|configuration| unseen_place(unseen, configuration))
            .into_iter()
            .collect();
        moves.extend(neighbours(space, unseen, region, &best.point));
        match first_best(scored(surrogate, moves)) {
            Some(better) if better.score.compare(&best.score).is_gt() => best = better,
            _ => break,
        }
    }
    best
}

/// The configuration that L-BFGS reaches along the continuous axes, integers too large to be
/// indexed among them; `None` if there is no such axis.
fn climb(
    space: &SearchSpace,
    region: &Region,
    surrogate: &Surrogate,
    start: &[f64],
) -> Option<Configuration> {
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
    let bounds: Vec<Bounds> = free.iter().map(|&j| region.bounds(j)).collect();
    let reached = minimise(loss, &from, &bounds, EVALUATIONS)?;
    Some(space.nearest(&with(&reached.x)))
}

/// Unseen configurations of a region one step away along one axis.
fn neighbours(
    space: &SearchSpace,
    unseen: &Unseen<'_>,
    region: &Region,
    point: &[f64],
) -> Vec<Place> {
    let mut found = Vec::new();
    for (j, parameter) in space.parameters().iter().enumerate() {
        let (low, high) = region.bounds(j);
        let mut coordinates = steps(parameter.domain(), point[j]);
        coordinates.retain(|coordinate| (low..=high).contains(coordinate));
        for coordinate in coordinates {
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
    let mut coordinates: Vec<f64> = match domain.levels() {
        Some(_) if domain.is_ordered() => Vec::new(),
        Some(levels) => (0..levels).map(|level| level as f64 / top(levels)).collect(),
        None => STEPS.iter().map(|step| here + step).chain([0.0, 1.0]).collect(),
    };
    coordinates.extend(next_values(domain, here));
    coordinates.retain(|coordinate| (0.0..=1.0).contains(coordinate));
    coordinates
}

/// Coordinates of the levels or integers beside `here`; none along a continuous axis or between
/// categories.
pub(super) fn next_values(domain: &Domain, here: f64) -> Vec<f64> {
    let mut coordinates = match domain.levels() {
        Some(levels) if domain.is_ordered() => {
            vec![here - 1.0 / top(levels), here + 1.0 / top(levels)]
        }
        _ => Vec::new(),
    };
    if let Value::Integer(value) = domain.nearest(here) {
        let next = [value - 1, value + 1].map(|value| domain.encode(&Value::Integer(value)));
        coordinates.extend(next.into_iter().flatten());
    }
    coordinates
}

/// Index of the highest of the levels; 1 where there is but one.
fn top(levels: u64) -> f64 {
    levels.saturating_sub(1).max(1) as f64
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
