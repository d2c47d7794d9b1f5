//! Which parameters move the objective, and which decide whether a server starts.

use serde::{Serialize, Serializer};
use slotune_core::{
    Configuration, Objective, Parameter, Scale, SearchSpace,
    importance::{Importance, Unknown, is_point},
};
use slotune_results::ResultSet;

use super::value;

/// Seed of the forests: the same trials give the same answer.
const SEED: u64 = 0;

/// What tells the trials of several sets apart, beside the parameters.
pub const RESULT_SET: &str = "result set";

/// What the trials of one or several sets say of the parameters. As JSON, one object with these fields.
///
/// Trials count that were measured at a point of the whole space: every parameter set that should be.
/// Those of studies that look at some of the parameters leave the others to vLLM, and do not. A trial
/// whose value is only a lower bound counts at the bound: how bad it is is understated, that it is bad
/// is not. An infeasible trial has no value; it counts for [`start`](Self::start) alone. A failed one
/// says nothing of its configuration and counts nowhere.
///
/// Where there are several sets, which of them a trial is of is one more parameter, [`RESULT_SET`]: what
/// changed between dates, versions or machines is told apart from what the parameters do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effects {
    /// The metric.
    pub metric: String,
    /// Trials that count.
    pub trials: usize,
    /// Those of them whose value is a lower bound.
    pub lower_bounds: usize,
    /// Measured trials that do not count.
    pub left_out: usize,
    /// What moves the metric, on the scale on which the search sees it; as JSON, an object with the reason
    /// as `unknown` where nothing can be told.
    #[serde(serialize_with = "known_or_why")]
    pub importance: Result<Importance, Unknown>,
    /// What decides whether the server can run the configuration: the same of 1 where it can and 0
    /// where it cannot, so that a mean is a share of configurations. `None` where all can.
    #[serde(serialize_with = "start_or_why")]
    pub start: Option<Result<Importance, Unknown>>,
}

impl Effects {
    /// What the trials of these sets, each with a name, say of the parameters of the first.
    pub fn new(sets: &[(String, &ResultSet)], objective: &Objective) -> Self {
        let Some(space) = space(sets) else {
            return Self {
                metric: objective.metric.clone(),
                trials: 0,
                lower_bounds: 0,
                left_out: 0,
                importance: Err(Unknown::TooFew { configurations: 0, needed: 1 }),
                start: None,
            };
        };
        let all = sets.iter().flat_map(|(name, set)| set.first_runs().map(move |t| (name, t)));
        let mut measured: Vec<(Configuration, f64)> = Vec::new();
        let mut started: Vec<(Configuration, f64)> = Vec::new();
        let (mut lower_bounds, mut left_out) = (0, 0);
        for (name, trial) in all {
            let mut configuration = trial.entry.trial.configuration.clone();
            if sets.len() > 1 {
                configuration = configuration.with(RESULT_SET, name.clone());
            }
            let is_point = is_point(&space, &configuration);
            if trial.entry.is_infeasible() && is_point {
                started.push((configuration, 0.0));
            } else if let Some(value) = value(trial, &objective.metric) {
                if is_point {
                    let estimate = trial.entry.measurement().and_then(|m| m.get(&objective.metric));
                    lower_bounds += usize::from(estimate.is_some_and(|e| e.is_lower_bound));
                    started.push((configuration.clone(), 1.0));
                    measured.push((configuration, value));
                } else {
                    left_out += 1;
                }
            }
        }
        let is_infeasible = |(_, runs): &(Configuration, f64)| *runs == 0.0;
        let start = started
            .iter()
            .any(is_infeasible)
            .then(|| Importance::new(&space, &started, Scale::Linear, SEED));
        Self {
            metric: objective.metric.clone(),
            trials: measured.len(),
            lower_bounds,
            left_out,
            importance: Importance::new(&space, &measured, objective.scale, SEED),
            start,
        }
    }
}

/// The space of the first set, and of several which of them it is; `None` without a set.
fn space(sets: &[(String, &ResultSet)]) -> Option<SearchSpace> {
    let (_, first) = sets.first()?;
    let space = &first.manifest.space;
    if sets.len() == 1 {
        return Some(space.clone());
    }
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in sets {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let set = Parameter::categorical(RESULT_SET, names);
    let parameters = space.parameters().iter().cloned().chain([set]).collect();
    // Only a parameter that is called as the sets are can be in the way.
    SearchSpace::new(parameters, space.rules().to_vec()).ok()
}

/// The importance, or an object that says why there is none.
fn known_or_why<S: Serializer>(
    importance: &Result<Importance, Unknown>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Why {
        unknown: String,
    }
    match importance {
        Ok(importance) => importance.serialize(serializer),
        Err(unknown) => Why { unknown: unknown.to_string() }.serialize(serializer),
    }
}

#[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
fn start_or_why<S: Serializer>(
    start: &Option<Result<Importance, Unknown>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match start {
        Some(importance) => known_or_why(importance, serializer),
        None => serializer.serialize_none(),
    }
}
