//! Trials of configurations that were given: the references and the finals.

use slotune_core::{Configuration, Entry, History, Objective, SearchSpace, State, Trial};
use slotune_results::StoredTrial;
use slotune_serving::{EngineArguments, Run};

use crate::{
    Evaluation, Evaluator, Finished, Observer, Patience, Recorder, TuneError, session::SessionError,
};

/// How a configuration that was given is evaluated.
pub(crate) struct Given<'a> {
    /// What evaluates.
    pub(crate) evaluator: &'a Evaluator,
    /// Engine arguments that every trial has in common.
    pub(crate) fixed: &'a EngineArguments,
    /// The parameters whose values the server is asked for where the configuration leaves them to it.
    pub(crate) completed: Option<&'a SearchSpace>,
}

/// Evaluates a trial to its end.
pub(crate) async fn evaluate(
    given: &Given<'_>,
    mut trial: Trial,
    observer: &dyn Observer,
) -> Result<(Entry, Option<Run>), TuneError> {
    observer.begun(&trial);
    let arguments = given.fixed.updated(&trial.configuration)?;
    let Evaluation { outcome, run, cost_s } =
        given.evaluator.evaluate(arguments, trial.seed, &Patience::default(), observer).await?;
    if let (Some(run), Some(space)) = (&run, given.completed) {
        trial.configuration = completed(trial.configuration, &in_effect(run, space));
    }
    Ok((Entry { trial, state: State::Told { outcome, cost: cost_s } }, run))
}

/// Keeps a trial under its label, then tells of it.
pub(crate) fn keep(
    recorder: &Recorder,
    label: &str,
    entry: &Entry,
    run: Option<&Run>,
    objective: &Objective,
    observer: &dyn Observer,
) -> Result<StoredTrial, SessionError> {
    let stored = recorder.record(entry, Some(label), run)?;
    let history = History::from_iter([entry.clone()]);
    observer
        .finished(&Finished {
            entry,
            label: Some(label),
            run,
            history: &history,
            objective,
            remaining_gain: None,
        })
        .map_err(TuneError::Observer)?;
    Ok(stored)
}

/// What a server said that it ran with, as far as the space asks.
pub fn in_effect(run: &Run, space: &SearchSpace) -> Configuration {
    let told = run.server.arguments.to_configuration();
    space.parameters().iter().fold(Configuration::new(), |configuration, parameter| {
        match told.get(parameter.name()) {
            Some(value) => configuration.with(parameter.name(), value.clone()),
            None => configuration,
        }
    })
}

/// The given values, and those of `other` where none was given.
fn completed(given: Configuration, other: &Configuration) -> Configuration {
    other.iter().fold(given, |configuration, (name, value)| match configuration.get(name) {
        Some(_) => configuration,
        None => configuration.with(name, value.clone()),
    })
}
