//! The most promising configuration.

use std::ops::Range;

use super::{region::Region, score::Score, surrogate::Surrogate};
use crate::{
    Configuration, Domain, Origin, SearchSpace, Value,
    minimise::{Bounds, Effort, minimise},
    random::SobolPoints,
    sampler::unseen::Unseen,
};

/// Quasi-random candidates in a space that cannot be enumerated: two halves.
const CANDIDATES: usize = 2 * HALF;
const HALF: usize = 1024;

/// Where rules leave fewer candidates than this, the others are mended.
const FEW: usize = 32;

/// Candidates that are refined.
const REFINED: usize = 4;

/// Rounds of refinement, each along the continuous and then along the discrete parameters.
const ROUNDS: usize = 4;

/// How far each refinement along the continuous parameters goes. The score is a logarithm: a step that
/// makes it more by less is no gain.
const CLIMB: Effort = Effort { evaluations: 40, tolerance: 1e-4 };

/// Steps along a continuous axis of the unit cube that are tried like steps between levels.
const STEPS: [f64; 6] = [-0.1, -0.02, -0.004, 0.004, 0.02, 0.1];

/// A configuration that may be proposed.
#[derive(Clone)]
pub(super) struct Place {
    /// Its design point.
    pub(super) point: Vec<f64>,
    /// `None` where there are no rules: then the configuration nearest to the point will do. One that
    /// stands on the edge of a rule would break it by rounding.
    exact: Option<Configuration>,
}

/// One that was scored.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) place: Place,
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
        return first_best(scored(surrogate, places(space, all)));
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
        Some(all) => places(space, all),
        None => candidates(space, unseen, region, surrogate, seed),
    };
    let mut best: Vec<Candidate> = Vec::new();
    for candidate in scored(surrogate, candidates) {
        // Behind its equals, so that equals stay in order.
        let position = best.partition_point(|other| other.score.compare(&candidate.score).is_ge());
        if position < count && best.iter().all(|other| other.place.point != candidate.place.point) {
            best.insert(position, candidate);
            best.truncate(count);
        }
    }
    best
}

/// Unseen configurations: quasi-random ones of a region and the neighbours of its incumbents.
fn candidates(
    space: &SearchSpace,
    unseen: &Unseen<'_>,
    region: &Region,
    surrogate: &Surrogate,
    seed: u64,
) -> Vec<Place> {
    let d = space.parameters().len();
    let met = |walked: Range<usize>| -> Vec<Place> {
        let mut configuration = Configuration::new();
        let place = |unit: Vec<f64>| {
            region.move_to(space, &mut configuration, &unit);
            unseen_place(space, unseen, &configuration)
        };
        let walk = region.walk(d, seed).skip(walked.start).take(walked.len());
        walk.filter_map(place).collect()
    };
    let (mut candidates, others) =
        surrogate.threads.both(true, || met(0..HALF), || met(HALF..CANDIDATES));
    candidates.extend(others);
    if candidates.len() < FEW {
        let mended = region.walk(d, seed).take(CANDIDATES).filter_map(|unit| {
            let mut configuration = Configuration::new();
            region.move_to(space, &mut configuration, &unit);
            unseen.mended(configuration)
        });
        candidates.extend(places(space, mended));
    }
    let incumbents = region.incumbents(surrogate).iter();
    candidates.extend(incumbents.flat_map(|point| neighbours(space, unseen, region, point)));
    if candidates.is_empty() {
        let last = unseen.first(SobolPoints::new(d, seed).skip(CANDIDATES));
        candidates.extend(places(space, last));
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
    let again = scored(surrogate, places(space, repeat.clone()));
    let is_better = |Candidate { place, score }: &Candidate| {
        surrogate.repeated(*score, &place.point).compare(&new.score).is_gt()
    };
    match repeat.take_if(|_| again.iter().any(is_better)) {
        Some(configuration) => Some((configuration, Origin::Repeat)),
        None => Some((new.place.configuration(space), Origin::Model)),
    }
}

/// Climbs from a candidate to a point that no step improves by much.
fn refine(
    space: &SearchSpace,
    unseen: &Unseen<'_>,
    region: &Region,
    surrogate: &Surrogate,
    start: Candidate,
) -> Candidate {
    let mut best = start;
    for _ in 0..ROUNDS {
        let reached = climb(space, region, surrogate, &best.place.point);
        let reached = reached.map(|reached| space.nearest(&reached));
        let reached = reached.and_then(|reached| unseen_place(space, unseen, &reached));
        let mut moves: Vec<Place> = reached.into_iter().collect();
        moves.extend(neighbours(space, unseen, region, &best.place.point));
        match first_best(scored(surrogate, moves)) {
            Some(better) if better.score.exceeds(&best.score, CLIMB.tolerance) => best = better,
            _ => break,
        }
    }
    best
}

/// The point that L-BFGS reaches along the continuous axes, integers too large to be
/// indexed among them; `None` if there is no such axis.
fn climb(
    space: &SearchSpace,
    region: &Region,
    surrogate: &Surrogate,
    start: &[f64],
) -> Option<Vec<f64>> {
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
    let reached = minimise(loss, &from, &bounds, CLIMB)?;
    Some(with(&reached.x))
}

/// Unseen configurations of a region one step away along one axis.
fn neighbours(
    space: &SearchSpace,
    unseen: &Unseen<'_>,
    region: &Region,
    point: &[f64],
) -> Vec<Place> {
    let mut found = Vec::new();
    let mut configuration = Configuration::new();
    for (j, parameter) in space.parameters().iter().enumerate() {
        let (low, high) = region.bounds(j);
        let mut coordinates = steps(parameter.domain(), point[j]);
        coordinates.retain(|coordinate| (low..=high).contains(coordinate));
        for coordinate in coordinates {
            let mut moved = point.to_vec();
            moved[j] = coordinate;
            space.move_to(&mut configuration, &moved, Domain::nearest);
            found.extend(unseen_place(space, unseen, &configuration));
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

impl Place {
    fn new(space: &SearchSpace, point: Vec<f64>, configuration: &Configuration) -> Self {
        let exact = (!space.rules().is_empty()).then(|| configuration.clone());
        Self { point, exact }
    }

    fn configuration(self, space: &SearchSpace) -> Configuration {
        self.exact.unwrap_or_else(|| space.nearest(&self.point))
    }
}

fn places(
    space: &SearchSpace,
    configurations: impl IntoIterator<Item = Configuration>,
) -> Vec<Place> {
    let place = |configuration: Configuration| {
        let point = space.encode(&configuration).into_coordinates();
        Place::new(space, point, &configuration)
    };
    configurations.into_iter().map(place).collect()
}

/// `None` where the configuration may not be proposed.
fn unseen_place(
    space: &SearchSpace,
    unseen: &Unseen<'_>,
    configuration: &Configuration,
) -> Option<Place> {
    Some(Place::new(space, unseen.point(configuration)?, configuration))
}

fn scored(surrogate: &Surrogate, places: Vec<Place>) -> Vec<Candidate> {
    let points: Vec<&[f64]> = places.iter().map(|place| place.point.as_slice()).collect();
    let scores = surrogate.scores(&points);
    places.into_iter().zip(scores).map(|(place, score)| Candidate { place, score }).collect()
}

fn first_best(candidates: Vec<Candidate>) -> Option<Candidate> {
    let better = |best: Candidate, next: Candidate| {
        if next.score.compare(&best.score).is_gt() { next } else { best }
    };
    candidates.into_iter().reduce(better)
}
