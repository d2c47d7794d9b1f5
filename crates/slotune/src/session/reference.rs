//! The configurations to compare with: the baseline of the study file, and vLLM's default.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use slotune_core::{
    Configuration, Entry, History, Origin, Outcome, SearchSpace, State, Trial, TrialId,
};
use slotune_serving::{Run, random::derive};

use super::{Ended, REFERENCE, Session, SessionError};
use crate::{Evaluation, Evaluator, Finished, Observer, Recorder, TuneError, tuner};

impl Session {
    /// Measures the baseline of the study file, where there is one, and vLLM's default, unless they
    /// are stored already. It ends after the one under way when `stop` is set.
    ///
    /// # Errors
    /// When the world was in the way of one, or it cannot be stored. A reference that cannot work
    /// is no error: it is stored as infeasible.
    pub async fn measure_references(
        &mut self,
        stop: &AtomicBool,
        observer: &dyn Observer,
    ) -> Result<Ended, SessionError> {
        let given = self.work.plan.baseline.clone().map(|baseline| ("baseline", baseline));
        for (label, configuration) in given.into_iter().chain([("default", Configuration::new())]) {
            if self.reference(label).is_some() {
                continue;
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(Ended::Stopped);
            }
            self.measure_reference(label, configuration, observer).await?;
        }
        Ok(Ended::Trials)
    }

    async fn measure_reference(
        &mut self,
        label: &'static str,
        configuration: Configuration,
        observer: &dyn Observer,
    ) -> Result<(), SessionError> {
        let plan = &self.work.plan;
        let id = TrialId(self.stored.study(REFERENCE).count() as u64);
        let seed = derive(self.work.file.seed, "reference", id.0);
        let mut trial = Trial { id, configuration, origin: Origin::Given, seed };
        observer.begun(&trial);
        let evaluator = Evaluator::new(
            Arc::clone(&self.backend),
            Arc::clone(&self.schedule),
            plan.options,
            tuner::needs_chunk_times(&plan.objective).map_err(TuneError::from)?,
        );
        let arguments = plan.fixed.updated(&trial.configuration).map_err(TuneError::from)?;
        let Evaluation { outcome, run, cost_s } =
            evaluator.evaluate(arguments, seed, None, observer).await?;
        if let Outcome::Failed(reason) = outcome {
            return Err(SessionError::Reference { label, message: reason.message });
        }
        if let Some(run) = &run {
            trial.configuration = completed(trial.configuration, &in_effect(run, &plan.space));
        }
        let entry = Entry { trial, state: State::Told { outcome, cost: cost_s } };
        let recorder = Recorder::new(REFERENCE, Arc::clone(&self.writer));
        let stored = recorder.record(&entry, Some(label), run.as_ref())?;
        let history = History::from_iter([entry.clone()]);
        observer
            .finished(&Finished {
                entry: &entry,
                run: run.as_ref(),
                history: &history,
                objective: &plan.objective,
            })
            .map_err(TuneError::Observer)?;
        self.stored.trials.push(stored);
        Ok(())
    }
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
