//! The Week-3 suite: looks at single parameters, then a search over all of them, in one result set
//! from which the Week-3 page is filled.
//!
//! | study | varies |
//! |---|---|
//! | `queue_time` | `max_num_seqs` at 256, 512, 1024, 2048, 4096 |
//! | `max_num_seqs` | `max_num_seqs` |
//! | `gpu_memory_utilization` | `gpu_memory_utilization` |
//! | `chunked_prefill` | `enable_chunked_prefill` and chunk sizes |
//! | `comprehensive` | all of them |
//!
//! What a study does not vary is left to vLLM, which chooses its default. Values are those of the study
//! file; for a parameter that it does not name, those of the Week-3 documents.

use std::sync::atomic::AtomicBool;

use slotune_core::{
    ConfigurationError, Domain, Parameter, SearchSpace, SpaceError, Value,
    sampler::{Grid, Sampler},
};
use slotune_report::week3::Focus;
use slotune_results::{StudyManifest, StudyRole};

use crate::{
    session::{Audience, Ended, PlannedStudy, Session, SessionError, Work},
    study_file::{FieldError, ParameterTable, StudyFile},
};

/// Name of the study of all parameters.
pub const COMPREHENSIVE: &str = "comprehensive";

/// Most trials of a search over single parameters.
const FOCUS_TRIALS: u32 = 10;

/// Most configurations of a sweep.
const LARGEST_SWEEP: u128 = 100_000;

/// How the suite searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Each study by the sampler of the study file.
    Search,
    /// Each study over the grid of the Week-3 documents.
    Sweep,
}

/// The studies of a suite, in order.
#[derive(Debug)]
pub struct Suite {
    /// The studies.
    pub studies: Vec<PlannedStudy>,
    /// Names of the studies that cannot be made: the study file fixes their parameters, or gives
    /// them none of the values that the study is of.
    pub left_out: Vec<&'static str>,
}

/// The study file with every parameter of the Week-3 documents that it does not name.
pub fn with_documented_parameters(file: &StudyFile) -> StudyFile {
    let mut file = file.clone();
    let range = |low: u32, high: u32| ParameterTable {
        range: Some([low.into(), high.into()]),
        log: true,
        ..ParameterTable::default()
    };
    let levels =
        |values: Vec<Value>| ParameterTable { levels: Some(values), ..ParameterTable::default() };
    for (name, table) in [
        ("max_num_seqs", range(32, 4096)),
        ("max_num_batched_tokens", range(512, 32_768)),
        ("gpu_memory_utilization", levels(documented("gpu_memory_utilization"))),
        ("enable_chunked_prefill", levels(documented("enable_chunked_prefill"))),
    ] {
        // What every trial has in common is not to be varied.
        if !file.fixed.contains_key(name) {
            file.space.entry(name.to_owned()).or_insert(table);
        }
    }
    file
}

/// The values of the Week-3 documents; none for a parameter that they do not sweep.
fn documented(parameter: &str) -> Vec<Value> {
    let whole = |values: &[u32]| values.iter().copied().map(Value::from).collect();
    match parameter {
        "max_num_seqs" => whole(&[256, 512, 1024, 2048, 4096]),
        "max_num_batched_tokens" => whole(&[512, 1024, 2048, 4096, 8192, 16_384]),
        "gpu_memory_utilization" => [0.70, 0.75, 0.80, 0.85, 0.90, 0.95].map(Value::from).into(),
        "enable_chunked_prefill" => vec![false.into(), true.into()],
        _ => Vec::new(),
    }
}

impl Suite {
    /// The studies of a work [of a suite](Work::of_suite).
    ///
    /// # Errors
    /// When a sweep has nothing to go over.
    pub fn new(work: &Work, manner: Manner) -> Result<Self, SuiteError> {
        let mut suite = Self { studies: Vec::new(), left_out: Vec::new() };
        for focus in Focus::ALL {
            let documented_only = focus == Focus::QueueTime || manner == Manner::Sweep;
            match part(work, focus.parameters(), documented_only)? {
                Some(space) => {
                    let study = planned(work, focus.name(), StudyRole::Focus, space, manner)?;
                    suite.studies.push(study);
                }
                None => suite.left_out.push(focus.name()),
            }
        }
        let space = match manner {
            Manner::Search => work.plan.space.clone(),
            Manner::Sweep => {
                let all: Vec<&str> =
                    Focus::ALL.iter().flat_map(|focus| focus.parameters()).copied().collect();
                part(work, &all, true)?.ok_or(SuiteError::NothingToSweep)?
            }
        };
        suite.studies.push(planned(work, COMPREHENSIVE, StudyRole::Search, space, manner)?);
        Ok(suite)
    }

    /// What the manifest of its result set says of its studies.
    pub fn manifests(&self, work: &Work) -> Vec<StudyManifest> {
        self.studies.iter().map(|study| study.manifest(work)).collect()
    }

    /// Conducts the studies in order, then holds the finals that the study file asks for, from where the
    /// session was left. It ends after the trial under way when `stop` is set.
    ///
    /// # Errors
    /// As [`Session::conduct`] and [`Session::hold_finals`].
    pub async fn run(
        self,
        session: &mut Session,
        stop: &AtomicBool,
        audience: &dyn Audience,
    ) -> Result<Ended, SessionError> {
        let mut ended = Ended::Trials;
        for study in self.studies {
            ended = session.conduct(study, stop, audience).await?;
            if ended == Ended::Stopped {
                return Ok(Ended::Stopped);
            }
        }
        match session.work().file.finals.workloads.as_slice() {
            // As the last search did, whose winner is recommended.
            [] => Ok(ended),
            _ => session.hold_finals(stop, audience).await,
        }
    }
}

fn planned(
    work: &Work,
    name: &str,
    role: StudyRole,
    space: SearchSpace,
    manner: Manner,
) -> Result<PlannedStudy, SuiteError> {
    let size = space.enumerate(LARGEST_SWEEP).map(|all| all.len());
    let size = size.and_then(|size| u32::try_from(size).ok());
    let budget = match role {
        StudyRole::Focus => FOCUS_TRIALS,
        _ => work.file.budget.trials,
    };
    let (sampler, trials): (Box<dyn Sampler>, _) = match manner {
        Manner::Search => {
            // Past trials are of the whole space.
            let past = if space == work.plan.space { work.past.clone() } else { vec![] };
            let trials = size.map_or(budget, |size| size.min(budget));
            (work.file.sampler(past, trials), trials)
        }
        Manner::Sweep => {
            let levels = space.parameters().iter().map(|parameter| match parameter.domain() {
                Domain::Levels { values } => (parameter.name().to_owned(), values.clone()),
                _ => (parameter.name().to_owned(), vec![false.into(), true.into()]),
            });
            let trials = size.ok_or(SuiteError::NothingToSweep)?;
            (Box::new(Grid::new(&space, levels.collect())?), trials)
        }
    };
    let knows_default = manner == Manner::Search;
    Ok(PlannedStudy { name: name.to_owned(), role, sampler, space, knows_default, trials })
}

/// The part of the search space that holds these parameters, over the values of the documents alone
/// where `documented_only` is set; `None` where nothing can vary there.
fn part(
    work: &Work,
    names: &[&str],
    documented_only: bool,
) -> Result<Option<SearchSpace>, SuiteError> {
    let mut parameters = Vec::new();
    for parameter in work.plan.space.parameters() {
        let name = parameter.name();
        if !names.contains(&name) {
            continue;
        }
        if !documented_only {
            parameters.push(parameter.clone());
            continue;
        }
        let allowed = |value: &Value| parameter.domain().contains(value);
        let values: Vec<Value> = documented(name).into_iter().filter(allowed).collect();
        if !values.is_empty() {
            // It exists under the same condition as in the study file.
            let only_if = work.file.space[name].only_if.clone();
            let table =
                ParameterTable { levels: Some(values), only_if, ..ParameterTable::default() };
            parameters.push(table.parameter(name)?);
        }
    }
    let varies = |parameter: &Parameter| parameter.domain().size().is_none_or(|size| size > 1);
    if !parameters.iter().any(varies) {
        return Ok(None);
    }
    let rules = work.file.backend.rules(&parameters, &work.plan.fixed)?;
    match SearchSpace::new(parameters, rules) {
        Ok(space) => Ok(Some(space)),
        // A condition names a parameter that is not here, or vLLM would refuse every value.
        Err(SpaceError::Condition { .. } | SpaceError::NothingAllowed { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Why the studies of a suite cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// A field of the study file.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A part of the search space is none.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// A value of the sweep is not in the search space.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// No parameter can be swept.
    #[error(
        "no value of the Week-3 documents is in the search space; widen it, or search without `--grid`"
    )]
    NothingToSweep,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::study_file::EXAMPLE;

    fn suite(text: &str, manner: Manner) -> Suite {
        let file = StudyFile::parse("study.toml", text).unwrap();
        let work = Work::of_suite(&file, Path::new("")).unwrap();
        Suite::new(&work, manner).unwrap()
    }

    fn outline(suite: &Suite) -> Vec<(&str, usize, u32)> {
        let of = |study| {
            let PlannedStudy { name, space, trials, .. }: &PlannedStudy = study;
            (name.as_str(), space.parameters().len(), *trials)
        };
        suite.studies.iter().map(of).collect()
    }

    #[test]
    fn the_studies_of_the_documents_come_in_their_order() {
        let search = suite(EXAMPLE, Manner::Search);
        assert_eq!(
            outline(&search),
            [
                ("queue_time", 1, 5),
                ("max_num_seqs", 1, 10),
                ("gpu_memory_utilization", 1, 7),
                ("chunked_prefill", 2, 10),
                ("comprehensive", 4, 30),
            ]
        );
        let roles: Vec<StudyRole> = search.studies.iter().map(|study| study.role).collect();
        assert_eq!(roles[..4], [StudyRole::Focus; 4]);
        assert_eq!(roles[4], StudyRole::Search);

        let sweep = suite(EXAMPLE, Manner::Sweep);
        assert!(sweep.studies.iter().all(|study| study.sampler.name() == "grid"));
        // vLLM's 8192 tokens hold every max_num_seqs; whole prompts need 16384. Together the rules
        // leave 24 pairs of sequences and tokens with chunks and 5 without, each at 6 shares.
        assert_eq!(
            outline(&sweep),
            [
                ("queue_time", 1, 5),
                ("max_num_seqs", 1, 5),
                ("gpu_memory_utilization", 1, 6),
                ("chunked_prefill", 2, 7),
                ("comprehensive", 4, 174),
            ]
        );
    }

    #[test]
    fn a_sweep_keeps_the_conditions_of_the_study_file() {
        // Declared after what it depends on.
        let start = EXAMPLE.find("[space.max_num_batched_tokens]").unwrap();
        let end = EXAMPLE.find("[space.gpu_memory_utilization]").unwrap();
        let tokens = EXAMPLE[start..end].trim_end().to_owned()
            + "\nonly_if = { enable_chunked_prefill = true }\n\n[fixed]";
        let text = EXAMPLE[..start].to_owned() + &EXAMPLE[end..].replacen("[fixed]", &tokens, 1);
        // A model short enough for whole prompts in the default's step.
        let text = text
            .replace("max_num_batched_tokens = 2048\n", "")
            .replace("max_model_len = 16384", "max_model_len = 8192");
        let sweep = suite(&text, Manner::Sweep);
        let chunked = &sweep.studies[3];
        assert_eq!(chunked.name, "chunked_prefill");
        let all = chunked.space.enumerate(100).unwrap();
        // Without chunks there is nothing to vary; with them, the documents' six sizes, of which vLLM's
        // 1024 sequences leave those that are no smaller.
        let whole: Vec<_> =
            all.iter().filter(|one| one.boolean("enable_chunked_prefill") == Some(false)).collect();
        assert_eq!(whole.len(), 1, "{all:?}");
        assert_eq!(whole[0].get("max_num_batched_tokens"), None);
        assert_eq!(usize::try_from(chunked.trials), Ok(all.len()));
    }

    #[test]
    fn parameters_that_the_file_does_not_name_are_added_and_those_it_fixes_are_not() {
        let table = |name: &str, next: &str| {
            let start = EXAMPLE.find(&format!("[space.{name}]")).unwrap();
            start..EXAMPLE.find(next).unwrap()
        };
        let memory = table("gpu_memory_utilization", "[space.enable_chunked_prefill]");
        let text = EXAMPLE[..memory.start].to_owned() + &EXAMPLE[memory.end..];
        let text = text.replace("gpu_memory_utilization = 0.90\n", "");
        let added = suite(&text, Manner::Search);
        assert_eq!(outline(&added)[2], ("gpu_memory_utilization", 1, 6));

        let fixed = text.replace("[fixed]", "[fixed]\ngpu_memory_utilization = 0.9");
        let fixed = suite(&fixed, Manner::Search);
        assert_eq!(fixed.left_out, ["gpu_memory_utilization"]);
        assert_eq!(outline(&fixed).last(), Some(&("comprehensive", 3, 30)));

        let narrow = EXAMPLE.replace("range = [32, 4096]", "range = [32, 256]");
        assert_eq!(suite(&narrow, Manner::Sweep).left_out, ["queue_time", "max_num_seqs"]);
        let narrow = suite(&narrow, Manner::Search);
        assert_eq!(narrow.left_out, ["queue_time"]);
        assert_eq!(outline(&narrow)[0], ("max_num_seqs", 1, 10));
    }
}
