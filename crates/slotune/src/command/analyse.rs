//! `slotune analyse`: past result sets, asked for other targets.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use slotune::{
    report::inquiry::{Inquiry, retargeted, with_goodput},
    results::{Loaded, ResultSet},
    serving::{
        CaveatClass,
        metrics::{Metric, Slo},
    },
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
    if inquiry.trials == 0 {
        eprintln!("note: {}", nothing_asked_for(&sets, &inquiry.objective.metric));
    }
    Ok(match inquiry.best {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::from(NEGATIVE),
    })
}

/// Why no trial of these sets can answer a question for this metric, and what can be asked instead.
fn nothing_asked_for(sets: &[(String, &ResultSet)], metric: &str) -> String {
    let trials = || sets.iter().flat_map(|(_, set)| set.first_runs());
    let has = |name: &String| {
        trials().filter_map(|trial| trial.entry.measurement()).any(|m| m.get(name).is_some())
    };
    let known: Vec<String> = Metric::all().map(Metric::name).filter(has).collect();
    if known.is_empty() {
        return "no trial completed".to_owned();
    }
    let remedy = if metric == Metric::Goodput.name() {
        "give --slo, or ask for another"
    } else if trials().any(|t| t.caveats.iter().any(|c| c.class == CaveatClass::OtherTool)) {
        "import what `vllm bench serve --save-detailed` wrote, or ask for another"
    } else {
        "ask for another"
    };
    format!(
        "no trial has the metric `{metric}`; {remedy} (--minimise, --maximise): {}",
        known.join(", ")
    )
}
