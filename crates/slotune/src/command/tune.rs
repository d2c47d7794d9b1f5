//! `slotune tune`: the search of a study file.

use std::process::ExitCode;

use clap::Args;
use slotune::session::Ended;

use super::{
    Error, interrupt,
    recommend::advise,
    study::{StudyOptions, begin, conduct, runtime, stopped},
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
    let ended = runtime()?.block_on(async {
        let stop = interrupt::listen();
        let work = options.study.work()?;
        let search = work.search();
        let studies = [search.manifest(&work)];
        match begin(work, &folder, &studies, &stop, options.json).await? {
            Some(session) => conduct(&session, search, &stop, options.json).await,
            None => Ok(Ended::Stopped),
        }
    })?;
    if ended == Ended::Stopped {
        return Ok(stopped());
    }
    eprintln!("result set: {0} (`slotune report {0}` writes its page)", folder.display());
    advise(&folder, options.json)
}
