//! Questions to any number of past result sets, without a server: the best configuration for other
//! targets, what latency costs in throughput, what changed between sets, which trials to trust.

mod display;
mod doubt;
mod drift;
mod goodput;

pub use doubt::Doubt;
pub use drift::{Drift, Shift};
pub use goodput::{GoodputError, with_goodput};

use serde::Serialize;
use slotune_core::{Configuration, Constraint, Estimate, Objective, front_of};
use slotune_results::{ResultSet, StoredTrial};
use slotune_serving::{CaveatClass, metrics::Metric};

use crate::{
    analysis::{Effects, misses},
    asked::{beside, unlike_loads},
    comparison::caveats,
    format::bound,
};

/// What past sets answer. As JSON, one object with these fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inquiry {
    /// The sets, as they were named.
    pub sets: Vec<Asked>,
    /// What is asked for.
    pub objective: Objective,
    /// The trials that were looked at: completed ones of all sets.
    pub trials: usize,
    /// Those of them that meet every target.
    pub feasible: usize,
    /// The best that meets every target.
    pub best: Option<Found>,
    /// Where nothing meets them: the trial that comes closest.
    pub closest: Option<Found>,
    /// The trials that no other beats in both the objective and its second goal (where it has none, the
    /// output throughput, and the P95 latency beside that), by objective, whatever the targets; the earliest
    /// of equals.
    pub front: Vec<Found>,
    /// Configurations that more than one set measured, and how their objective changed.
    pub drift: Vec<Drift>,
    /// What those configurations say together of each set and the next later one.
    pub shifts: Vec<Shift>,
    /// What the parameters of the first set's space do to the objective, over all sets.
    pub effects: Effects,
    /// Trials to trust less, each with the reason.
    pub doubts: Vec<Doubt>,
    /// Why no trial can answer, whose trials served unlike loads, and in what the sets differ from the first.
    pub caveats: Vec<String>,
}

/// A trial and where it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// Name of its set.
    pub set: String,
    /// Its study.
    pub study: String,
    /// Its number.
    pub trial: u64,
    /// What it is known as, such as `default`.
    pub label: Option<String>,
    /// What it evaluated.
    pub configuration: Configuration,
    /// Its objective.
    pub value: Estimate,
    /// Its output throughput, tokens/s.
    pub output_throughput_tok_per_s: Option<f64>,
    /// What it has of the second goal of the [front](Inquiry::front), in that metric's unit.
    pub against: Option<f64>,
    /// The targets that it misses, such as `queue_share <= 0.5`.
    pub misses: Vec<String>,
    /// The same as text, rounded.
    #[serde(skip)]
    misses_in_words: Vec<String>,
}

/// One of the sets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Asked {
    /// Name of the set.
    pub set: String,
    /// When it was begun, RFC 3339.
    pub created: String,
    /// Version of vLLM.
    pub vllm_version: String,
    /// The GPU, where it is known.
    pub gpu: Option<String>,
    /// Its trials, of any outcome.
    pub trials: usize,
}

/// A trial with the name and the set that it is of.
#[derive(Clone, Copy)]
struct Seen<'a> {
    name: &'a str,
    trial: &'a StoredTrial,
    value: Estimate,
}

impl Inquiry {
    /// Asks these sets, each with a name to call it by, for this objective.
    ///
    /// # Errors
    /// When there is no set, or the objective names a metric that does not exist.
    pub fn new(sets: &[(String, &ResultSet)], objective: Objective) -> Result<Self, InquiryError> {
        let Some((_, first)) = sets.first() else { return Err(InquiryError::NoSet) };
        let metric = known(&objective.metric)?;
        for metric in objective.metrics() {
            known(metric)?;
        }
        let seen: Vec<Seen<'_>> = sets
            .iter()
            .flat_map(|(name, set)| set.first_runs().map(move |trial| (name.as_str(), trial)))
            .filter_map(|(name, trial)| {
                let value = trial.entry.measurement()?.get(&objective.metric)?;
                Some(Seen { name, trial, value })
            })
            .collect();
        let is_feasible = |seen: &&Seen<'_>| {
            seen.trial.entry.measurement().is_some_and(|m| objective.is_feasible(m))
        };
        let is_better = |a: f64, b: f64| objective.is_better(a, b);
        // A latency that is known only to be longer wins nothing.
        let best =
            seen.iter().filter(is_feasible).filter(|seen| !seen.value.is_lower_bound).reduce(
                |best, next| {
                    if is_better(next.value.value, best.value.value) { next } else { best }
                },
            );
        let closest = if best.is_some() { None } else { closest(&objective, &seen) };
        let found = |seen: &Seen<'_>| Found::new(&objective, seen);
        let drift = drift::drift(metric, sets, &seen);
        Ok(Self {
            sets: sets.iter().map(|(name, set)| Asked::new(name, set)).collect(),
            trials: seen.len(),
            feasible: seen.iter().filter(is_feasible).count(),
            best: best.map(found),
            closest: closest.map(found),
            front: front(&objective, &seen).into_iter().map(found).collect(),
            shifts: drift::shifts(metric, sets, &drift),
            drift,
            effects: Effects::new(sets, &objective),
            doubts: doubt::doubts(&objective.metric, &seen),
            caveats: seen
                .is_empty()
                .then(|| lacking(sets, metric))
                .into_iter()
                .chain(of_unlike_loads(sets))
                .chain(unlike_sets(first, &sets[1..]))
                .collect(),
            objective,
        })
    }
}

/// Why no trial of these sets can answer a question for this metric, and what can be asked instead.
fn lacking(sets: &[(String, &ResultSet)], metric: Metric) -> String {
    let trials = || sets.iter().flat_map(|(_, set)| set.first_runs());
    let has = |name: &String| {
        trials().filter_map(|trial| trial.entry.measurement()).any(|m| m.get(name).is_some())
    };
    let known: Vec<String> = Metric::all().map(Metric::name).filter(has).collect();
    if known.is_empty() {
        return "no trial completed".to_owned();
    }
    let is_of_another_tool =
        |trial: &StoredTrial| trial.caveats.iter().any(|c| c.class == CaveatClass::OtherTool);
    let remedy = if metric == Metric::Goodput {
        "say what a good request is (`--slo`), or ask for another"
    } else if trials().any(is_of_another_tool) {
        "import what `vllm bench serve --save-detailed` wrote, or ask for another"
    } else {
        "ask for another"
    };
    format!("no trial has the metric `{metric}`; {remedy}: {}", known.join(", "))
}

/// The sets whose trials served requests of their own.
fn of_unlike_loads(sets: &[(String, &ResultSet)]) -> impl Iterator<Item = String> {
    let each = |(name, set): &(String, &ResultSet)| {
        Some(format!("{name}: {}", unlike_loads(&set.manifest.workload)?))
    };
    sets.iter().filter_map(each)
}

/// In what the later sets differ from the first.
fn unlike_sets(first: &ResultSet, later: &[(String, &ResultSet)]) -> impl Iterator<Item = String> {
    later.iter().flat_map(move |(name, set)| {
        caveats(first, set).into_iter().map(move |caveat| format!("{name}: {caveat}"))
    })
}

fn known(metric: &str) -> Result<Metric, InquiryError> {
    Metric::from_name(metric).map_err(InquiryError::Metric)
}

/// The objective of a set with another goal or other bounds: bounds replace those on the same metric.
pub fn retargeted(
    objective: &Objective,
    goal: Option<Objective>,
    bounds: &[Constraint],
) -> Objective {
    let kept = objective
        .constraints
        .iter()
        .filter(|constraint| bounds.iter().all(|bound| bound.metric != constraint.metric));
    let constraints = kept.chain(bounds).cloned().collect();
    Objective { constraints, ..goal.unwrap_or_else(|| objective.clone()) }
}

impl Asked {
    fn new(name: &str, set: &ResultSet) -> Self {
        let backend = &set.manifest.backend;
        Self {
            set: name.to_owned(),
            created: set.manifest.created.clone(),
            vllm_version: backend.vllm_version.clone(),
            gpu: backend.hardware.gpu.clone(),
            trials: set.trials.len(),
        }
    }
}

impl Found {
    fn new(objective: &Objective, seen: &Seen<'_>) -> Self {
        let measurement = seen.trial.entry.measurement();
        let missed = measurement.map(|m| misses(objective, m)).unwrap_or_default();
        Self {
            set: seen.name.to_owned(),
            study: seen.trial.study.clone(),
            trial: seen.trial.entry.trial.id.0,
            label: seen.trial.label.clone(),
            configuration: seen.trial.entry.trial.configuration.clone(),
            value: seen.value,
            output_throughput_tok_per_s: measurement
                .and_then(|m| m.value(&Metric::OutputThroughput.name())),
            against: measurement.and_then(|m| m.value(&beside(objective).metric)),
            misses: missed.iter().map(|miss| miss.constraint.to_string()).collect(),
            misses_in_words: missed.iter().map(|miss| bound(miss.constraint)).collect(),
        }
    }
}

/// The trial whose largest shortfall is the smallest.
fn closest<'s, 'a>(objective: &Objective, seen: &'s [Seen<'a>]) -> Option<&'s Seen<'a>> {
    let furthest = |seen: &Seen<'_>| {
        let misses = misses(objective, seen.trial.entry.measurement()?);
        misses.iter().map(|miss| miss.shortfall).reduce(f64::max)
    };
    seen.iter()
        .filter_map(|seen| Some((seen, furthest(seen)?)))
        .reduce(|closest, next| if next.1 < closest.1 { next } else { closest })
        .map(|(seen, _)| seen)
}

/// The trials that no other beats in both, by objective.
fn front<'s, 'a>(objective: &Objective, seen: &'s [Seen<'a>]) -> Vec<&'s Seen<'a>> {
    let measured = seen.iter().filter_map(|seen| Some((seen, seen.trial.entry.measurement()?)));
    front_of([&objective.goal(), &beside(objective)], measured)
}

fn configuration<'a>(seen: &Seen<'a>) -> &'a Configuration {
    &seen.trial.entry.trial.configuration
}

/// Why sets cannot be asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InquiryError {
    /// There is nothing to ask.
    #[error("no result set was named; name at least one")]
    NoSet,
    /// There is no such metric.
    #[error(transparent)]
    Metric(slotune_serving::metrics::UnknownMetric),
}
