//! A server that is started for one trial and stopped after it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitStatus,
    time::{Duration, Instant},
};

use slotune_serving::{
    BackendError, Caveat, CaveatClass, Hardware, InfeasibleClass, Progress, Run, Stage,
    TrialRequest,
};
use tokio::sync::oneshot;

use super::{
    ServerError, VllmServer,
    measurement::{Measured, measure},
    service::Service,
};
use crate::{
    Manage,
    client::Client,
    clock::now,
    failure::{Evidence, Phase, Verdict, classify},
    gpu::{Gpu, GpuReader, Nvml, visible, wait_until_free},
    process::{Launch, ProcessError, ServerProcess},
};

/// Most bytes of each log; a server that writes more repeats itself.
const LOG_LIMIT_BYTES: u64 = 256 << 20;

/// Bytes at the end of each log that are read for the cause of a failure.
const TAIL_BYTES: u64 = 1 << 20;

/// Longest wait for the GPU's memory to be free after a stop.
const GPU_FREE: Duration = Duration::from_mins(1);

/// Longest wait for a server that stopped serving to end. vLLM 0.32.0 takes 5 s after its engine died
/// (`tests/data/load-failures/engine-gone.stdout.log`).
const DYING: Duration = Duration::from_secs(30);

/// Times that a crash under load must happen to be believed.
const CRASHES: u32 = 2;

/// How servers are started.
#[derive(Debug)]
pub(super) struct Managed {
    manage: Manage,
    model: String,
    address: SocketAddr,
    client: Client,
    /// `None` where there is no NVIDIA driver.
    nvml: Option<Nvml>,
}

impl Managed {
    pub(super) fn new(model: &str, manage: &Manage) -> Result<Self, ServerError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, manage.port));
        let client = Client::new(&format!("http://{address}"), None)?;
        let (manage, model) = (manage.clone(), model.to_owned());
        Ok(Self { manage, model, address, client, nvml: Nvml::load() })
    }

    /// Evaluates a trial, once more when its server crashed under load.
    pub(super) async fn evaluate(
        &self,
        server: &VllmServer,
        request: &TrialRequest,
        progress: &dyn Progress,
    ) -> Result<Run, BackendError> {
        let begun = now();
        let cost_s = || begun.elapsed().as_secs_f64();
        let mut crashes = 0;
        loop {
            match self.attempt(server, request, begun, progress).await {
                Err(Verdict::Infeasible { class: InfeasibleClass::CrashUnderLoad, .. })
                    if crashes + 1 < CRASHES =>
                {
                    crashes += 1;
                }
                result => return result.map_err(|verdict| verdict.into_error(cost_s())),
            }
        }
    }

    async fn attempt(
        &self,
        server: &VllmServer,
        request: &TrialRequest,
        begun: Instant,
        progress: &dyn Progress,
    ) -> Result<Run, Verdict> {
        progress.stage(Stage::Starting);
        let before = self.gpus();
        let gpu_is_shared = self.nvml.as_ref().map(|_| before.iter().any(Gpu::is_held));
        let launch = self.launch(request);
        let started = now();
        let mut process = ServerProcess::start(&launch).map_err(Verdict::from)?;
        let mut start_up_s = 0.0;
        let served = async {
            let service = self.ready(&mut process, server, gpu_is_shared).await?;
            start_up_s = started.elapsed().as_secs_f64();
            match self.serve(&mut process, server, &service, request, progress).await? {
                Some(measured) => Ok(measured),
                None => Err(self.why(&mut process, Phase::Load, server, gpu_is_shared).await),
            }
        };
        let served = served.await;
        progress.stage(Stage::Stopping);
        let grace = Duration::from_secs_f64(self.manage.stop_grace_s);
        let stopped = process.stop(grace).await;
        let measured = served?;
        stopped.map_err(Verdict::from)?;
        if let Some(nvml) = &self.nvml {
            wait_until_free(nvml, &before, GPU_FREE)
                .await
                .map_err(|error| Verdict::Failed { message: error.to_string() })?;
        }
        let mut run = server.run(measured, start_up_s, begun.elapsed().as_secs_f64());
        if gpu_is_shared == Some(true) {
            run.caveats.push(Caveat::new(
                CaveatClass::Shared,
                "other processes held memory of the GPU during the run",
            ));
        }
        Ok(run)
    }

    /// The machine that serves, as far as its driver tells.
    pub(super) fn hardware(&self) -> Hardware {
        self.nvml.as_ref().map_or_else(Hardware::default, |nvml| nvml.hardware(&self.gpus()))
    }

    /// The GPUs that a server sees.
    fn gpus(&self) -> Vec<Gpu> {
        const LIST: &str = "CUDA_VISIBLE_DEVICES";
        #[expect(clippy::disallowed_methods, reason = "a server inherits the tuner's environment")]
        let inherited = || std::env::var(LIST).ok();
        let list = self.manage.environment.get(LIST).cloned().or_else(inherited);
        let gpus = self.nvml.as_ref().and_then(|nvml| nvml.read().ok()).unwrap_or_default();
        visible(gpus, list.as_deref())
    }

    fn launch(&self, request: &TrialRequest) -> Launch {
        let mut command: Vec<String> =
            self.manage.command.iter().map(|word| word.replace("{model}", &self.model)).collect();
        command.extend(["--host".to_owned(), self.address.ip().to_string()]);
        command.extend(["--port".to_owned(), self.address.port().to_string()]);
        command.extend(request.arguments.flags());
        let mut environment = self.manage.environment.clone();
        environment.entry("VLLM_SERVER_DEV_MODE".to_owned()).or_insert_with(|| "1".to_owned());
        Launch {
            command,
            environment,
            address: self.address,
            log: self.log(request.seed),
            log_limit_bytes: LOG_LIMIT_BYTES,
        }
    }

    /// Where a start logs to: the next attempt at this trial of which no log is there.
    fn log(&self, seed: u64) -> PathBuf {
        let stem = |attempt: u32| format!("{seed:016x}-{attempt}");
        let is_new = |attempt: &u32| {
            let file = format!("{}.stdout.log", stem(*attempt));
            !self.manage.log_folder.join(file).exists()
        };
        let attempt = (1..u32::MAX).find(is_new).unwrap_or(u32::MAX);
        self.manage.log_folder.join(stem(attempt))
    }

    /// Waits until the server serves.
    async fn ready(
        &self,
        process: &mut ServerProcess,
        server: &VllmServer,
        gpu_is_shared: Option<bool>,
    ) -> Result<Service, Verdict> {
        let limit_s = self.manage.start_up_limit_s;
        let meet = async {
            Service::until_healthy(&self.client).await;
            Service::meet(&self.client, &self.model).await
        };
        let ended = tokio::select! {
            service = meet => match service {
                Ok(service) => return Ok(service),
                // A server that dies at its first request is told by its log.
                Err(error) => self
                    .dies(process)
                    .await
                    .ok_or_else(|| Verdict::Broken { message: error.to_string() })?,
            },
            ended = process.exited() => ended,
            () = tokio::time::sleep(Duration::from_secs_f64(limit_s)) => {
                return Err(Verdict::Failed {
                    message: format!(
                        "the server was not ready within {limit_s} s; see {}, or raise `start_up_limit_s`",
                        process.logs().stdout.display()
                    ),
                });
            }
        };
        ended.map_err(Verdict::from)?;
        Err(self.why(process, Phase::StartUp, server, gpu_is_shared).await)
    }

    /// Measures the server; `None` when it ended by itself meanwhile.
    async fn serve(
        &self,
        process: &mut ServerProcess,
        server: &VllmServer,
        service: &Service,
        request: &TrialRequest,
        progress: &dyn Progress,
    ) -> Result<Option<Measured>, Verdict> {
        let (tell_gone, gone) = oneshot::channel::<()>();
        let gone = async {
            let _ = gone.await;
        };
        let measuring = measure(service, &server.configuration, request, gone, progress);
        let mut measuring = std::pin::pin!(measuring);
        let measured = tokio::select! {
            measured = &mut measuring => measured,
            ended = process.exited() => {
                ended.map_err(Verdict::from)?;
                let _ = tell_gone.send(());
                let _ = measuring.await;
                return Ok(None);
            }
        };
        let measured = measured.map_err(|error| Verdict::Failed { message: error.to_string() })?;
        // The engine may be dead while the API server still ends.
        let lost = measured.records.iter().any(|record| !record.is_completed());
        if lost && self.dies(process).await.is_some() {
            return Ok(None);
        }
        Ok(Some(measured))
    }

    /// How a server that failed requests ended, or nothing when it lives: `/health` of one whose
    /// engine died answers 503 until it ends.
    async fn dies(&self, process: &mut ServerProcess) -> Option<Result<ExitStatus, ProcessError>> {
        tokio::select! {
            ended = process.exited() => Some(ended),
            () = Service::until_healthy(&self.client) => None,
            () = tokio::time::sleep(DYING) => None,
        }
    }

    /// Why a server ended by itself.
    async fn why(
        &self,
        process: &mut ServerProcess,
        phase: Phase,
        server: &VllmServer,
        gpu_is_shared: Option<bool>,
    ) -> Verdict {
        let exit = process.exited().await.ok();
        let (stdout, stderr) = process.logs().tails(TAIL_BYTES);
        classify(&Evidence {
            exit,
            stdout: &stdout,
            stderr: &stderr,
            phase,
            gpu_is_shared,
            version: Some(&server.info.vllm_version),
            log: &process.logs().stdout,
        })
    }
}
