//! `slotune suite`: the Week-3 studies in order, and their page.

use std::{path::PathBuf, process::ExitCode, sync::atomic::AtomicBool};

use clap::Args;
use slotune::{
    session::{Ended, REFERENCE, Session},
    suite::{Manner, Suite},
};

use super::{
    Error, INTERRUPTED, interrupt,
    progress::Narrator,
    recommend::advise,
    report::write_page,
    study::{StudyOptions, command_line, runtime},
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
    let ended = runtime()?.block_on(async {
        let stop = interrupt::listen();
        conduct(options, folder.clone(), &stop).await
    })?;
    if ended == Ended::Stopped {
        eprintln!("stopped; the same command goes on");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if let Some(page) = write_page(&folder, &folder)?.first() {
        eprintln!("page: {}", page.display());
    }
    advise(&folder, options.json)
}

async fn conduct(options: &Options, folder: PathBuf, stop: &AtomicBool) -> Result<Ended, Error> {
    let manner = if options.grid { Manner::Sweep } else { Manner::Search };
    let work = options.study.work()?.of_suite()?;
    let suite = Suite::new(&work, manner)?;
    for name in suite.left_out {
        eprintln!("left out: study {name}, whose parameters cannot vary in this study file");
    }
    let studies: Vec<_> = suite.studies.iter().map(|study| study.manifest(&work)).collect();
    let mut session = Session::open(work, &folder, &studies, &command_line()).await?;
    let done = |session: &Session, study: &str| session.stored().study(study).count();
    let narrator =
        Narrator::new(REFERENCE, session.references(), done(&session, REFERENCE), options.json);
    if session.measure_references(stop, &narrator).await? == Ended::Stopped {
        return Ok(Ended::Stopped);
    }
    drop(narrator);
    for study in suite.studies {
        eprintln!("study {}: up to {} trials", study.name, study.trials);
        let done = done(&session, &study.name);
        let narrator = Narrator::new(&study.name, study.trials, done, options.json);
        if session.conduct(study, stop, &narrator).await? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
    }
    Ok(Ended::Trials)
}
