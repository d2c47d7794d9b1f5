//! `slotune replay`: a sampler on a past result set.

use std::process::ExitCode;

use clap::Args;
use slotune::{
    replay::Table,
    report::selection::{Selection, Which},
    study_file::SamplerName,
};

use super::{Error, print, progress::Work, read};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A result set, or one of its studies
    #[arg(value_name = "SET[:STUDY]")]
    results: Selection,
    /// What proposes the configurations
    #[arg(long, value_enum, default_value_t)]
    sampler: SamplerName,
    /// Most trials of each run
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    trials: u32,
    /// Runs, with the seeds from 0
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// Prints one JSON object: `sampler`, `configurations`, `metric`, `best`, `unlike_loads`,
    /// `placed_by_a_model`, `unguided_study`, `runs`
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let Selection { folder, which } = &options.results;
    let set = read(folder)?.set;
    let table = match which {
        Which::Advised => Table::new(&set)?,
        Which::Label(study) => Table::of_study(&set, study)?,
        Which::Trial { study, .. } => {
            let problem = "names a single trial, and a sampler needs some to choose from; give";
            return Err(format!("{which} {problem} {}:{study}", folder.display()).into());
        }
    };
    let work = Work::of("trials");
    let replay = table.replay(
        &*options.sampler.sampler(vec![]),
        options.trials as usize,
        options.seeds,
        &|done, all| work.at(done, all),
    )?;
    drop(work);
    print(&replay, options.json)?;
    Ok(ExitCode::SUCCESS)
}
