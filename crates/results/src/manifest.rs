//! What a result set is of: the part that is known before the first trial, and what finals are held.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use slotune_core::{Objective, SearchSpace};
use slotune_serving::{BackendInfo, Workload, metrics::Metric};

use crate::{FinalsManifest, trial_part};

/// Version of the file layout and of the columns. A reader refuses newer ones.
pub const SCHEMA_VERSION: u32 = 2;

/// What a result set is of: the part that is known before the first trial, and what finals are held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the file layout and of the columns.
    pub schema_version: u32,
    /// Version of slotune that wrote it.
    pub slotune_version: String,
    /// When it was begun, RFC 3339 in UTC.
    pub created: String,
    /// The command line that began it; empty where that is not known.
    #[serde(default)]
    pub command: String,
    /// Where the search goes.
    pub space: SearchSpace,
    /// What it searches for.
    pub objective: Objective,
    /// Names of the metrics that a completed trial may hold; each is a column, in its own unit.
    pub metrics: Vec<String>,
    /// What the clients send.
    pub workload: Workload,
    /// What evaluates, and whether its numbers are simulated or measured.
    pub backend: BackendInfo,
    /// The studies of the set, in the order they were begun.
    pub studies: Vec<StudyManifest>,
    /// Under what its finals are held; absent while there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finals: Option<FinalsManifest>,
}

/// One study of the set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyManifest {
    /// Its name, unique in the set: letters, digits, `-` and `_`.
    pub name: String,
    /// What it is for.
    pub role: StudyRole,
    /// Name of its sampler.
    pub sampler: String,
    /// Root of its random streams.
    pub seed: u64,
    /// How many trials it may take. [`Writer::open`](crate::Writer::open) and
    /// [`Writer::plan_finals`](crate::Writer::plan_finals) may raise it.
    pub trials: u64,
}

/// What a study is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StudyRole {
    /// Configurations to compare with, labelled `baseline` and `default`.
    Reference,
    /// The search whose winner is recommended.
    Search,
    /// Another way to search, to compare with.
    Comparison,
    /// A look at some of the parameters, the others left to vLLM.
    Focus,
    /// The best of the search repeated beside vLLM's default, as [`FinalsManifest`] tells.
    Finals,
}

impl Manifest {
    /// A set begun now, at `created` (RFC 3339 in UTC), without studies yet: this version of the
    /// schema and of slotune, every metric of the catalogue.
    pub fn new(
        created: impl Into<String>,
        space: SearchSpace,
        objective: Objective,
        workload: Workload,
        backend: BackendInfo,
    ) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            slotune_version: env!("CARGO_PKG_VERSION").to_owned(),
            created: created.into(),
            command: String::new(),
            space,
            objective,
            metrics: Metric::all().map(Metric::name).collect(),
            workload,
            backend,
            studies: vec![],
            finals: None,
        }
    }

    /// The same, begun by this command line.
    #[must_use]
    pub fn with_command(self, command: impl Into<String>) -> Self {
        Self { command: command.into(), ..self }
    }

    /// The same with one more study.
    #[must_use]
    pub fn with_study(mut self, study: StudyManifest) -> Self {
        self.studies.push(study);
        self
    }

    /// The same, whose trials may hold one more metric, such as the
    /// [opening](slotune_core::opening) of the objective.
    #[must_use]
    pub fn with_metric(mut self, metric: impl Into<String>) -> Self {
        self.metrics.push(metric.into());
        self
    }

    /// What keeps the manifest from naming files and columns, and the remedy, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut studies = BTreeSet::new();
        for StudyManifest { name, .. } in &self.studies {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || !name.chars().all(plain) {
                return Err(format!(
                    "study name `{name}` does not suit a file name; use letters, digits, `-` and `_`"
                ));
            }
            // Some file systems, and DuckDB's columns below, do not tell upper case from lower.
            if !studies.insert(name.to_lowercase()) {
                return Err(format!(
                    "two studies are named `{name}`, upper and lower case being one; rename one"
                ));
            }
        }
        if let Some(metric) =
            self.objective.metrics().find(|&metric| !self.metrics.iter().any(|m| m == metric))
        {
            return Err(format!("`metrics` lacks `{metric}`, which the objective needs; add it"));
        }
        self.check_finals()?;
        let mut columns = BTreeSet::new();
        for column in trial_part::column_names(self) {
            if !columns.insert(column.to_lowercase()) {
                return Err(format!(
                    "two columns would be named `{column}`; rename the parameter or metric"
                ));
            }
        }
        Ok(())
    }

    /// The first field in which another manifest of the same set must agree and does not: its
    /// path, the value here, the value there.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<(String, String, String)> {
        // When it was begun, how, by which version, how long it may go on and its finals may differ.
        let comparable = |manifest: &Self| {
            let mut fixed = Self {
                created: String::new(),
                slotune_version: String::new(),
                command: String::new(),
                ..manifest.without_finals()
            };
            fixed.studies.iter_mut().for_each(|study| study.trials = 0);
            serde_json::to_value(fixed).expect("a manifest is plain data with text keys")
        };
        let (here, there) = (comparable(self), comparable(other));
        // What else differs often follows from the workload.
        first_difference("workload", &here["workload"], &there["workload"])
            .or_else(|| first_difference("", &here, &there))
    }

    /// Raises the budgets to those of another manifest of the same set where that grants more;
    /// whether any rose.
    pub(crate) fn raise_budgets(&mut self, other: &Self) -> bool {
        let mut raised = false;
        for (study, other) in self.studies.iter_mut().zip(&other.studies) {
            raised |= other.trials > study.trials;
            study.trials = study.trials.max(other.trials);
        }
        raised
    }
}

/// The first difference between two JSON documents: its path, the value here, the value there.
fn first_difference(path: &str, here: &Value, there: &Value) -> Option<(String, String, String)> {
    match (here, there) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                first_difference(
                    &path,
                    a.get(key).unwrap_or(&Value::Null),
                    b.get(key).unwrap_or(&Value::Null),
                )
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(i, (a, b))| first_difference(&format!("{path}[{i}]"), a, b)),
        _ if here == there => None,
        _ => Some((path.to_owned(), here.to_string(), there.to_string())),
    }
}
