//! The manifest of an imported set: as far as the files and the user tell.

use slotune_core::{Domain, Parameter, SearchSpace, Value};
use slotune_results::{Manifest, StudyManifest, StudyRole};
use slotune_serving::{
    BackendInfo, EngineArguments, Hardware, Provenance, Workload, metrics::Metric,
};

use super::{ImportError, ImportOptions, trial::Reading};
use crate::session::REFERENCE;

/// What stands where nobody tells and the manifest needs a text.
const UNKNOWN: &str = "unknown";

/// The manifest of these studies.
pub(super) fn of(
    studies: &[(&str, Vec<Reading>)],
    options: &ImportOptions,
) -> Result<Manifest, ImportError> {
    for metric in options.objective.metrics() {
        Metric::from_name(metric)?;
    }
    let trials: Vec<&Reading> = studies.iter().flat_map(|(_, trials)| trials).collect();
    if trials.is_empty() {
        return Err(ImportError::NothingGiven);
    }
    let begun = trials.iter().filter_map(|trial| trial.begun.clone()).min();
    let manifest = Manifest::new(
        begun.unwrap_or_else(|| jiff::Timestamp::now().to_string()),
        space(&trials)?,
        options.objective.clone(),
        workload(&trials),
        backend(&trials, options)?,
    );
    let named = studies.iter().filter(|(_, trials)| !trials.is_empty());
    Ok(named.fold(manifest.with_command(&options.command), |manifest, (name, trials)| {
        manifest.with_study(StudyManifest {
            name: (*name).to_owned(),
            role: if *name == REFERENCE { StudyRole::Reference } else { StudyRole::Search },
            sampler: "given".to_owned(),
            seed: 0,
            trials: trials.len() as u64,
        })
    }))
}

/// The values that were tried, and no others.
fn space(trials: &[&Reading]) -> Result<SearchSpace, ImportError> {
    let parameters: Vec<Parameter> = EngineArguments::names()
        .filter_map(|name| {
            let mut values: Vec<Value> =
                trials.iter().filter_map(|trial| trial.configuration.get(name).cloned()).collect();
            values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
            values.dedup();
            let domain = match values.first()? {
                Value::Boolean(_) => Domain::Boolean,
                _ => Domain::Levels { values },
            };
            Some(Parameter::new(name, domain))
        })
        .collect();
    if parameters.is_empty() {
        return Err(ImportError::NoParameters);
    }
    Ok(SearchSpace::new(parameters, vec![])?)
}

/// What was sent, in words: no file has the law that it was drawn from. The requests of each trial
/// are stored where the tool kept them.
fn workload(trials: &[&Reading]) -> Workload {
    let mut loads: Vec<&str> = trials.iter().filter_map(|trial| trial.load.as_deref()).collect();
    loads.dedup();
    let tools = tools(trials);
    let text = match loads.as_slice() {
        [only] => format!("{tools}: {only}"),
        _ => format!("{tools}: several loads"),
    };
    Workload::OfEachTrial { description: text }
}

fn backend(trials: &[&Reading], options: &ImportOptions) -> Result<BackendInfo, ImportError> {
    let mut models = trials.iter().filter_map(|trial| Some((trial.model.as_ref()?, &trial.label)));
    let first = models.next().map(|(model, _)| model);
    if let (Some(first), Some((other, label))) =
        (first, models.find(|(model, _)| Some(*model) != first))
    {
        let (first, other, label) = (first.clone(), other.clone(), label.clone());
        return Err(ImportError::TwoModels { label, first, other });
    }
    Ok(BackendInfo {
        name: tools(trials),
        vllm_version: options.vllm_version.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
        model: first.cloned().unwrap_or_else(|| UNKNOWN.to_owned()),
        hardware: Hardware { gpu: options.gpu.clone(), ..Hardware::default() },
        provenance: Provenance::Measured,
    })
}

fn tools(trials: &[&Reading]) -> String {
    let mut tools: Vec<&str> = trials.iter().map(|trial| trial.tool).collect();
    tools.sort_unstable();
    tools.dedup();
    tools.join(", ")
}
