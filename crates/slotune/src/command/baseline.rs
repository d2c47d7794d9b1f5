//! `slotune baseline`: what the server does as it comes.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Args;
use slotune::{
    report::references::References,
    session::{Ended, REFERENCE, Session},
};

use super::{
    Error, INTERRUPTED, interrupt,
    progress::Narrator,
    study::{StudyOptions, command_line, runtime},
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
        let mut session = Session::open(work, &folder, &studies, &command_line()).await?;
        let done = session.stored().study(REFERENCE).count();
        let narrator = Narrator::new(REFERENCE, session.references(), done, true);
        if session.measure_references(&stop, &narrator).await? == Ended::Stopped {
            return Ok(ExitCode::from(INTERRUPTED));
        }
        drop(narrator);
        let references = References::new(session.stored());
        let mut out = io::stdout().lock();
        if options.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&references)?)?;
        } else {
            write!(out, "{references}")?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
