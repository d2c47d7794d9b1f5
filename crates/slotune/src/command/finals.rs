//! `slotune finals`: the best of a search repeated beside vLLM's default.

use std::process::ExitCode;

use clap::Args;
use slotune::session::Session;

use super::{
    Error, interrupt, print,
    progress::Narration,
    read,
    recommend::{advice, conclude},
    study::{StudyOptions, command_line, runtime, status_of},
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
    let work = options.study.work()?;
    let budget = work.file.budget;
    let studies = [work.search().manifest(&work)];
    let ended = runtime()?.block_on(async {
        let stop = interrupt::listen();
        let mut session = Session::open(work, &folder, &studies, &command_line()).await?;
        session.hold_finals(&stop, &Narration { as_json: options.json }).await
    });
    let ended = ended.map_err(|error| options.study.located(error))?;
    if let Some(status) = status_of(ended, &budget) {
        return Ok(status);
    }
    let advice = advice(&folder)?;
    match &advice.finals {
        Some(finals) if !options.json => print(finals, false)?,
        _ => {}
    }
    conclude(&advice, options.json)
}
