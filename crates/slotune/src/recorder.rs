//! Keeps the trials of a study in a result set.

use std::sync::{Arc, Mutex, PoisonError};

use slotune_core::{Entry, Trial};
use slotune_results::{StoredTrial, WriteError, Writer};
use slotune_serving::{Progress, Run, Stage};

use crate::{Finished, Observer};

/// An [`Observer`] that keeps each finished trial of one study, and its requests, in a result set.
/// Several studies may share a writer.
#[derive(Clone, Debug)]
pub struct Recorder {
    study: String,
    writer: Arc<Mutex<Writer>>,
}

impl Recorder {
    /// Keeps trials under the name of a study that the set's manifest lists.
    pub fn new(study: impl Into<String>, writer: Arc<Mutex<Writer>>) -> Self {
        Self { study: study.into(), writer }
    }

    /// Keeps one trial, perhaps with a label such as `baseline`, and its run if there was one. It
    /// is durable on return; returned is what was stored of it.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn record(
        &self,
        entry: &Entry,
        label: Option<&str>,
        run: Option<&Run>,
    ) -> Result<StoredTrial, WriteError> {
        let trial = StoredTrial {
            study: self.study.clone(),
            label: label.map(ToOwned::to_owned),
            entry: entry.clone(),
            server: run.map(|run| run.server.clone()),
            client: run.and_then(|run| run.client),
            caveats: run.map_or_else(Vec::new, |run| run.caveats.clone()),
        };
        // A writer holds no half-done state between calls, so another thread's panic is no reason
        // to lose this trial.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.append(&trial, run.map(Into::into))?;
        Ok(trial)
    }
}

impl Progress for Recorder {
    fn stage(&self, _: Stage) {}
}

impl Observer for Recorder {
    fn begun(&self, _: &Trial) {}

    fn finished(
        &self,
        trial: &Finished<'_>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.record(trial.entry, trial.label, trial.run)?;
        Ok(())
    }
}
