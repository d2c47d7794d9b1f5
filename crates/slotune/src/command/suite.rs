//! `slotune suite`: the Week-3 studies in order, and their page.

use std::{path::Path, process::ExitCode, sync::atomic::AtomicBool};

use clap::Args;
use slotune::{
    session::Ended,
    suite::{Manner, Suite},
};

use super::{
    Error, interrupt,
    recommend::advise,
    report::write_page,
    study::{StudyOptions, begin, conduct, hold_finals, runtime, stopped},
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
        run_studies(options, &folder, &stop).await
    })?;
    if ended == Ended::Stopped {
        return Ok(stopped());
    }
    eprintln!("page: {}", write_page(&folder, &folder)?.page.display());
    advise(&folder, options.json)
}

async fn run_studies(options: &Options, folder: &Path, stop: &AtomicBool) -> Result<Ended, Error> {
    let manner = if options.grid { Manner::Sweep } else { Manner::Search };
    let work = options.study.work_of_suite()?;
    let suite = Suite::new(&work, manner)?;
    for name in suite.left_out {
        eprintln!("left out: study {name}, whose parameters cannot vary in this study file");
    }
    let studies: Vec<_> = suite.studies.iter().map(|study| study.manifest(&work)).collect();
    let Some(session) = begin(work, folder, &studies, stop, options.json).await? else {
        return Ok(Ended::Stopped);
    };
    for study in suite.studies {
        eprintln!("study {}: up to {} trials", study.name, study.trials);
        if conduct(&session, study, stop, options.json).await? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
    }
    match session.work().file.finals.workloads.as_slice() {
        [] => Ok(Ended::Trials),
        _ => hold_finals(&session, stop, options.json).await,
    }
}
