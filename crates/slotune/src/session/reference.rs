//! The configurations to compare with: the baseline of the study file, and vLLM's default.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use slotune_core::{Configuration, Origin, Outcome, State, Trial, TrialId};
use slotune_results::{BASELINE, DEFAULT, StudyRole};
use slotune_serving::random::derive;

use super::{Audience, Ended, REFERENCE, Session, SessionError, StudyUnderWay, references};
use crate::{
    Evaluator, Observer, Recorder, TuneError,
    given::{Given, evaluate, keep},
    tuner,
};

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
        audience: &dyn Audience,
    ) -> Result<Ended, SessionError> {
        let given = self.work.plan.baseline.clone().map(|baseline| (BASELINE, baseline));
        let mut missing: Vec<(&'static str, Configuration)> =
            given.into_iter().chain([(DEFAULT, Configuration::new())]).collect();
        missing.retain(|(label, _)| self.reference(label).is_none());
        if missing.is_empty() {
            return Ok(Ended::Trials);
        }
        let observer = audience.hear_of(&StudyUnderWay {
            name: REFERENCE,
            role: StudyRole::Reference,
            trials: references(&self.work.plan),
            done: self.stored.study(REFERENCE).count(),
            contenders: None,
        });
        for (label, configuration) in missing {
            if stop.load(Ordering::Relaxed) {
                return Ok(Ended::Stopped);
            }
            self.measure_reference(label, configuration, &*observer).await?;
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
        // One that was removed, to be measured again, left its number.
        let is_taken = |id: &TrialId| self.stored.study(REFERENCE).any(|t| t.entry.trial.id == *id);
        let mut free = (0..).map(TrialId).filter(|id| !is_taken(id));
        let id = free.next().expect("a set has fewer trials than there are numbers");
        let seed = derive(self.work.file.seed, "reference", id.0);
        let trial = Trial { id, configuration, origin: Origin::Given, seed };
        let evaluator = Evaluator::new(
            Arc::clone(&self.backend),
            Arc::clone(&self.schedule),
            plan.options,
            tuner::needs_chunk_times(&plan.objective).map_err(TuneError::from)?,
        );
        let given =
            Given { evaluator: &evaluator, fixed: &plan.fixed, completed: Some(&plan.space) };
        let (entry, run) = evaluate(&given, trial, observer).await?;
        if let State::Told { outcome: Outcome::Failed(reason), .. } = entry.state {
            return Err(SessionError::Reference { label, message: reason.message });
        }
        let recorder = Recorder::new(REFERENCE, Arc::clone(&self.writer));
        let stored = keep(&recorder, label, &entry, run.as_ref(), &plan.objective, observer)?;
        self.stored.trials.push(stored);
        Ok(())
    }
}
