//! `slotune import`: results of other load generators as a result set.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use slotune::{
    core::{Configuration, Objective, Value},
    import::{ImportOptions, Source, import, parse_parameter},
    report::inquiry::retargeted,
    results::{BASELINE, DEFAULT},
};

use super::{Error, print, progress::Work, study::command_line, targets::Targets};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// JSON files that another tool saved; after a colon, engine arguments of that file's server
    #[arg(value_name = "FILE[:NAME=VALUE,...]", required_unless_present_any = ["baseline", "default"])]
    files: Vec<Source>,
    /// The file to compare with: what you have today
    #[arg(long, value_name = "FILE[:NAME=VALUE,...]")]
    baseline: Option<Source>,
    /// The file that was measured on vLLM as it comes
    #[arg(long, value_name = "FILE[:NAME=VALUE,...]")]
    default: Option<Source>,
    /// Folder for the result set, which must be empty or absent
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// An engine argument that all servers had, unless their file says otherwise
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_parameter)]
    parameter: Vec<(String, Value)>,
    /// The version of vLLM that served, such as 0.25.1
    #[arg(long, value_name = "VERSION")]
    vllm_version: Option<String>,
    /// The GPU that served
    #[arg(long, value_name = "NAME")]
    gpu: Option<String>,
    #[command(flatten)]
    targets: Targets,
    /// Prints one JSON object: `folder`, `trials`, `notes`
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let references = [(&options.baseline, BASELINE), (&options.default, DEFAULT)];
    let references = references.into_iter().filter_map(|(source, label)| {
        let source = source.clone()?;
        Some(source.labelled(label))
    });
    let sources: Vec<Source> = references.chain(options.files.iter().cloned()).collect();
    let goal = options.targets.goal();
    let given = ImportOptions {
        parameters: options
            .parameter
            .iter()
            .fold(Configuration::new(), |all, (name, value)| all.with(name, value.clone())),
        objective: retargeted(&Objective::minimise("e2e_p95_s"), goal, &options.targets.bounds()),
        vllm_version: options.vllm_version.clone(),
        gpu: options.gpu.clone(),
        command: command_line(),
    };
    let work = Work::called("reading the files");
    let imported = import(&sources, &given, &options.out)?;
    drop(work);
    print(&imported, options.json)?;
    Ok(ExitCode::SUCCESS)
}
