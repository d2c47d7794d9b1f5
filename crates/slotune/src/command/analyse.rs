//! `slotune analyse`: past result sets, asked for other targets.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use slotune::{
    report::inquiry::{Inquiry, retargeted, with_goodput},
    results::{Loaded, ResultSet},
    serving::metrics::Slo,
};

use super::{
    Error, NEGATIVE, print,
    progress::Work,
    read,
    targets::{Targets, limit},
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folders of the result sets
    #[arg(required = true)]
    results: Vec<PathBuf>,
    #[command(flatten)]
    targets: Targets,
    /// A limit of a good request, in seconds: `ttft_s`, `tpot_s` or `e2e_s`. Counts goodput again from the
    /// stored requests
    #[arg(long, value_name = "LIMIT=SECONDS", value_parser = limit)]
    slo: Vec<Slo>,
    /// Prints one JSON object: `sets`, `objective`, `trials`, `feasible`, `best`, `closest`, `front`,
    /// `drift`, `shifts`, `effects`, `doubts`, `caveats`
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let slo = options.slo.iter().fold(Slo::default(), |all, limit| limit.or(all));
    let loaded = options.results.iter().map(|folder| Ok((folder, read(folder)?)));
    let loaded: Vec<(&PathBuf, Loaded)> = loaded.collect::<Result<_, Error>>()?;
    let work = Work::called("analysing");
    let set = |loaded: Loaded| -> Result<ResultSet, Error> {
        Ok(if slo.has_limits() { with_goodput(loaded, &slo)? } else { loaded.set })
    };
    let sets = loaded.into_iter().map(|(folder, loaded)| Ok((folder, set(loaded)?)));
    let sets: Vec<(&PathBuf, ResultSet)> = sets.collect::<Result<_, Error>>()?;
    let sets: Vec<(String, &ResultSet)> =
        sets.iter().map(|(folder, set)| (folder.display().to_string(), set)).collect();
    let own = &sets[0].1.manifest.objective;
    let objective = retargeted(own, options.targets.goal(), &options.targets.bounds());
    let inquiry = Inquiry::new(&sets, objective)?;
    drop(work);
    print(&inquiry, options.json)?;
    Ok(match inquiry.best {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::from(NEGATIVE),
    })
}
