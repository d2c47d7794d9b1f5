//! `slotune report`: the Week-3 page of a result set.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use slotune::report::week3;

use super::{Error, read, requests};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder of the result set
    results: PathBuf,
    /// Folder for the page and the pictures [default: the result set's]
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let folder = options.out.as_deref().unwrap_or(&options.results);
    let mut out = io::stdout().lock();
    for path in write_page(&options.results, folder)? {
        writeln!(out, "{}", path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a set into a folder; the names of the files, the page first.
pub(super) fn write_page(results: &Path, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let loaded = read(results)?;
    let written = week3::write(&loaded.set, |trial| requests(&loaded, trial), folder)?;
    Ok([written.page, written.html].into_iter().chain(written.pictures).collect())
}
