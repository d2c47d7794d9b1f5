//! `slotune baseline`: what the server does as it comes.

use std::process::ExitCode;

use clap::Args;
use slotune::report::references::References;

use super::{
    Error, INTERRUPTED, interrupt, print,
    study::{StudyOptions, begin, runtime},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    study: StudyOptions,
    /// Prints one JSON object: `baseline` and `default`, each with `configuration`, `outcome`,
    /// `metrics` and `targets`
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let folder = options.study.folder("results");
    runtime()?.block_on(async {
        let stop = interrupt::listen();
        let work = options.study.work()?;
        let studies = [work.search().manifest(&work)];
        let Some(session) = begin(work, &folder, &studies, &stop, true).await? else {
            return Ok(ExitCode::from(INTERRUPTED));
        };
        let references = References::new(session.stored());
        print(&references, options.json)?;
        Ok(ExitCode::SUCCESS)
    })
}
