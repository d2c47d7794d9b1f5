//! `slotune baseline`: what the server does as it comes.

use std::process::ExitCode;

use clap::Args;
use slotune::{
    report::references::References,
    session::{Session, SessionError},
};

use super::{
    Error, interrupt, print,
    progress::Narration,
    study::{StudyOptions, command_line_of_tune, runtime, status_of},
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
    let work = options.study.work()?;
    let budget = work.file.budget;
    let studies = [work.search().manifest(&work)];
    let measured = runtime()?.block_on(async {
        let stop = interrupt::listen();
        let mut session = Session::open(work, &folder, &studies, &command_line_of_tune()).await?;
        // Its answer is what stands on standard output.
        let ended = session.measure_references(&stop, &Narration { as_json: true }).await?;
        Ok::<_, SessionError>((ended, References::new(session.stored())))
    });
    let (ended, references) = measured.map_err(|error| options.study.located(error))?;
    if let Some(status) = status_of(ended, &budget) {
        return Ok(status);
    }
    print(&references, options.json)?;
    Ok(ExitCode::SUCCESS)
}
