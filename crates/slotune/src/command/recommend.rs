//! `slotune recommend`: what a result set says to do.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use slotune::report::{advice::Advice, analysis::Analysis, finals::FinalsReport};

use super::{Error, NEGATIVE, print, read, requests};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder of the result set
    results: PathBuf,
    /// Prints one JSON object: `verdict`, `simulated`, `complete`, `study`, `trial`,
    /// `configuration`, `metrics`, `vllm_serve`, `front` where the objective has two goals, and `finals`
    /// where there were any
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    advise(&options.results, options.json)
}

/// Prints what a set says to do; the exit status tells whether that is a configuration.
pub(super) fn advise(results: &Path, as_json: bool) -> Result<ExitCode, Error> {
    // Only the JSON tells of the finals, which read every request of theirs.
    let advice =
        if as_json { advice(results)? } else { Advice::new(&Analysis::new(&read(results)?.set))? };
    conclude(&advice, as_json)
}

/// What a set says to do, and its finals.
pub(super) fn advice(results: &Path) -> Result<Advice, Error> {
    let loaded = read(results)?;
    let analysis = Analysis::new(&loaded.set);
    let finals = FinalsReport::new(&analysis, |trial| requests(&loaded, trial))?;
    Ok(Advice::new(&analysis)?.with_finals(finals))
}

/// Prints what to do; the exit status tells whether that is a configuration.
pub(super) fn conclude(advice: &Advice, as_json: bool) -> Result<ExitCode, Error> {
    print(advice, as_json)?;
    Ok(match advice.configuration {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::from(NEGATIVE),
    })
}
