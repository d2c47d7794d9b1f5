//! `slotune tune`: the search of a study file.

use std::process::ExitCode;

use clap::Args;
use slotune::session::{Ended, REFERENCE, SEARCH, Session};

use super::{
    Error, INTERRUPTED, interrupt,
    progress::Narrator,
    recommend::advise,
    study::{StudyOptions, command_line, runtime},
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
        let mut session = Session::open(work, &folder, &studies, &command_line()).await?;
        let done = session.stored().study(REFERENCE).count();
        let references = session.references();
        let narrator = Narrator::new(REFERENCE, references, done, options.json);
        if session.measure_references(&stop, &narrator).await? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        drop(narrator);
        let done = session.stored().study(SEARCH).count();
        let narrator = Narrator::new(SEARCH, search.trials, done, options.json);
        Ok::<_, Error>(session.conduct(search, &stop, &narrator).await?)
    })?;
    if ended == Ended::Stopped {
        eprintln!("stopped; the same command goes on");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    eprintln!("result set: {0} (`slotune report {0}` writes its page)", folder.display());
    advise(&folder, options.json)
}
