//! What the commands that work on a study file have in common.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::AtomicBool,
};

use clap::Args;
use slotune::{
    finals::NoFinals,
    results::StudyManifest,
    serving::engine_arguments::shell_word,
    session::{Ended, PlannedStudy, REFERENCE, Session, SessionError, Work},
    study_file::StudyFile,
};

use super::{Error, INTERRUPTED, progress::Narrator};

#[derive(Debug, Args)]
pub(super) struct StudyOptions {
    /// The study file; `slotune init` writes one to start from
    #[arg(value_name = "STUDY.TOML")]
    pub(super) file: PathBuf,
    /// Folder for the result set and the servers' logs [default: the study file's name with
    /// `-results`, beside it]
    #[arg(long)]
    out: Option<PathBuf>,
}

impl StudyOptions {
    /// The file, read and checked.
    pub(super) fn work(&self) -> Result<Work, Error> {
        Ok(Work::of_file(&StudyFile::read(&self.file)?, self.file_folder())?)
    }

    /// The same with all parameters of a suite.
    pub(super) fn work_of_suite(&self) -> Result<Work, Error> {
        Ok(Work::of_suite(&StudyFile::read(&self.file)?, self.file_folder())?)
    }

    fn file_folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// Where the result set goes; `kind` is what the default name ends in.
    pub(super) fn folder(&self, kind: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| {
            let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
            self.file.with_file_name(format!("{stem}-{kind}"))
        })
    }
}

/// Opens the session of a result set and measures its references; `None` where that was stopped.
pub(super) async fn begin(
    work: Work,
    folder: &Path,
    studies: &[StudyManifest],
    stop: &AtomicBool,
    as_json: bool,
) -> Result<Option<Session>, Error> {
    let mut session = Session::open(work, folder, studies, &command_line()).await?;
    let done = session.stored().study(REFERENCE).count();
    let narrator = Narrator::new(REFERENCE, session.references(), done, as_json);
    let ended = session.measure_references(stop, &narrator).await?;
    drop(narrator);
    Ok((ended != Ended::Stopped).then_some(session))
}

/// Conducts a study of the session, a line for each trial.
pub(super) async fn conduct(
    session: &Session,
    study: PlannedStudy,
    stop: &AtomicBool,
    as_json: bool,
) -> Result<Ended, Error> {
    let done = session.stored().study(&study.name).count();
    let narrator = Narrator::new(&study.name, study.trials, done, as_json);
    Ok(session.conduct(study, stop, &narrator).await?)
}

/// Holds the finals of a session whose search has ended, a line for each trial.
pub(super) async fn hold_finals(
    session: &Session,
    stop: &AtomicBool,
    as_json: bool,
) -> Result<Ended, Error> {
    let finals = match session.plan_finals() {
        // What the search came to instead is told at the end.
        Err(SessionError::NoFinals(reason @ NoFinals::NoFinalist)) => {
            eprintln!("no finals: {reason}");
            return Ok(Ended::Exhausted);
        }
        planned => planned?,
    };
    for planned in &finals.studies {
        let (name, trials) = (&planned.name, planned.trials());
        eprintln!("study {name}: {} contenders, {trials} trials", finals.contenders());
        let narrator = Narrator::new(name, trials, planned.done, as_json);
        let ended = session.hold(&finals, planned, stop, &narrator).await?;
        if ended != Ended::Trials {
            return Ok(ended);
        }
    }
    Ok(Ended::Trials)
}

/// Tells a user who stopped the command how to go on.
pub(super) fn stopped() -> ExitCode {
    eprintln!("stopped; the same command goes on");
    ExitCode::from(INTERRUPTED)
}

/// How this program was called. No option holds a secret.
pub(super) fn command_line() -> String {
    let words = env::args().skip(1).map(|word| shell_word(&word));
    std::iter::once("slotune".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Where trials are evaluated.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
