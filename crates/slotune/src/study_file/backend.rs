//! The backend of a study file: a simulated server or a real one.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use slotune_core::{Parameter, Rule};
use slotune_serving::{Backend, EngineArguments};
use slotune_sim::{
    CacheState, GpuPreset, ModelPreset, Noise, PresetError, ServerModel, Simulator, names_a_file,
};
use slotune_vllm::{Manage, ServerConfiguration, ServerError, Target, VllmServer};

use super::FieldError;

/// What evaluates a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackendTable {
    /// The simulator, in this process: no GPU, no server, seconds for a study.
    Simulator(SimulatorTable),
    /// A real vLLM server on this machine, started for each trial.
    Vllm(VllmTable),
}

/// A simulated vLLM server on one GPU. Each trial finds a machine that has compiled nothing yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatorTable {
    /// The GPU: a name of `slotune simulate --list`, or a file of one's own: a path that ends in `.toml` or
    /// has a folder in it; a relative one starts at the study file. Only
    /// `h100-sxm` was measured, the others are estimates from the literature.
    pub gpu: String,
    /// The model served: likewise.
    pub model: String,
    /// Whether repeated trials of one configuration differ.
    pub noise: NoiseName,
}

/// How much simulated times vary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoiseName {
    /// Not at all.
    #[default]
    None,
    /// As on the measured server.
    Measured,
}

/// A real vLLM server on this machine, started for each trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VllmTable {
    /// Name or path of the model, as vLLM takes it.
    pub model: String,
    /// Program and arguments, run without a shell. `{model}` is replaced; the engine arguments of
    /// the trial, `--host` and `--port` follow.
    #[serde(default = "vllm_serve")]
    pub command: Vec<String>,
    /// Port on 127.0.0.1.
    #[serde(default = "vllm_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Variables to set for the server on top of the tuner's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Version of vLLM, such as `0.25.1`; left out, the program is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vllm_version: Option<String>,
    /// Requests sent before each measurement; left out, 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up_requests: Option<u32>,
    /// Most seconds from start to ready; left out, as `slotune_vllm::Manage` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_up_limit_s: Option<f64>,
}

impl Default for SimulatorTable {
    /// The server that was measured, without noise.
    fn default() -> Self {
        Self { gpu: "h100-sxm".into(), model: "qwen2.5-7b".into(), noise: NoiseName::None }
    }
}

fn vllm_serve() -> Vec<String> {
    ["vllm", "serve", "{model}"].map(str::to_owned).to_vec()
}

fn vllm_port() -> u16 {
    8000
}

impl BackendTable {
    /// Has the relative paths of presets start at `folder`.
    pub(super) fn start_paths_at(&mut self, folder: &Path) {
        let Self::Simulator(SimulatorTable { gpu, model, .. }) = self else { return };
        for preset in [gpu, model] {
            if names_a_file(preset) {
                *preset = folder.join(&*preset).to_string_lossy().into_owned();
            }
        }
    }

    /// What can be known of the server without starting it.
    pub(super) fn check(&self) -> Result<(), FieldError> {
        match self {
            Self::Simulator(table) => table.server().map(drop),
            Self::Vllm(table) => table
                .configuration(Path::new(""))
                .check()
                .map_err(|error| FieldError::new(["backend", "vllm", error.field], error.problem)),
        }
    }

    /// The rules of vLLM that hold whatever the server turns out to be. A simulated server is known
    /// beforehand; of a real one, defaults and the longest context are not, and what it refuses the
    /// search learns from its answer.
    pub(crate) fn rules(
        &self,
        parameters: &[Parameter],
        fixed: &EngineArguments,
    ) -> Result<Vec<Rule>, FieldError> {
        match self {
            Self::Simulator(table) => Ok(fixed.rules(parameters, &table.server()?.environment())),
            Self::Vllm(_) => {
                let (seqs, tokens) = ("max_num_seqs", "max_num_batched_tokens");
                let searched = |name| parameters.iter().any(|p| p.name() == name);
                let both = searched(seqs) && searched(tokens);
                Ok(both.then(|| Rule::at_least(tokens, seqs)).into_iter().collect())
            }
        }
    }

    /// The backend; a real server writes its logs under `logs`.
    pub(crate) async fn start(&self, logs: &Path) -> Result<Arc<dyn Backend>, BackendStartError> {
        match self {
            Self::Simulator(table) => {
                let noise = match table.noise {
                    NoiseName::None => Noise::none(),
                    NoiseName::Measured => Noise::measured(),
                };
                // A trial depends on its configuration alone, so that an interrupted study goes on
                // as if it had not been.
                let simulator = Simulator::new(table.server()?)
                    .with_noise(noise)
                    .with_cache_reset_to(CacheState::cold());
                Ok(Arc::new(simulator))
            }
            Self::Vllm(table) => Ok(Arc::new(VllmServer::new(table.configuration(logs)).await?)),
        }
    }
}

/// Why a backend of a study file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendStartError {
    /// A field of the study file.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The real server, or what starts it.
    #[error(transparent)]
    Server(#[from] ServerError),
}

impl SimulatorTable {
    fn server(&self) -> Result<ServerModel, FieldError> {
        let at = |field| {
            move |error: PresetError| {
                FieldError::new(["backend", "simulator", field], error.to_string())
            }
        };
        let gpu = GpuPreset::load(&self.gpu).map_err(at("gpu"))?;
        let model = ModelPreset::load(&self.model).map_err(at("model"))?;
        Ok(gpu.server(model.shape))
    }
}

impl VllmTable {
    fn configuration(&self, logs: &Path) -> ServerConfiguration {
        let mut manage = Manage::new(self.command.clone(), self.port);
        manage.environment.clone_from(&self.environment);
        manage.vllm_version.clone_from(&self.vllm_version);
        logs.clone_into(&mut manage.log_folder);
        if let Some(limit_s) = self.start_up_limit_s {
            manage.start_up_limit_s = limit_s;
        }
        let mut configuration = ServerConfiguration::new(&self.model, Target::Manage(manage));
        if let Some(requests) = self.warm_up_requests {
            configuration.warm_up_requests = requests;
        }
        configuration
    }
}
