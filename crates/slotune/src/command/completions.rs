//! `slotune completions`: what a shell completes the command with.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::Error;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The shell
    shell: Shell,
}

pub(crate) fn run<C: CommandFactory>(options: &Options) -> Result<ExitCode, Error> {
    let mut script = Vec::new();
    generate(options.shell, &mut C::command(), "slotune", &mut script);
    io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
