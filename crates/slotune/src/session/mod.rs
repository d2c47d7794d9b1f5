//! A study file under way: the server measured as it comes, then searches, each trial kept in a
//! result set.
//!
//! A session that is dropped, interrupted or killed goes on when it is opened again, with the same
//! trials as if it had never stopped.

mod audience;
mod error;
mod finals;
mod reference;
mod work;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use slotune_core::{
    Configuration, Problem, SearchSpace, State, Study, opening, sampler::RemainingGain,
};
use slotune_results::{
    DEFAULT, Loaded, Manifest, ResultSet, StoredTrial, StudyManifest, StudyRole, WriteError, Writer,
};
use slotune_serving::{Backend, BackendInfo, Progress, Schedule, Stage, workload::WorkloadError};
use slotune_vllm::clock::now;

pub use audience::{Audience, StudyUnderWay};
pub use error::SessionError;
pub use work::{PlannedStudy, Work};

pub use crate::given::in_effect;

use crate::{
    Finished, Observer, Recorder, Tuner,
    study_file::{FieldError, Plan},
};

/// Name of the study that holds the server as it comes.
pub const REFERENCE: &str = "reference";

/// Name of the study that searches.
pub const SEARCH: &str = "search";

/// The probability that further trials gain too little at which a search ends.
const SURE_OF_LITTLE: f64 = 0.95;

/// Folder of a result set for the logs of real servers.
const LOGS: &str = "logs";

/// A study file under way.
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::atomic::AtomicBool;
///
/// use slotune::{serving::Silent, session::{Session, Work}, study_file::StudyFile};
///
/// let file = StudyFile::read("study.toml".as_ref())?;
/// let work = Work::of_file(&file, "".as_ref())?;
/// let search = work.search();
/// let studies = [search.manifest(&work)];
/// let mut session = Session::open(work, "results".as_ref(), &studies, "my program").await?;
/// let stop = AtomicBool::new(false);
/// session.conduct(search, &stop, &Silent).await?;
/// session.hold_finals(&stop, &Silent).await?;
/// # Ok(())
/// # }
/// ```
#[expect(missing_debug_implementations, reason = "a backend need not be printable")]
pub struct Session {
    work: Work,
    folder: PathBuf,
    backend: Arc<dyn Backend>,
    schedule: Arc<Schedule>,
    writer: Arc<Mutex<Writer>>,
    stored: ResultSet,
    /// When it was opened: the wall time of the budget counts from then.
    begun: Instant,
}

/// Why a search, or the finals, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All its trials are spent.
    Trials,
    /// Nothing is left to try.
    Exhausted,
    /// Its wall time is spent.
    WallTime,
    /// Its server time is spent.
    ServerTime,
    /// Further trials would gain too little.
    LittleLeft,
    /// No trial of the search with another configuration than vLLM's default meets every target, so there is
    /// nothing to repeat.
    NoFinalist,
    /// It was asked to stop.
    Stopped,
}

impl Session {
    /// Begins the result set in a folder, or goes on with it if the folder holds this very one.
    /// `command` goes into the set: what makes it again.
    ///
    /// # Errors
    /// When another session has the folder, it holds something else, the workload cannot be had,
    /// or the server cannot be used.
    pub async fn open(
        work: Work,
        folder: &Path,
        studies: &[StudyManifest],
        command: &str,
    ) -> Result<Self, SessionError> {
        let begun = now();
        let Work { file, plan, .. } = &work;
        let schedule = plan.workload.schedule().map_err(|error| match error {
            WorkloadError::Trace(error) => {
                FieldError::new(["workload", "trace", "source"], error.to_string()).into()
            }
            other => SessionError::Workload(other),
        })?;
        if let Some(pruning) = file.pruning {
            pruning.check_within(schedule.requests.len())?;
        }
        let backend = file.backend.start(&folder.join(LOGS)).await?;
        let manifest = manifest(&work, backend.describe(), studies, command);
        let writer = match ResultSet::create(folder, &manifest) {
            Err(WriteError::AlreadyASet { .. }) => Writer::open(folder, &manifest)?,
            created => created?,
        };
        let stored = whole(folder)?;
        let writer = Arc::new(Mutex::new(writer));
        let folder = folder.to_owned();
        let schedule = Arc::new(schedule);
        Ok(Self { work, folder, backend, schedule, writer, stored, begun })
    }

    /// What evaluates.
    pub fn describe(&self) -> BackendInfo {
        self.backend.describe()
    }

    /// What is worked on.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// What was stored when the session was opened, and the reference trials since.
    pub fn stored(&self) -> &ResultSet {
        &self.stored
    }

    /// What vLLM chose by itself for the parameters of a space; `None` where it is not known, or not
    /// in the space.
    fn default_within(&self, space: &SearchSpace) -> Option<Configuration> {
        let default = &self.reference(DEFAULT)?.entry.trial.configuration;
        space.restrict(default).ok()
    }

    fn reference(&self, label: &str) -> Option<&StoredTrial> {
        self.stored.study(REFERENCE).find(|trial| trial.label.as_deref() == Some(label))
    }

    /// Conducts a search to the end of its budget, from where it was left, once the
    /// [references](Self::measure_references) are measured. It ends after the trial under way when `stop`
    /// is set.
    ///
    /// # Errors
    /// When the stored trials do not fit, no configuration can be evaluated, or a trial cannot be
    /// stored; every trial stored before stays.
    pub async fn conduct(
        &mut self,
        study: PlannedStudy,
        stop: &AtomicBool,
        audience: &dyn Audience,
    ) -> Result<Ended, SessionError> {
        if self.measure_references(stop, audience).await? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        let Plan { objective, fixed, options, .. } = &self.work.plan;
        let history = self.stored.history(&study.name)?;
        let stored = history.len();
        let problem = Problem::new(study.space, objective.clone());
        let mut search = Study::resume(problem, study.sampler, self.work.file.seed, history)?;
        if stored == 0
            && study.knows_default
            && let Some(default) = self.default_within(search.problem().space())
        {
            search.enqueue(default)?;
        }
        if stored >= study.trials as usize {
            return Ok(Ended::Trials);
        }
        let recorder = Recorder::new(&study.name, Arc::clone(&self.writer));
        let observer = audience.hear_of(&StudyUnderWay {
            name: &study.name,
            role: study.role,
            trials: study.trials,
            done: stored,
            contenders: None,
        });
        let observer = Recorded { recorder, observer: &*observer };
        let mut tuner = Tuner::new(
            search,
            Arc::clone(&self.backend),
            Arc::clone(&self.schedule),
            fixed.clone(),
            *options,
        )?
        .looking_ahead()?;
        if let Some(pruning) = self.work.file.pruning {
            tuner = tuner.pruning_after(pruning.requests)?;
        }
        let budget = &self.work.file.budget;
        loop {
            let history = tuner.study().history();
            if history.len() >= study.trials as usize {
                return Ok(Ended::Trials);
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(Ended::Stopped);
            }
            if budget.is_late(self.begun.elapsed()) {
                return Ok(Ended::WallTime);
            }
            let cost_s: f64 = history.entries().iter().map(|entry| cost_s(&entry.state)).sum();
            if budget.server_time_s.is_some_and(|limit_s| cost_s >= limit_s) {
                return Ok(Ended::ServerTime);
            }
            let is_little = |(limit, gain): (f64, &RemainingGain)| {
                gain.probability_below(limit) >= SURE_OF_LITTLE
            };
            if budget.remaining_gain.zip(tuner.remaining_gain()).is_some_and(is_little) {
                return Ok(Ended::LittleLeft);
            }
            if !tuner.step(&observer).await? {
                return Ok(Ended::Exhausted);
            }
        }
    }
}

/// The result set of a folder, no part of it damaged.
fn whole(folder: &Path) -> Result<ResultSet, SessionError> {
    let Loaded { set, faults, .. } = ResultSet::read(folder)?;
    match faults.into_iter().next() {
        Some(fault) => Err(SessionError::Damaged(fault)),
        None => Ok(set),
    }
}

/// vLLM's default, and the baseline where there is one.
fn references(plan: &Plan) -> u32 {
    if plan.baseline.is_some() { 2 } else { 1 }
}

fn cost_s(state: &State) -> f64 {
    match state {
        State::Told { cost, .. } => *cost,
        State::Pending => 0.0,
    }
}

fn manifest(
    work: &Work,
    backend: BackendInfo,
    studies: &[StudyManifest],
    command: &str,
) -> Manifest {
    let Plan { space, objective, workload, .. } = &work.plan;
    let reference = StudyManifest {
        name: REFERENCE.to_owned(),
        role: StudyRole::Reference,
        sampler: "given".to_owned(),
        seed: work.file.seed,
        trials: references(&work.plan).into(),
    };
    let set = Manifest::new(
        jiff::Timestamp::now().to_string(),
        space.clone(),
        objective.clone(),
        workload.relative_to(&work.folder),
        backend,
    );
    let set = match work.file.pruning {
        Some(_) => set.with_metric(opening(&objective.metric)),
        None => set,
    };
    let set = set.with_command(command).with_study(reference);
    studies.iter().cloned().fold(set, Manifest::with_study)
}

/// Keeps each trial before anybody else hears of it.
struct Recorded<'a> {
    recorder: Recorder,
    observer: &'a dyn Observer,
}

impl Progress for Recorded<'_> {
    fn stage(&self, stage: Stage) {
        self.observer.stage(stage);
    }
}

impl Observer for Recorded<'_> {
    fn begun(&self, trial: &slotune_core::Trial) {
        self.observer.begun(trial);
    }

    fn finished(
        &self,
        trial: &Finished<'_>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.recorder.finished(trial)?;
        self.observer.finished(trial)
    }
}
