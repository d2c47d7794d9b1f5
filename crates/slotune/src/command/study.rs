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
    session::{Ended, Work},
    study_file::StudyFile,
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

/// Tells why a session ended, where that is not by its trials alone; the exit status, where that ends the
/// command too.
pub(super) fn status_of(ended: Ended) -> Option<ExitCode> {
    match ended {
        Ended::Stopped => {
            eprintln!("stopped; the same command goes on");
            Some(ExitCode::from(INTERRUPTED))
        }
        // What the search came to instead is told at the end.
        Ended::NoFinalist => {
            eprintln!("no finals: {}", NoFinals::NoFinalist);
            None
        }
        _ => None,
    }
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
