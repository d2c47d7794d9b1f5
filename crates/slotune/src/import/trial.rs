//! From a finding to a trial: measured as any run is, or as the tool says.

use slotune_core::{Configuration, Entry, Origin, Outcome, Reason, State, Trial, TrialId};
use slotune_results::StoredTrial;
use slotune_serving::{
    Caveat, EngineArguments, Run, Schedule, ServerFacts,
    metrics::{MeasureError, MeasureOptions, measure},
};

use super::{
    ImportError, ImportOptions, Source,
    finding::{Evidence, Finding},
};

/// A trial to be stored, and what the manifest is made from.
pub(super) struct Reading {
    pub(super) label: String,
    pub(super) tool: &'static str,
    pub(super) begun: Option<String>,
    pub(super) model: Option<String>,
    pub(super) load: Option<String>,
    pub(super) configuration: Configuration,
    pub(super) outcome: Outcome,
    pub(super) run: Option<Run>,
    cost_s: f64,
    server: Option<ServerFacts>,
    caveats: Vec<Caveat>,
}

/// The trial that a finding is.
pub(super) fn of(
    finding: Finding,
    source: &Source,
    options: &ImportOptions,
) -> Result<Reading, ImportError> {
    let Finding { label, tool, begun, model, load, parameters, cost_s, evidence } = finding;
    let label = source.label.clone().unwrap_or(label);
    let given = [&options.parameters, &parameters, &source.parameters];
    let all = given
        .into_iter()
        .flat_map(Configuration::iter)
        .fold(Configuration::new(), |all, (name, value)| all.with(name, value.clone()));
    // Through the arguments, so that each value is checked and has its argument's type.
    let configuration = EngineArguments::from_configuration(&all)
        .map_err(|problem| ImportError::Parameter { label: label.clone(), problem })?
        .to_configuration();
    // It ran already, and told nothing.
    let facts =
        ServerFacts { vllm_version: options.vllm_version.clone(), ..ServerFacts::default() };
    let (outcome, server, caveats, run) = match evidence {
        Evidence::Failure(reason) => (Outcome::Failed(reason), None, vec![], None),
        Evidence::Aggregates(measurement, caveats) => {
            (Outcome::Completed(measurement), Some(facts), caveats, None)
        }
        Evidence::Requests(run, load) => {
            let mut run = Run { server: facts.clone(), ..*run };
            run.examine(&Schedule { load, ..Schedule::replaying(&run.records) });
            let outcome = measured(&run)
                .map_err(|problem| ImportError::Measure { label: label.clone(), problem })?;
            (outcome, Some(facts), run.caveats.clone(), Some(run))
        }
    };
    // Prompts tell loads of one rate apart; outputs may end by themselves, at other lengths each time.
    let prompt_tokens: Option<u64> = run
        .as_ref()
        .map(|run| run.records.iter().map(|record| u64::from(record.prompt_tokens)).sum());
    let load = load.map(|load| match prompt_tokens {
        Some(tokens) => format!("{load}, prompts of {tokens} tokens"),
        None => load,
    });
    Ok(Reading {
        label,
        tool,
        begun,
        model,
        load,
        configuration,
        outcome,
        run,
        cost_s,
        server,
        caveats,
    })
}

/// What a run says of its configuration. A run that measured the client says nothing.
fn measured(run: &Run) -> Result<Outcome, MeasureError> {
    if let Some(caveat) = run.disqualification() {
        return Ok(Outcome::Failed(Reason::new(caveat.class.name(), &*caveat.message)));
    }
    match measure(run, &MeasureOptions::default()) {
        Ok(measurement) => Ok(Outcome::Completed(measurement)),
        // Whether the server or the world was at fault, the file does not tell.
        Err(error @ (MeasureError::NoneCompleted { .. } | MeasureError::NoRequests)) => {
            Ok(Outcome::Failed(Reason::new("none_completed", error.to_string())))
        }
        Err(error) => Err(error),
    }
}

impl Reading {
    pub(super) fn stored(&self, study: &str, id: TrialId) -> StoredTrial {
        let trial =
            Trial { id, configuration: self.configuration.clone(), origin: Origin::Given, seed: 0 };
        let state = State::Told { outcome: self.outcome.clone(), cost: self.cost_s };
        StoredTrial {
            study: study.to_owned(),
            label: Some(self.label.clone()),
            entry: Entry { trial, state },
            server: self.server.clone(),
            client: None,
            caveats: self.caveats.clone(),
        }
    }
}
