//! `slotune init`: a study file to start from.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use slotune::study_file::EXAMPLE;

use super::Error;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file to write; an existing one is never overwritten
    #[arg(default_value = "study.toml")]
    file: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let path = options.file.display();
    let mut file = File::create_new(&options.file).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("{path} exists and is left as it is; name another file, or move it away")
        }
        _ => format!("{path} cannot be written: {error}; name a file in a folder that is writable"),
    })?;
    file.write_all(EXAMPLE.as_bytes())
        .map_err(|error| format!("{path} cannot be written: {error}"))?;
    writeln!(io::stdout(), "{path}\nnext: slotune tune {path}")?;
    Ok(ExitCode::SUCCESS)
}
