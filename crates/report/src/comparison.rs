//! Two trials side by side, perhaps of two result sets: before and after.

use std::fmt;

use serde::Serialize;
use slotune_core::{Configuration, Estimate};
use slotune_results::{ResultSet, StoredTrial};
use slotune_serving::metrics::Metric;

use crate::{
    analysis::{Change, differ, is_error_known},
    asked::unlike_loads,
    format::{self, quantity},
};

pub use crate::analysis::Judgement;

/// Two trials side by side. As JSON, one object with these fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The trial to compare with.
    pub before: Side,
    /// The trial that is compared.
    pub after: Side,
    /// What became of the objective of the second set.
    pub verdict: Judgement,
    /// The metrics that both measured, in the catalogue's order.
    pub metrics: Vec<Row>,
    /// What limits the comparison, such as different workloads.
    pub caveats: Vec<String>,
    /// The objective's metric.
    #[serde(skip)]
    objective: String,
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Its study.
    pub study: String,
    /// Its number.
    pub trial: u64,
    /// What it is known as.
    pub label: Option<String>,
    /// What it evaluated.
    pub configuration: Configuration,
}

/// One metric of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub metric: String,
    /// What it was, in its unit.
    pub before: Estimate,
    /// What it is.
    pub after: Estimate,
    /// `after / before - 1`; `None` where `before` is not positive.
    pub change: Option<f64>,
    /// The 95 % interval of `change`, where standard errors are known.
    pub interval: Option<[f64; 2]>,
    /// Whether the change is for the better or the worse beyond noise.
    pub judgement: Judgement,
}

impl Comparison {
    /// Compares a trial of one set with a trial of the same or another.
    pub fn new(before: (&ResultSet, &StoredTrial), after: (&ResultSet, &StoredTrial)) -> Self {
        let rows: Vec<Row> =
            Metric::all().filter_map(|metric| Row::new(metric, before.1, after.1)).collect();
        let objective = &after.0.manifest.objective.metric;
        let verdict = rows
            .iter()
            .find(|row| row.metric == *objective)
            .map_or(Judgement::Unknown, |row| row.judgement);
        let unlike = unlike_loads(&before.0.manifest.workload)
            .or_else(|| unlike_loads(&after.0.manifest.workload));
        Self {
            before: Side::new(before.1),
            after: Side::new(after.1),
            verdict,
            metrics: rows,
            caveats: unlike.into_iter().chain(caveats(before.0, after.0)).collect(),
            objective: objective.clone(),
        }
    }
}

impl Side {
    fn new(trial: &StoredTrial) -> Self {
        Self {
            study: trial.study.clone(),
            trial: trial.entry.trial.id.0,
            label: trial.label.clone(),
            configuration: trial.entry.trial.configuration.clone(),
        }
    }
}

impl Row {
    fn new(metric: Metric, before: &StoredTrial, after: &StoredTrial) -> Option<Self> {
        let name = metric.name();
        let of = |trial: &StoredTrial| trial.entry.measurement()?.get(&name);
        let (before, after) = (of(before)?, of(after)?);
        let change = Change::between(before, after);
        let judgement = judge(metric, before, after);
        let interval = change.and_then(|change| change.interval());
        let change = change.map(|change| change.relative);
        Some(Self { metric: name, before, after, change, interval, judgement })
    }

    /// The judgement in words: of an unknown one why it is, and of values that only noise may set apart that.
    fn judged(&self) -> String {
        let read = |estimate: Estimate| quantity(&self.metric, estimate.value);
        if self.judgement == Judgement::Same && read(self.before) != read(self.after) {
            return "within noise".to_owned();
        }
        let why = match self.judgement {
            Judgement::Unknown if is_error_known(self.before, self.after) => ", a lower bound",
            Judgement::Unknown => ", no error is known",
            Judgement::Better | Judgement::Same | Judgement::Worse => "",
        };
        format!("{}{why}", self.judgement)
    }
}

/// What the change of a metric amounts to.
pub(crate) fn judge(metric: Metric, before: Estimate, after: Estimate) -> Judgement {
    let name = metric.name();
    // What reads the same is the same, even where an error says nothing of how a repeat would come out.
    let reads_the_same = quantity(&name, before.value) == quantity(&name, after.value);
    let differs = !reads_the_same && differ(before, after);
    let rose = after.value > before.value;
    // A bound says nothing of a value beyond it.
    let is_open = if rose { before.is_lower_bound } else { after.is_lower_bound };
    match (is_open, differs) {
        (true, _) => Judgement::Unknown,
        (_, false) => Judgement::Same,
        // Any two runs differ by something.
        _ if !is_error_known(before, after) => Judgement::Unknown,
        _ => Judgement::of(metric.direction(), rose),
    }
}

/// In what two sets differ besides their configurations.
pub(crate) fn caveats(before: &ResultSet, after: &ResultSet) -> Vec<String> {
    let (before, after) = (&before.manifest, &after.manifest);
    let differing = |what: &str, before: String, after: String| {
        (before != after).then(|| format!("{what} differs: {before}; {after}"))
    };
    let kind = |backend: &slotune_serving::BackendInfo| match &backend.provenance {
        slotune_serving::Provenance::Measured => "measured".to_owned(),
        slotune_serving::Provenance::Simulated(calibration) => {
            format!("simulated ({})", calibration.preset)
        }
    };
    let gpu = |hardware: &slotune_serving::Hardware| {
        hardware.gpu.clone().unwrap_or_else(|| "not recorded".to_owned())
    };
    let (backend, other) = (&before.backend, &after.backend);
    [
        differing("the workload", before.workload.to_string(), after.workload.to_string()),
        differing("the model", backend.model.clone(), other.model.clone()),
        differing("the GPU", gpu(&backend.hardware), gpu(&other.hardware)),
        differing("vLLM's version", backend.vllm_version.clone(), other.vllm_version.clone()),
        differing("the origin of the numbers", kind(backend), kind(other)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { study, trial, label, configuration } = self;
        let label = label.as_ref().map_or(String::new(), |label| format!(" ({label})"));
        write!(f, "{study}/{trial}{label}: {configuration}")
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "before  {}\nafter   {}\n", self.before, self.after)?;
        for caveat in &self.caveats {
            writeln!(f, "note: {caveat}")?;
        }
        writeln!(
            f,
            "{:44} {:>14} {:>14} {:>9}  {:22}",
            "", "before", "after", "change", "95 % interval"
        )?;
        for row in &self.metrics {
            let percent = |share: f64| format!("{:+.1} %", share * 100.0);
            let change = row.change.map_or("-".to_owned(), percent);
            let interval = row.interval.map_or("-".to_owned(), |[low, high]| {
                format!("{} to {}", percent(low), percent(high))
            });
            writeln!(
                f,
                "{:44} {:>14} {:>14} {change:>9}  {interval:22} {}",
                format::label(&row.metric),
                quantity(&row.metric, row.before.value),
                quantity(&row.metric, row.after.value),
                row.judged(),
            )?;
        }
        let objective = self.metrics.iter().find(|row| row.metric == self.objective);
        let judged = objective.map_or("unknown, not measured in both".to_owned(), Row::judged);
        write!(f, "\nobjective: {judged}")
    }
}
