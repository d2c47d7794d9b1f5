//! `slotune analyse`: past result sets, asked for other targets.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use slotune::{
    core::{Constraint, Objective},
    report::inquiry::{Inquiry, retargeted},
    results::ResultSet,
};

use super::{Error, NEGATIVE, print, read};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folders of the result sets
    #[arg(required = true)]
    results: Vec<PathBuf>,
    /// Metric to minimise instead of the first set's objective
    #[arg(long, value_name = "METRIC", conflicts_with = "maximise")]
    minimise: Option<String>,
    /// Metric to maximise instead of the first set's objective
    #[arg(long, value_name = "METRIC")]
    maximise: Option<String>,
    /// Least value of a metric, in the place of the first set's bound on it
    #[arg(long, value_name = "METRIC=VALUE", value_parser = bound)]
    at_least: Vec<(String, f64)>,
    /// Largest value of a metric, in the place of the first set's bound on it
    #[arg(long, value_name = "METRIC=VALUE", value_parser = bound)]
    at_most: Vec<(String, f64)>,
    /// Prints one JSON object: `sets`, `objective`, `trials`, `feasible`, `best`, `closest`, `front`,
    /// `drift`, `shifts`, `effects`, `doubts`, `caveats`
    #[arg(long)]
    json: bool,
}

fn bound(text: &str) -> Result<(String, f64), String> {
    let parts = text.split_once('=').and_then(|(name, value)| Some((name, value.parse().ok()?)));
    match parts {
        Some((name, value)) if f64::is_finite(value) => Ok((name.to_owned(), value)),
        _ => Err("give a metric and a number, such as queue_share=0.3".to_owned()),
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let loaded = options.results.iter().map(|folder| Ok((folder, read(folder)?.set)));
    let loaded: Vec<(&PathBuf, ResultSet)> = loaded.collect::<Result<_, Error>>()?;
    let sets: Vec<(String, &ResultSet)> =
        loaded.iter().map(|(folder, set)| (folder.display().to_string(), set)).collect();
    let goal = options.minimise.as_ref().map(Objective::minimise);
    let goal = goal.or(options.maximise.as_ref().map(Objective::maximise));
    let least = options.at_least.iter().map(|(metric, value)| Constraint::at_least(metric, *value));
    let most = options.at_most.iter().map(|(metric, value)| Constraint::at_most(metric, *value));
    let bounds: Vec<Constraint> = least.chain(most).collect();
    let objective = retargeted(&sets[0].1.manifest.objective, goal, &bounds);
    let inquiry = Inquiry::new(&sets, objective)?;
    print(&inquiry, options.json)?;
    Ok(match inquiry.best {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::from(NEGATIVE),
    })
}
