//! `slotune tune`: the search of a study file.

use std::process::ExitCode;

use clap::Args;
use slotune::session::Session;

use super::{
    Error, interrupt,
    progress::Narration,
    recommend::advise,
    study::{StudyOptions, command_line, runtime, status_of},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    study: StudyOptions,
    /// Prints the recommendation as one JSON object, as `slotune recommend --json`; the lines of the
    /// trials go to standard error
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let folder = options.study.folder("results");
    let work = options.study.work()?;
    let budget = work.file.budget;
    let search = work.search();
    let studies = [search.manifest(&work)];
    let ended = runtime()?.block_on(async {
        let stop = interrupt::listen();
        let mut session = Session::open(work, &folder, &studies, &command_line()).await?;
        session.conduct(search, &stop, &Narration { as_json: options.json }).await
    });
    let ended = ended.map_err(|error| options.study.located(error))?;
    if let Some(status) = status_of(ended, &budget) {
        return Ok(status);
    }
    eprintln!("result set: {0} (`slotune report {0}` writes its page)", folder.display());
    advise(&folder, options.json)
}
