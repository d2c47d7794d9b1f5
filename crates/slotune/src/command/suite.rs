//! `slotune suite`: the Week-3 studies in order, and their page.

use std::process::ExitCode;

use clap::Args;
use slotune::{
    session::Session,
    suite::{Manner, Suite},
};

use super::{
    Error, interrupt,
    progress::Narration,
    recommend::advise,
    report::write_page,
    study::{StudyOptions, command_line, runtime, status_of},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    study: StudyOptions,
    /// Sweeps the grid of the Week-3 documents instead of searching: hundreds of trials
    #[arg(long)]
    grid: bool,
    /// Prints the recommendation as one JSON object, as `slotune recommend --json`; all else goes
    /// to standard error
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let folder = options.study.folder(if options.grid { "suite-grid" } else { "suite" });
    let work = options.study.work_of_suite()?;
    let budget = work.file.budget;
    let suite = Suite::new(&work, if options.grid { Manner::Sweep } else { Manner::Search })?;
    for name in &suite.left_out {
        eprintln!("left out: study {name}, whose parameters cannot vary in this study file");
    }
    let studies = suite.manifests(&work);
    let ended = runtime()?.block_on(async {
        let stop = interrupt::listen();
        let mut session = Session::open(work, &folder, &studies, &command_line()).await?;
        suite.run(&mut session, &stop, &Narration { as_json: options.json }).await
    });
    let ended = ended.map_err(|error| options.study.located(error))?;
    if let Some(status) = status_of(ended, &budget) {
        return Ok(status);
    }
    eprintln!("page: {}", write_page(&folder, &folder)?.page.display());
    advise(&folder, options.json)
}
