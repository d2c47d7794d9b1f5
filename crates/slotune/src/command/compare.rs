//! `slotune compare`: two trials side by side.

use std::process::ExitCode;

use clap::Args;
use slotune::report::{comparison::Comparison, selection::Selection};

use super::{Error, print, read};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Before: a result set, or one of its trials
    #[arg(value_name = "SET[:TRIAL]")]
    before: Selection,
    /// After: a result set, or one of its trials
    #[arg(value_name = "SET[:TRIAL]")]
    after: Selection,
    /// Prints one JSON object: `before`, `after`, `verdict`, `metrics`, `caveats`
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let (before, after) = (read(&options.before.folder)?.set, read(&options.after.folder)?.set);
    let comparison = Comparison::new(
        (&before, options.before.which.of(&before)?),
        (&after, options.after.which.of(&after)?),
    );
    print(&comparison, options.json)?;
    Ok(ExitCode::SUCCESS)
}
