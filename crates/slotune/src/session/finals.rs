//! The finals of a study file.

use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use slotune_report::finals::{OWN, SUSTAINED, TRACE};
use slotune_results::StudyRole;
use slotune_serving::Workload;

use super::{Audience, Ended, Session, SessionError, StudyUnderWay, whole};
use crate::{
    finals::{Finals, FinalsOptions, NoFinals, Venue, workloads},
    study_file::FinalsWorkload,
};

impl Session {
    /// Holds the finals of what the result set holds by now: writes the plan into its manifest and
    /// measures what is missing, once the [references](Self::measure_references) are measured. It ends
    /// after the trial under way when `stop` is set, and when the wall time of the budget is spent.
    ///
    /// # Errors
    /// [`SessionError::NoFinals`] when the file asks for none or nothing was searched; when the set holds
    /// finals under something else, a workload cannot be had, or the set cannot be read or written; and as
    /// [`Finals::hold`].
    pub async fn hold_finals(
        &mut self,
        stop: &AtomicBool,
        audience: &dyn Audience,
    ) -> Result<Ended, SessionError> {
        if self.measure_references(stop, audience).await? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        let finals = match self.plan_finals() {
            Err(SessionError::NoFinals(NoFinals::NoFinalist)) => return Ok(Ended::NoFinalist),
            planned => planned?,
        };
        let venue = Venue {
            backend: Arc::clone(&self.backend),
            fixed: self.work.plan.fixed.clone(),
            options: self.work.plan.options,
            writer: Arc::clone(&self.writer),
        };
        let ends = || {
            let is_late = self.work.file.budget.is_late(self.begun.elapsed());
            let stopped = stop.load(Ordering::Relaxed).then_some(Ended::Stopped);
            stopped.or(is_late.then_some(Ended::WallTime))
        };
        for planned in &finals.studies {
            let observer = audience.hear_of(&StudyUnderWay {
                name: &planned.name,
                role: StudyRole::Finals,
                trials: planned.trials(),
                done: planned.done,
                contenders: Some(finals.contenders()),
            });
            let ended = finals.hold(planned, &venue, &ends, &*observer).await?;
            if ended != Ended::Trials {
                return Ok(ended);
            }
        }
        Ok(Ended::Trials)
    }

    fn plan_finals(&self) -> Result<Finals, SessionError> {
        let stored = whole(&self.folder)?;
        let table = &self.work.file.finals;
        let options = FinalsOptions {
            finalists: table.finalists as usize,
            rounds: table.repeats,
            workloads: self.finals_workloads()?,
            folder: self.work.folder.clone(),
            slo: self.work.plan.finals.slo,
            seed: self.work.file.seed,
        };
        let finals = Finals::plan(&stored, options)?;
        finals.announce(&mut self.writer.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(finals)
    }

    /// Name and workload of each final that the file asks for.
    fn finals_workloads(&self) -> Result<Vec<(String, Workload)>, SessionError> {
        let plan = &self.work.plan;
        let mut named = Vec::new();
        for (kind, name) in [
            (FinalsWorkload::Study, OWN),
            (FinalsWorkload::Trace, TRACE),
            (FinalsWorkload::Sustained, SUSTAINED),
        ] {
            if !self.work.file.finals.workloads.contains(&kind) {
                continue;
            }
            let workload = match (kind, &plan.finals.trace, &plan.finals.sustained) {
                (FinalsWorkload::Study, ..) => Some(plan.workload.clone()),
                (FinalsWorkload::Trace, Some(given), _)
                | (FinalsWorkload::Sustained, _, Some(given)) => Some(given.clone()),
                (FinalsWorkload::Trace, ..) => workloads::realistic(&plan.workload)?,
                (FinalsWorkload::Sustained, ..) => {
                    Some(workloads::sustained(&plan.workload, self.work.file.seed)?)
                }
            };
            named.extend(workload.map(|workload| (name.to_owned(), workload)));
        }
        Ok(named)
    }
}
