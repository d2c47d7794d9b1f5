//! `slotune report`: the Week-3 page of a result set.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use slotune::report::week3::{self, Written};

use super::{Error, print, progress::Work, read, requests};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder of the result set
    results: PathBuf,
    /// Folder for the page and the pictures [default: the result set's]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Prints one JSON object: `page`, `html` and `pictures`, the files' names
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let folder = options.out.as_deref().unwrap_or(&options.results);
    print(&write_page(&options.results, folder)?, options.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a set into a folder.
pub(super) fn write_page(results: &Path, folder: &Path) -> Result<Written, Error> {
    let loaded = read(results)?;
    let _work = Work::called("writing the page");
    Ok(week3::write(&loaded.set, |trial| requests(&loaded, trial), folder)?)
}
