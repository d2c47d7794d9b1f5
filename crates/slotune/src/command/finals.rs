//! `slotune finals`: the best of a search repeated beside vLLM's default.

use std::process::ExitCode;

use clap::Args;
use slotune::session::Ended;

use super::{
    Error, interrupt, print, read,
    recommend::{advice, conclude},
    study::{StudyOptions, begin, hold_finals, runtime, stopped},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    study: StudyOptions,
    /// Prints one JSON object: that of `slotune recommend --json`, whose `finals` hold intervals,
    /// verdicts and service levels; the lines of the trials go to standard error
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let folder = options.study.folder("results");
    // Where nothing was searched, nothing is begun.
    read(&folder).map_err(|error| format!("{error}; `slotune tune` writes one"))?;
    let ended = runtime()?.block_on(async {
        let stop = interrupt::listen();
        let work = options.study.work()?;
        let studies = [work.search().manifest(&work)];
        match begin(work, &folder, &studies, &stop, options.json).await? {
            Some(session) => hold_finals(&session, &stop, options.json).await,
            None => Ok(Ended::Stopped),
        }
    })?;
    if ended == Ended::Stopped {
        return Ok(stopped());
    }
    let advice = advice(&folder)?;
    match &advice.finals {
        Some(finals) if !options.json => print(finals, false)?,
        _ => {}
    }
    conclude(&advice, options.json)
}
