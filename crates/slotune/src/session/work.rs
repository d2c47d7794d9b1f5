//! What a session works on, and the searches that it conducts.

use std::path::{Path, PathBuf};

use slotune_core::{History, SearchSpace, sampler::Sampler};
use slotune_results::{StudyManifest, StudyRole};

use super::SEARCH;
use crate::{
    study_file::{FieldError, Plan, StudyFile},
    suite::with_documented_parameters,
};

/// What a session works on: a study file and the values that it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// The file.
    pub file: StudyFile,
    /// The values.
    pub plan: Plan,
    /// The folder of the file, from which the result set names traces.
    pub folder: PathBuf,
    /// The trials of past result sets, as configurations of the plan's space.
    pub past: Vec<History>,
}

impl Work {
    /// The work of a file; the relative paths of its workload start at `folder`. Reads the past result
    /// sets that it names.
    ///
    /// # Errors
    /// As [`StudyFile::plan`], and when a past result set cannot be used.
    pub fn of_file(file: &StudyFile, folder: &Path) -> Result<Self, FieldError> {
        let plan = file.plan(folder)?;
        let past = file.history.read(&plan.space)?;
        Ok(Self { file: file.clone(), plan, folder: folder.to_owned(), past })
    }

    /// The same for a suite: with the parameters of the Week-3 documents that the file does not name.
    ///
    /// # Errors
    /// As [`of_file`](Self::of_file), and when the file's own values leave no configuration beside those.
    pub fn of_suite(file: &StudyFile, folder: &Path) -> Result<Self, FieldError> {
        Self::of_file(&with_documented_parameters(file), folder)
    }

    /// The search that the file asks for.
    pub fn search(&self) -> PlannedStudy {
        PlannedStudy {
            name: SEARCH.to_owned(),
            role: StudyRole::Search,
            sampler: self.file.sampler(self.past.clone(), self.file.budget.trials),
            space: self.plan.space.clone(),
            knows_default: true,
            trials: self.file.budget.trials,
        }
    }
}

/// One search of a session.
#[derive(Debug)]
pub struct PlannedStudy {
    /// Its name, unique in the result set.
    pub name: String,
    /// What it is for.
    pub role: StudyRole,
    /// What proposes its configurations.
    pub sampler: Box<dyn Sampler>,
    /// Where it goes: the search space, or a part of it.
    pub space: SearchSpace,
    /// Whether it is told first what vLLM's default does, where its space holds that.
    pub knows_default: bool,
    /// Most trials.
    pub trials: u32,
}

impl PlannedStudy {
    /// What the manifest of a result set says of it.
    pub fn manifest(&self, work: &Work) -> StudyManifest {
        StudyManifest {
            name: self.name.clone(),
            role: self.role,
            sampler: self.sampler.name().to_owned(),
            seed: work.file.seed,
            trials: self.trials.into(),
        }
    }
}
