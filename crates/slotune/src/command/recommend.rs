//! `slotune recommend`: what a result set says to do.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use slotune::report::advice::Advice;

use super::{Error, NEGATIVE, print, read};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder of the result set
    results: PathBuf,
    /// Prints one JSON object: `verdict`, `simulated`, `complete`, `study`, `trial`,
    /// `configuration`, `metrics`, `vllm_serve`
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    advise(&options.results, options.json)
}

/// Prints what a set says to do; the exit status tells whether that is a configuration.
pub(super) fn advise(results: &Path, as_json: bool) -> Result<ExitCode, Error> {
    let advice = Advice::new(&read(results)?.set)?;
    print(&advice, as_json)?;
    Ok(match advice.configuration {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::from(NEGATIVE),
    })
}
