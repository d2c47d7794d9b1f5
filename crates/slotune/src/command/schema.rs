//! `slotune schema`: the JSON schema of study files.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use slotune::study_file::json_schema;

use super::Error;

pub(crate) fn run() -> Result<ExitCode, Error> {
    io::stdout().write_all(json_schema().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
