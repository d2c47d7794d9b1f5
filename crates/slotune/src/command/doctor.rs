//! `slotune doctor`: whether this machine can start and measure a server.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use serde_json::json;
use slotune::vllm::{
    Manage, ServerConfiguration, Target,
    doctor::{
        Check, ClientLimit, LimitOptions, Status, Surroundings, check_environment, client_limit,
    },
    gpu::{GpuReader, Nvml},
};

use crate::command::Error;

/// Fewest chunks per second and core that a client must be able to read.
const LEAST_CHUNKS_PER_S: f64 = 20_000.0;

/// Most milliseconds that it may read them late (P99).
const LATEST_MS: f64 = 1.0;

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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let nvml = Nvml::load();
    let surroundings = Surroundings {
        path: env::var_os("PATH"),
        concurrency: options.concurrency,
        folder: options.out.clone(),
        gpus: nvml.as_ref().map(|nvml| nvml as &dyn GpuReader),
    };
    let (checks, limit) = runtime.block_on(async {
        let checks = check_environment(&options.configuration(), &surroundings).await;
        (checks, client_limit(&LimitOptions::default()).await)
    });
    let client = client_check(&limit.map_err(|error| error.to_string()));
    let mut out = io::stdout().lock();
    if options.json {
        writeln!(out, "{:#}", as_json(&checks, &client))?;
    } else {
        for check in checks.iter().chain([&client.check]) {
            let status = match check.status {
                Status::Ok => "ok",
                Status::Warning => "warning",
                Status::Problem => "PROBLEM",
            };
            writeln!(out, "{status:8} {:12} {}", check.name, check.message)?;
            if let Some(remedy) = &check.remedy {
                writeln!(out, "{:21} -> {remedy}", "")?;
            }
        }
    }
    let has_problem =
        checks.iter().chain([&client.check]).any(|check| check.status == Status::Problem);
    Ok(if has_problem { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the load generator can take, and whether that is enough.
struct Client {
    limit: Option<ClientLimit>,
    check: Check,
}

fn client_check(limit: &Result<ClientLimit, String>) -> Client {
    let check = |status, message, remedy: Option<&str>| Check {
        name: "client",
        status,
        message,
        remedy: remedy.map(str::to_owned),
    };
    let limit = match limit {
        Ok(limit) => *limit,
        Err(error) => {
            let remedy = "end what else runs on this machine and try again";
            let check = check(Status::Problem, error.clone(), Some(remedy));
            return Client { limit: None, check };
        }
    };
    let message = format!(
        "reads {:.0} chunks/s per core, {:.2} ms late (P99)",
        limit.chunks_per_second_per_core, limit.added_p99_ms
    );
    let is_enough =
        limit.chunks_per_second_per_core >= LEAST_CHUNKS_PER_S && limit.added_p99_ms <= LATEST_MS;
    let check = if is_enough {
        check(Status::Ok, message, None)
    } else {
        let remedy =
            "it should be 20000 and 1 ms: end what else runs here, and build with --release";
        check(Status::Warning, message, Some(remedy))
    };
    Client { limit: Some(limit), check }
}

fn as_json(checks: &[Check], client: &Client) -> serde_json::Value {
    let checks: Vec<&Check> = checks.iter().chain([&client.check]).collect();
    json!({
        "checks": checks,
        "client": client.limit,
        "chunks_per_second_per_core": client.limit.map(|limit| limit.chunks_per_second_per_core),
        "added_p99_ms": client.limit.map(|limit| limit.added_p99_ms),
    })
}
