//! `slotune export`: a configuration as something that starts a server.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use slotune::report::{
    export::{Format, export},
    selection::{SelectError, Selection},
};

use super::{Error, NEGATIVE, read};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The result set, whose recommended configuration is meant, or one of its trials
    #[arg(value_name = "SET[:TRIAL]")]
    selection: Selection,
    /// What it is written as
    #[arg(
        long,
        default_value = Format::Vllm.name(),
        value_parser = PossibleValuesParser::new(Format::ALL.map(Format::name))
            .try_map(|name| name.parse::<Format>()),
    )]
    format: Format,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let set = read(&options.selection.folder)?.set;
    let trial = match options.selection.which.of(&set) {
        Err(error @ SelectError::NoneAdvised) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(NEGATIVE));
        }
        found => found?,
    };
    let text = export(trial, &set.manifest.backend, options.format)?;
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
