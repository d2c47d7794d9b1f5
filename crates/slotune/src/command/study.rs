//! What the commands that work on a study file have in common.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use slotune::{
    finals::NoFinals,
    serving::engine_arguments::shell_word,
    session::{Ended, SessionError, Work},
    study_file::{BackendStartError, Budget, FieldError, Located, StudyFile},
};

use super::{Error, INTERRUPTED};

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
        let file = StudyFile::read(&self.file)?;
        Work::of_file(&file, self.file_folder()).map_err(|error| self.of_field(error))
    }

    /// The same with all parameters of a suite.
    pub(super) fn work_of_suite(&self) -> Result<Work, Error> {
        let file = StudyFile::read(&self.file)?;
        Work::of_suite(&file, self.file_folder()).map_err(|error| self.of_field(error))
    }

    /// An error of a session, with its place in the study file where it is of a field.
    pub(super) fn located(&self, error: SessionError) -> Error {
        match error {
            SessionError::Field(error) | SessionError::Backend(BackendStartError::Field(error)) => {
                self.of_field(error)
            }
            other => other.into(),
        }
    }

    fn of_field(&self, error: FieldError) -> Error {
        Located::in_file(&self.file, &error).map_or_else(|| error.into(), Into::into)
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

/// Tells why a session with this budget ended, where that is not by its trials alone; the exit status, where
/// that ends the command too. How many trials there were, what is told at the end says.
pub(super) fn status_of(ended: Ended, budget: &Budget) -> Option<ExitCode> {
    let spent = |limit_s: Option<f64>, name: &str| {
        format!("stopped: the {} s of `budget.{name}` are spent", limit_s.unwrap_or_default())
    };
    let said = match ended {
        Ended::Stopped => {
            eprintln!("stopped; the same command goes on");
            return Some(ExitCode::from(INTERRUPTED));
        }
        Ended::Trials => return None,
        Ended::WallTime => {
            format!("{}; the same command goes on", spent(budget.wall_time_s, "wall_time_s"))
        }
        Ended::ServerTime => {
            format!("{}; with more, it goes on", spent(budget.server_time_s, "server_time_s"))
        }
        Ended::LittleLeft => format!(
            "stopped: further trials would gain less than `budget.remaining_gain`, {}",
            budget.remaining_gain.unwrap_or_default()
        ),
        Ended::Exhausted => "stopped: every configuration of the space was tried".to_owned(),
        // What the search came to instead is told at the end.
        Ended::NoFinalist => format!("no finals: {}", NoFinals::NoFinalist),
    };
    eprintln!("{said}");
    None
}

/// How this program was called. No option holds a secret.
pub(super) fn command_line() -> String {
    line_of(env::args().skip(1))
}

/// The command that makes the whole result set of a study file, where this one begins it.
pub(super) fn command_line_of_tune() -> String {
    line_of(std::iter::once("tune".to_owned()).chain(env::args().skip(2)))
}

fn line_of(words: impl Iterator<Item = String>) -> String {
    let words = words.map(|word| shell_word(&word));
    std::iter::once("slotune".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Where trials are evaluated.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
