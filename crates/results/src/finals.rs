//! What a set says of its finals: they are planned once the search has found what to repeat, so they
//! join a manifest that is there already.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slotune_serving::{Workload, metrics::Slo};

use crate::{
    Manifest, StudyManifest, StudyRole, WriteError, Writer, durable,
    layout::MANIFEST,
    writer::{io_error, manifest_json},
};

/// Under what the studies of the role [`StudyRole::Finals`] are held.
///
/// Their trials repeat vLLM's default and configurations of the search, round by round. The label of a
/// trial is `default`, or the [name](crate::StoredTrial::name) of the search trial that it repeats;
/// trials of one round share their seed. The rounds of a study send
/// [draws](Workload::draw) of its workload: the first round the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinalsManifest {
    /// What the clients send, by name of the study.
    pub workloads: BTreeMap<String, Workload>,
    /// What a good request is, by which the goodput of their trials is.
    pub slo: Slo,
}

impl Manifest {
    /// What the clients send in a study: in the finals, a redraw of it in each round.
    pub fn workload_of(&self, study: &str) -> &Workload {
        let finals = self.finals.as_ref().and_then(|finals| finals.workloads.get(study));
        finals.unwrap_or(&self.workload)
    }

    /// The same without finals: what is known before the first trial.
    pub(crate) fn without_finals(&self) -> Self {
        let mut manifest = Self { finals: None, ..self.clone() };
        manifest.studies.retain(|study| study.role != StudyRole::Finals);
        manifest
    }

    /// What keeps the finals from being read, if anything.
    pub(crate) fn check_finals(&self) -> Result<(), String> {
        let workload = |name: &String| self.finals.as_ref()?.workloads.get(name);
        let mut studies = self.studies.iter().filter(|study| study.role == StudyRole::Finals);
        match studies.find(|study| workload(&study.name).is_none()) {
            Some(study) => Err(format!("`finals.workloads` lacks study `{}`; add it", study.name)),
            None => Ok(()),
        }
    }

    /// Adds finals to those that it has; the first field in which the two contradict each other: its
    /// path, the value here, the value there.
    fn add_finals(
        &mut self,
        finals: &FinalsManifest,
        studies: &[StudyManifest],
    ) -> Result<(), (String, String, String)> {
        let planned = self
            .finals
            .get_or_insert_with(|| FinalsManifest { workloads: BTreeMap::new(), slo: finals.slo });
        if planned.slo != finals.slo {
            return Err(("finals.slo".to_owned(), as_json(&planned.slo), as_json(&finals.slo)));
        }
        for (study, workload) in &finals.workloads {
            let known = planned.workloads.entry(study.clone()).or_insert_with(|| workload.clone());
            if known != workload {
                let field = format!("finals.workloads.{study}");
                return Err((field, as_json(known), as_json(workload)));
            }
        }
        for study in studies {
            match self.studies.iter_mut().find(|known| known.name == study.name) {
                None => self.studies.push(study.clone()),
                Some(known) => {
                    let trials = known.trials.max(study.trials);
                    let given = StudyManifest { trials, ..study.clone() };
                    if (StudyManifest { trials, ..known.clone() }) != given {
                        let field = format!("studies.{}", study.name);
                        return Err((field, as_json(known), as_json(study)));
                    }
                    known.trials = trials;
                }
            }
        }
        Ok(())
    }
}

impl Writer {
    /// Plans finals: writes into the manifest, durably, under what they are held and how many trials
    /// their studies may take. Finals that are planned already stay as they are, but for the number of
    /// trials, which may rise.
    ///
    /// # Errors
    /// [`WriteError::OtherStudy`] when the set has finals under something else, [`WriteError`] when the
    /// manifest would be unsound or cannot be written; the set is then unchanged.
    pub fn plan_finals(
        &mut self,
        finals: &FinalsManifest,
        studies: &[StudyManifest],
    ) -> Result<(), WriteError> {
        let mut planned = self.manifest.clone();
        planned.add_finals(finals, studies).map_err(|(field, stored, given)| {
            WriteError::OtherStudy { folder: self.folder.clone(), field, stored, given }
        })?;
        if planned != self.manifest {
            let json = manifest_json(&planned)?;
            durable::write(&self.folder, MANIFEST, &json).map_err(io_error(&self.folder))?;
            self.manifest = planned;
        }
        Ok(())
    }
}

fn as_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a manifest is plain data with text keys")
}
