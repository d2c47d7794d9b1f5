//! `slotune export`: a configuration as something that starts a server.

use std::process::ExitCode;

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use slotune::report::{
    export::{Format, export},
    selection::Selection,
};

use super::{Error, print, read};

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
    /// Prints one JSON object: `study`, `trial`, `format` and the `text`
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let set = read(&options.selection.folder)?.set;
    let trial = options.selection.which.of(&set)?;
    print(&export(trial, &set.manifest.backend, options.format)?, options.json)?;
    Ok(ExitCode::SUCCESS)
}
