//! `slotune doctor`: whether this machine can start and measure a server.

use std::{env, path::PathBuf, process::ExitCode};

use clap::Args;
use slotune::vllm::{
    Manage, ServerConfiguration, Target,
    doctor::{LimitOptions, Surroundings, examine},
    gpu::{GpuReader, Nvml},
};

use super::{Error, print, progress::Work, study::runtime};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Name or path of the model
    #[arg(long)]
    model: String,
    /// Checks what measuring the server at this address needs, and starts nothing
    #[arg(long, value_name = "URL", conflicts_with_all = ["port", "command"])]
    attach: Option<String>,
    /// Port on 127.0.0.1 for the servers to be started
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Most requests in flight
    #[arg(long, default_value_t = 256)]
    concurrency: u32,
    /// Folder that logs and results will go to
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Prints one JSON object: `checks`, `client`, `chunks_per_second_per_core`, `added_p99_ms`
    #[arg(long)]
    json: bool,
    /// Command that starts the server, after `--` [default: vllm serve MODEL]
    #[arg(last = true)]
    command: Vec<String>,
}

impl Options {
    fn configuration(&self) -> ServerConfiguration {
        match &self.attach {
            Some(base_url) => ServerConfiguration::attach(&self.model, base_url),
            None if self.command.is_empty() => ServerConfiguration::manage(&self.model, self.port),
            None => ServerConfiguration::new(
                &self.model,
                Target::Manage(Manage::new(self.command.clone(), self.port)),
            ),
        }
    }
}

/// Looks at everything; exit status 1 when there is a problem.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let nvml = Nvml::load();
    let surroundings = Surroundings {
        path: env::var_os("PATH"),
        concurrency: options.concurrency,
        folder: options.out.clone(),
        gpus: nvml.as_ref().map(|nvml| nvml as &dyn GpuReader),
    };
    let work = Work::called("looking at this machine");
    let examination = runtime()?.block_on(examine(
        &options.configuration(),
        &surroundings,
        &LimitOptions::default(),
    ));
    drop(work);
    print(&examination, options.json)?;
    Ok(if examination.has_problem() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
