//! The backend: one trial from engine arguments to a run.
//!
//! - [`managed`]: a server that is started for the trial and stopped after it.
//! - [`service`]: a server that answers, whoever started it.
//! - [`measurement`]: warm-up, load, and what the server counted meanwhile.

mod managed;
mod measurement;
mod service;

use std::{future::pending, time::Duration};

use async_trait::async_trait;
use slotune_serving::{
    Backend, BackendError, BackendInfo, Caveat, CaveatClass, EngineArguments, Hardware,
    InfeasibleClass, Progress, Provenance, Run, ServerFacts, Stage, TrialRequest,
};
use tokio::sync::Mutex;

use self::{
    managed::Managed,
    measurement::{Measured, measure},
    service::Service,
};
use crate::{
    Attach, ConfigurationError, ServerConfiguration, Target,
    client::{Client, ClientError},
    clock::now,
    doctor::{VersionError, vllm_version},
    secret::{Secret, SecretError},
};

/// Longest wait for a server that one attaches to.
const ATTACH_WITHIN: Duration = Duration::from_secs(10);

/// Longest wait for `vllm --version`, which imports all of it.
const VERSION_WITHIN: Duration = Duration::from_mins(2);

/// A real vLLM server as a backend: one that is started for each trial, or one that runs already.
///
/// One trial is evaluated at a time, whoever asks.
///
/// ```no_run
/// # async fn tune() -> Result<(), Box<dyn std::error::Error>> {
/// use slotune_vllm::{ServerConfiguration, VllmServer};
/// let server = VllmServer::new(ServerConfiguration::manage("Qwen/Qwen2.5-7B-Instruct", 8000)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct VllmServer {
    configuration: ServerConfiguration,
    info: BackendInfo,
    server: Server,
    /// Held during an evaluation: there is one port and one GPU.
    turn: Mutex<()>,
}

#[derive(Debug)]
enum Server {
    Attached(Client),
    Managed(Box<Managed>),
}

/// Why a server cannot be used as a backend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A field of the configuration cannot work.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The API key cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The server to attach to does not answer as it should.
    #[error("{0}; is the server running, and is this its address?")]
    Client(#[from] ClientError),
    /// The server to attach to cannot be used.
    #[error("{0}")]
    Service(String),
    /// The version of the program that starts servers is not known.
    #[error("{}; {}", .0, remedy(.0))]
    Version(#[from] VersionError),
}

/// What one can do where the version is not known: as `slotune` and the example `tune_vllm` call it, whose
/// fields have the names of [`Manage`](crate::Manage)'s.
fn remedy(error: &VersionError) -> &'static str {
    match error {
        VersionError::Run { .. } => {
            "install vLLM, or give its full path as `command` in `[backend.vllm]` (`-- COMMAND` of \
             tune_vllm); `slotune doctor` checks the machine"
        }
        _ => "give it as `vllm_version` in `[backend.vllm]` (`--vllm-version` of tune_vllm)",
    }
}

impl VllmServer {
    /// Looks at the server to attach to, or asks the program that starts servers for its version.
    ///
    /// # Errors
    /// [`ServerError`] when the configuration cannot work, or no such server or program answers.
    pub async fn new(configuration: ServerConfiguration) -> Result<Self, ServerError> {
        configuration.check()?;
        let (server, vllm_version, hardware) = match &configuration.target {
            Target::Attach(Attach { base_url, api_key }) => {
                let key = api_key.as_ref().map(Secret::read).transpose()?;
                let client = Client::new(base_url, key.as_ref())?;
                let service = Service::meet(&client, &configuration.model)
                    .await
                    .map_err(|error| ServerError::Service(error.to_string()))?;
                // It may run on any machine.
                (Server::Attached(client), service.version, Hardware::default())
            }
            Target::Manage(manage) => {
                let version = match &manage.vllm_version {
                    Some(version) => version.clone(),
                    None => {
                        vllm_version(&manage.command, &manage.environment, VERSION_WITHIN).await?
                    }
                };
                let managed = Managed::new(&configuration.model, manage)?;
                let hardware = managed.hardware();
                (Server::Managed(Box::new(managed)), version, hardware)
            }
        };
        let info = BackendInfo {
            name: "vllm".to_owned(),
            vllm_version,
            model: configuration.model.clone(),
            hardware,
            provenance: Provenance::Measured,
        };
        Ok(Self { configuration, info, server, turn: Mutex::new(()) })
    }

    async fn attached(
        &self,
        client: &Client,
        request: &TrialRequest,
        progress: &dyn Progress,
    ) -> Result<Run, BackendError> {
        let begun = now();
        let failed = |message: String| BackendError::Failed {
            message,
            cost_s: begun.elapsed().as_secs_f64(),
        };
        if request.arguments != EngineArguments::default() {
            return Err(BackendError::Broken {
                message: format!(
                    "the arguments of a server that runs already cannot be set ({}); let slotune start it (target `manage`)",
                    request.arguments.flags().join(" ")
                ),
                cost_s: 0.0,
            });
        }
        progress.stage(Stage::Starting);
        let service = tokio::time::timeout(ATTACH_WITHIN, Service::until_healthy(client)).await;
        service.map_err(|_| failed(format!("{} is not healthy", client.base_url())))?;
        let service = Service::meet(client, &self.configuration.model)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let measured = measure(&service, &self.configuration, request, pending(), progress)
            .await
            .map_err(|error| failed(error.to_string()))?;
        progress.stage(Stage::Stopping);
        // Requests that broke off since the server is gone are no property of it.
        let alive = tokio::time::timeout(ATTACH_WITHIN, Service::until_healthy(client)).await;
        alive.map_err(|_| failed(format!("{} stopped answering", client.base_url())))?;
        Ok(self.run(measured, 0.0, begun.elapsed().as_secs_f64()))
    }

    /// A run of what was measured on a server that took `start_up_s` to start.
    fn run(&self, measured: Measured, start_up_s: f64, cost_s: f64) -> Run {
        let mut caveats = measured.caveats;
        // A build such as `0.32.0+cpu` answers with its release.
        let expected = &self.info.vllm_version;
        if let Some(version) = &measured.server.vllm_version
            && version.split('+').next() != expected.split('+').next()
        {
            caveats.push(Caveat::new(
                CaveatClass::Server,
                format!("vLLM {version} answered, but {expected} was expected"),
            ));
        }
        Run {
            records: measured.records,
            end_s: measured.end_s,
            cost_s,
            server: ServerFacts { start_up_s, ..measured.server },
            timeline: measured.timeline,
            client: Some(measured.client),
            caveats,
        }
    }
}

#[async_trait]
impl Backend for VllmServer {
    fn describe(&self) -> BackendInfo {
        self.info.clone()
    }

    async fn evaluate(
        &self,
        request: &TrialRequest,
        progress: &dyn Progress,
    ) -> Result<Run, BackendError> {
        let _turn = self.turn.lock().await;
        request.arguments.check().map_err(|error| BackendError::Infeasible {
            class: InfeasibleClass::Invalid,
            message: error.to_string(),
            cost_s: 0.0,
        })?;
        match &self.server {
            Server::Attached(client) => self.attached(client, request, progress).await,
            Server::Managed(managed) => managed.evaluate(self, request, progress).await,
        }
    }
}
