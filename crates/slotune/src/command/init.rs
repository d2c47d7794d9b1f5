//! `slotune init`: a study file to start from.

use std::{fmt, path::PathBuf, process::ExitCode};

use clap::Args;
use serde::Serialize;
use slotune::{serving::engine_arguments::shell_word, study_file::write_example};

use super::{Error, print};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file to write; an existing one is never overwritten
    #[arg(default_value = "study.toml")]
    file: PathBuf,
    /// Prints one JSON object: `file`, and `next`, a command to go on with
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    write_example(&options.file)?;
    let file = options.file.display().to_string();
    let next = format!("slotune tune {}", shell_word(&file));
    print(&Begun { file, next }, options.json)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Begun {
    file: String,
    next: String,
}

impl fmt::Display for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nnext: {}", self.file, self.next)
    }
}
