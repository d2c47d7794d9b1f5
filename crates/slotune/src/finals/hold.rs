//! Measuring what is missing of the finals.

use std::sync::{Arc, Mutex, PoisonError};

use slotune_core::{Origin, Trial, TrialId};
use slotune_results::{DEFAULT, Manifest, Writer};
use slotune_serving::{Backend, EngineArguments, metrics::MeasureOptions};

use super::{Contender, Finals, PlannedFinal, Slot, round_seed};
use crate::{
    Evaluator, Observer, Recorder, TuneError,
    given::{Given, evaluate, keep},
    session::{Ended, SessionError},
    tuner,
};

/// What evaluates the contenders, and where their trials are kept.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a backend need not be printable")]
pub struct Venue {
    /// What evaluates.
    pub backend: Arc<dyn Backend>,
    /// Engine arguments that every trial has in common.
    pub fixed: EngineArguments,
    /// How runs are measured; the limits of a good request are those of the finals.
    pub options: MeasureOptions,
    /// The set of the search.
    pub writer: Arc<Mutex<Writer>>,
}

impl Finals {
    /// Measures what is missing of a final, each trial at full length and kept before the next begins.
    /// Before each, `ends` is asked whether to end there.
    ///
    /// # Errors
    /// When no configuration can be evaluated, the workload cannot be had, or a trial cannot be stored;
    /// every trial stored before stays. A trial that the world was in the way of is no error: it is
    /// kept as failed, and tried again when the finals are planned anew.
    pub async fn hold(
        &self,
        planned: &PlannedFinal,
        venue: &Venue,
        ends: &dyn Fn() -> Option<Ended>,
        observer: &dyn Observer,
    ) -> Result<Ended, SessionError> {
        let manifest = {
            let writer = venue.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.manifest().clone()
        };
        let recorder = Recorder::new(&planned.name, Arc::clone(&venue.writer));
        for (id, slots) in rounds(planned) {
            let evaluator = self.evaluator(planned, venue, &manifest, slots[0].round)?;
            for (id, slot) in (id..).zip(slots) {
                if let Some(ended) = ends() {
                    return Ok(ended);
                }
                let Contender { label, configuration } = &self.contenders[slot.contender];
                let trial = Trial {
                    id: TrialId(id),
                    configuration: configuration.clone(),
                    origin: Origin::Given,
                    seed: round_seed(self.seed, &planned.name, slot.round),
                };
                // Of the default, what vLLM chose is told; other configurations are as they are.
                let completed = (label == DEFAULT).then_some(&manifest.space);
                let given = Given { evaluator: &evaluator, fixed: &venue.fixed, completed };
                let (entry, run) = evaluate(&given, trial, observer).await?;
                // Targets were set for the workload of the search.
                let mut objective = manifest.objective.clone();
                if planned.workload.relative_to(&self.folder) != manifest.workload {
                    objective.constraints.clear();
                }
                keep(&recorder, label, &entry, run.as_ref(), &objective, observer)?;
            }
        }
        Ok(Ended::Trials)
    }

    /// Evaluates under the requests of a round.
    fn evaluator(
        &self,
        planned: &PlannedFinal,
        venue: &Venue,
        manifest: &Manifest,
        round: u32,
    ) -> Result<Evaluator, SessionError> {
        // Not even the first round sends what the search was measured with.
        let schedule = Arc::new(planned.workload.draw(round + 1)?);
        let options = MeasureOptions { slo: self.slo, ..venue.options };
        let record_chunk_times =
            tuner::needs_chunk_times(&manifest.objective).map_err(TuneError::from)?;
        Ok(Evaluator::new(Arc::clone(&venue.backend), schedule, options, record_chunk_times))
    }
}

/// What is missing, round by round, each with the number of its first trial.
fn rounds(planned: &PlannedFinal) -> impl Iterator<Item = (u64, &[Slot])> {
    let rounds = planned.missing.chunk_by(|a, b| a.round == b.round);
    rounds.scan(planned.next, |next, slots| {
        let first = *next;
        *next += slots.len() as u64;
        Some((first, slots))
    })
}
