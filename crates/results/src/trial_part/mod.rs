//! A trial as a table of one row: the schema that `docs/RESULTS.md` describes.

mod client;
mod server;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;
use slotune_core::{
    Configuration, Domain, Entry, Estimate, Measurement, Origin, Outcome, Parameter, Reason, State,
    Trial, TrialId, Value,
};
use slotune_serving::Provenance;

use crate::{
    Manifest, PartProblem, StoredTrial, WriteError,
    table::{Columns, Table},
};

/// Columns that sets of version 1 lack.
const SINCE_VERSION_2: [&str; 10] = [
    CAVEATS,
    LOWER_BOUNDS,
    "server_prompt_tokens",
    "server_output_tokens",
    "server_completed_requests",
    "server_vllm_version",
    "client_cpu_s",
    "client_wall_s",
    "client_cores",
    "client_wake_lag_p99_s",
];

const CAVEATS: &str = "caveats";

const LOWER_BOUNDS: &str = "lower_bounds";

/// The trial as a table of one row.
///
/// # Errors
/// When the trial is pending, or holds a parameter, metric or number that the manifest's columns
/// cannot.
pub(crate) fn write(manifest: &Manifest, stored: &StoredTrial) -> Result<Table, WriteError> {
    let StoredTrial { study, label, entry: Entry { trial, state }, server, client, caveats } =
        stored;
    let State::Told { outcome, cost } = state else {
        return Err(WriteError::Pending { study: study.clone(), trial: trial.id });
    };
    let (measurement, reason) = match outcome {
        Outcome::Completed(measurement) | Outcome::Pruned(measurement) => (Some(measurement), None),
        Outcome::Infeasible(reason) | Outcome::Failed(reason) => (None, Some(reason)),
    };
    let mut table = Table::default();
    table.set("study", Some(study.clone()));
    table.set("trial", Some(trial.id.0));
    table.set("label", label.clone());
    table.set("origin", Some(trial.origin.name().to_owned()));
    table.set("outcome", Some(outcome.name().to_owned()));
    table.set("reason_class", reason.map(|reason| reason.class.clone()));
    table.set("reason_message", reason.map(|reason| reason.message.clone()));
    table.set("cost_s", Some(*cost));
    table.set("seed", Some(trial.seed));
    write_configuration(&mut table, manifest, &trial.configuration)?;
    write_measurement(&mut table, manifest, measurement)?;
    server::write(&mut table, server.as_ref())?;
    client::write(&mut table, *client);
    table.set(CAVEATS, write_list(caveats));
    table.set("provenance", Some(provenance(manifest).to_owned()));
    Ok(table)
}

/// The trial of a table of one row.
pub(crate) fn read(manifest: &Manifest, columns: Columns) -> Result<StoredTrial, PartProblem> {
    let mut columns =
        if manifest.schema_version < 2 { columns.older_than(&SINCE_VERSION_2) } else { columns };
    let study = columns.get_full("study")?;
    let id = TrialId(columns.get_full("trial")?);
    let label = columns.get("label")?;
    let origin = read_name("origin", columns.get_full("origin")?)?;
    let seed = columns.get_full("seed")?;
    let cost = columns.get_full("cost_s")?;
    let configuration = read_configuration(&mut columns, manifest)?;
    let outcome = read_outcome(&mut columns, manifest)?;
    let server = server::read(&mut columns)?;
    let client = client::read(&mut columns)?;
    let caveats = read_list(CAVEATS, columns.get(CAVEATS)?)?;
    let source: String = columns.get_full("provenance")?;
    if source != provenance(manifest) {
        let problem = format!("is `{source}`, but the manifest's is `{}`", provenance(manifest));
        return Err(PartProblem::column("provenance", problem));
    }
    columns.finish()?;
    let entry = Entry {
        trial: Trial { id, configuration, origin, seed },
        state: State::Told { outcome, cost },
    };
    Ok(StoredTrial { study, label, entry, server, client, caveats })
}

/// Names of all columns of a manifest's trial parts.
pub(crate) fn column_names(manifest: &Manifest) -> Vec<String> {
    let trial = Trial {
        id: TrialId(0),
        configuration: Configuration::new(),
        origin: Origin::Given,
        seed: 0,
    };
    let state = State::Told { outcome: Outcome::Failed(Reason::new("", "")), cost: 0.0 };
    let empty = StoredTrial {
        study: String::new(),
        label: None,
        entry: Entry { trial, state },
        server: None,
        client: None,
        caveats: vec![],
    };
    write(manifest, &empty).expect("a trial without values fits every manifest").names()
}

fn provenance(manifest: &Manifest) -> &'static str {
    match manifest.backend.provenance {
        Provenance::Measured => "measured",
        Provenance::Simulated(_) => "simulated",
    }
}

/// One column a parameter, null where the parameter does not exist. Values need the type of their
/// domain but may lie outside: a baseline is stored whatever the search may propose.
fn write_configuration(
    table: &mut Table,
    manifest: &Manifest,
    configuration: &Configuration,
) -> Result<(), WriteError> {
    if let Some((name, _)) =
        configuration.iter().find(|(name, _)| manifest.space.parameter(name).is_none())
    {
        return Err(WriteError::UnknownParameter { parameter: name.to_owned() });
    }
    for parameter in manifest.space.parameters() {
        let name = parameter.name();
        let column = parameter_column(parameter);
        let has_type = match parameter_type(parameter.domain()) {
            ParameterType::Boolean => table.set(&column, configuration.boolean(name)),
            ParameterType::Integer => table.set(&column, configuration.integer(name)),
            ParameterType::Float => table.set(&column, configuration.float(name)),
            ParameterType::Text => table.set(&column, configuration.text(name).map(str::to_owned)),
        };
        if let (false, Some(value)) = (has_type, configuration.get(name)) {
            return Err(WriteError::ParameterType {
                parameter: name.to_owned(),
                value: value.clone(),
                domain: parameter.domain().to_string(),
            });
        }
    }
    Ok(())
}

fn read_configuration(
    columns: &mut Columns,
    manifest: &Manifest,
) -> Result<Configuration, PartProblem> {
    let mut configuration = Configuration::new();
    for parameter in manifest.space.parameters() {
        let column = parameter_column(parameter);
        let value = match parameter_type(parameter.domain()) {
            ParameterType::Boolean => columns.get(&column)?.map(Value::Boolean),
            ParameterType::Integer => columns.get(&column)?.map(Value::Integer),
            ParameterType::Float => columns.get(&column)?.map(Value::Float),
            ParameterType::Text => columns.get(&column)?.map(Value::Text),
        };
        if let Some(value) = value {
            configuration = configuration.with(parameter.name(), value);
        }
    }
    Ok(configuration)
}

fn parameter_column(parameter: &Parameter) -> String {
    format!("parameter_{}", parameter.name())
}

/// Type of a parameter's column.
enum ParameterType {
    Boolean,
    Integer,
    Float,
    Text,
}

fn parameter_type(domain: &Domain) -> ParameterType {
    match domain {
        Domain::Boolean => ParameterType::Boolean,
        Domain::Integer { .. } => ParameterType::Integer,
        Domain::Float { .. } => ParameterType::Float,
        Domain::Categorical { .. } => ParameterType::Text,
        // All levels have the type of the first.
        Domain::Levels { values } => match values.first() {
            Some(Value::Boolean(_)) => ParameterType::Boolean,
            Some(Value::Integer(_)) => ParameterType::Integer,
            Some(Value::Float(_)) => ParameterType::Float,
            Some(Value::Text(_)) | None => ParameterType::Text,
        },
    }
}

/// Two columns a metric, both null where it was not measured.
fn write_measurement(
    table: &mut Table,
    manifest: &Manifest,
    measurement: Option<&Measurement>,
) -> Result<(), WriteError> {
    let mut measured = measurement.into_iter().flat_map(Measurement::iter);
    if let Some((metric, _)) =
        measured.find(|(metric, _)| !manifest.metrics.iter().any(|m| m == metric))
    {
        return Err(WriteError::UnknownMetric { metric: metric.to_owned() });
    }
    for metric in &manifest.metrics {
        let estimate = measurement.and_then(|measurement| measurement.get(metric));
        table.set(metric, estimate.map(|estimate| estimate.value));
        table.set(&error_column(metric), estimate.map(|estimate| estimate.standard_error));
    }
    let bounds = measurement.into_iter().flat_map(Measurement::iter);
    let bounds: Vec<&str> =
        bounds.filter_map(|(metric, estimate)| estimate.is_lower_bound.then_some(metric)).collect();
    table.set(LOWER_BOUNDS, write_list(&bounds));
    Ok(())
}

fn read_outcome(columns: &mut Columns, manifest: &Manifest) -> Result<Outcome, PartProblem> {
    let bounds: Vec<String> = read_list(LOWER_BOUNDS, columns.get(LOWER_BOUNDS)?)?;
    let mut measurement = Measurement::new();
    for metric in &manifest.metrics {
        let value = columns.get(metric)?;
        let standard_error = columns.get(&error_column(metric))?;
        if let (Some(value), Some(standard_error)) = (value, standard_error) {
            let is_lower_bound = bounds.contains(metric);
            let estimate = Estimate { value, standard_error, is_lower_bound };
            measurement = measurement.with_estimate(metric, estimate);
        }
    }
    let class: Option<String> = columns.get("reason_class")?;
    let message: Option<String> = columns.get("reason_message")?;
    let reason = class.zip(message).map(|(class, message)| Reason { class, message });
    match (columns.get_full::<String>("outcome")?.as_str(), reason) {
        ("completed", None) => Ok(Outcome::Completed(measurement)),
        ("pruned", None) => Ok(Outcome::Pruned(measurement)),
        ("infeasible", Some(reason)) => Ok(Outcome::Infeasible(reason)),
        ("failed", Some(reason)) => Ok(Outcome::Failed(reason)),
        (name, _) => Err(PartProblem::column(
            "outcome",
            format!("is `{name}`, which does not go with its reason"),
        )),
    }
}

fn error_column(metric: &str) -> String {
    format!("{metric}_standard_error")
}

/// A list as JSON; null where it is empty.
fn write_list<T: Serialize>(list: &[T]) -> Option<String> {
    let json = serde_json::to_string(list).expect("a list of plain data is JSON");
    (!list.is_empty()).then_some(json)
}

fn read_list<T: DeserializeOwned>(
    column: &str,
    json: Option<String>,
) -> Result<Vec<T>, PartProblem> {
    let list = json.map(|json| serde_json::from_str(&json)).transpose();
    Ok(list
        .map_err(|error| PartProblem::column(column, format!("is no such list: {error}")))?
        .unwrap_or_default())
}

/// The name of a variant, as serde writes it.
fn write_name(variant: impl Serialize) -> Option<String> {
    match serde_json::to_value(variant) {
        Ok(Json::String(name)) => Some(name),
        _ => None,
    }
}

/// The variant of that name.
fn read_name<T: DeserializeOwned>(column: &str, name: String) -> Result<T, PartProblem> {
    serde_json::from_value(Json::String(name))
        .map_err(|error| PartProblem::column(column, error.to_string()))
}

#[cfg(test)]
mod tests;
