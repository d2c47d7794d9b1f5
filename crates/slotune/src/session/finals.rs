//! The finals of a study file.

use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use slotune_report::finals::{OWN, SUSTAINED, TRACE};
use slotune_serving::Workload;

use super::{Ended, Session, SessionError, whole};
use crate::{
    Observer,
    finals::{Finals, FinalsOptions, PlannedFinal, Venue, workloads},
    study_file::FinalsWorkload,
};

impl Session {
    /// Plans the finals for what the result set holds by now, and writes the plan into its manifest.
    ///
    /// # Errors
    /// [`SessionError::NoFinals`] when there is nothing to hold; when the set holds finals under
    /// something else, a workload cannot be had, or the set cannot be read or written.
    pub fn plan_finals(&self) -> Result<Finals, SessionError> {
        let stored = whole(&self.folder)?;
        let table = &self.work.file.finals;
        let options = FinalsOptions {
            finalists: table.finalists as usize,
            rounds: table.repeats,
            workloads: self.finals_workloads()?,
            slo: self.work.plan.finals.slo,
            seed: self.work.file.seed,
        };
        let finals = Finals::plan(&stored, options)?;
        finals.announce(&mut self.writer.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(finals)
    }

    /// Measures what is missing of a final. It ends after the trial under way when `stop` is set, and
    /// when the wall time of the budget is spent.
    ///
    /// # Errors
    /// As [`Finals::hold`].
    pub async fn hold(
        &self,
        finals: &Finals,
        planned: &PlannedFinal,
        stop: &AtomicBool,
        observer: &dyn Observer,
    ) -> Result<Ended, SessionError> {
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
        finals.hold(planned, &venue, &ends, observer).await
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
