//! The configurations that a study is compared with, and how far from the targets they are.

use std::fmt;

use serde::Serialize;
use slotune_core::{Configuration, Measurement, Outcome, State};
use slotune_results::{BASELINE, DEFAULT, ResultSet, StoredTrial};
use slotune_serving::metrics::Metric;

use crate::{
    analysis::{misses, reference},
    format,
};

/// The reference trials of a set, by label. As JSON, one object with these fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct References {
    /// What the study file gives to compare with.
    pub baseline: Option<Reference>,
    /// vLLM's default.
    pub default: Option<Reference>,
}

/// One reference trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reference {
    /// What it evaluated.
    pub configuration: Configuration,
    /// `completed` or `infeasible`.
    pub outcome: &'static str,
    /// Why it has no metrics; empty where it has.
    pub reason: String,
    /// What it measured.
    pub metrics: Option<Measurement>,
    /// Every bound of the objective, and whether it is met.
    pub targets: Vec<Target>,
}

/// A bound of the objective and what a trial has of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// The bound, such as `queue_share <= 0.5`.
    pub bound: String,
    /// The value measured, in the metric's unit.
    pub value: Option<f64>,
    /// Whether it meets the bound.
    pub met: bool,
    /// The bound as text, rounded.
    #[serde(skip)]
    in_words: String,
}

impl References {
    /// The references of a set.
    pub fn new(set: &ResultSet) -> Self {
        let of = |label| Reference::new(set, reference(set, label)?);
        Self { baseline: of(BASELINE), default: of(DEFAULT) }
    }
}

impl Reference {
    fn new(set: &ResultSet, trial: &StoredTrial) -> Option<Self> {
        let State::Told { outcome, .. } = &trial.entry.state else { return None };
        let metrics = trial.entry.measurement();
        let objective = &set.manifest.objective;
        let missed = metrics.map(|metrics| misses(objective, metrics));
        let targets = objective.constraints.iter().map(|constraint| Target {
            bound: constraint.to_string(),
            value: metrics.and_then(|metrics| metrics.value(&constraint.metric)),
            met: missed
                .as_ref()
                .is_some_and(|missed| missed.iter().all(|miss| miss.constraint != constraint)),
            in_words: format::bound(constraint),
        });
        Some(Self {
            configuration: trial.entry.trial.configuration.clone(),
            outcome: outcome.name(),
            reason: match outcome {
                Outcome::Completed(_) | Outcome::Pruned(_) => String::new(),
                Outcome::Infeasible(reason) | Outcome::Failed(reason) => reason.message.clone(),
            },
            metrics: metrics.cloned(),
            targets: targets.collect(),
        })
    }
}

impl fmt::Display for References {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = [("baseline", &self.baseline), ("vLLM's default", &self.default)];
        let present =
            || columns.iter().filter_map(|(name, reference)| Some((name, reference.as_ref()?)));
        for (name, reference) in present() {
            writeln!(f, "{name}: {}", reference.configuration)?;
            if reference.metrics.is_none() {
                writeln!(f, "  {}: {}", reference.outcome, reference.reason)?;
            }
        }
        write!(f, "\n{:30}", "")?;
        for (name, _) in present() {
            write!(f, "{name:>18}")?;
        }
        for metric in Metric::all().map(Metric::name) {
            let values: Vec<Option<f64>> = present()
                .map(|(_, reference)| reference.metrics.as_ref()?.value(&metric))
                .collect();
            if values.iter().any(Option::is_some) {
                write!(f, "\n{metric:30}")?;
                for value in values {
                    write!(f, "{:>18}", format::quantity_or(&metric, value))?;
                }
            }
        }
        writeln!(f)?;
        for (name, reference) in present() {
            for target in &reference.targets {
                let verb = if target.met { "meets" } else { "misses" };
                writeln!(f, "{name} {verb} {}", target.in_words)?;
            }
        }
        Ok(())
    }
}
