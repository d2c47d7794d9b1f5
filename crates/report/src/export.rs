//! A configuration as something that starts a server: commands, programs, manifests.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};
use slotune_core::TrialId;
use slotune_results::StoredTrial;
use slotune_serving::{BackendInfo, EngineArguments, Provenance, engine_arguments::ArgumentError};

use crate::week3::{as_run, python, vllm_serve};

/// Port that vLLM serves on by default.
const PORT: u16 = 8000;

/// What a configuration is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A `vllm serve` command for a POSIX shell.
    Vllm,
    /// A Python program that makes the engine.
    Python,
    /// An environment file, for `systemd` or `docker --env-file`.
    Env,
    /// A Kubernetes Deployment, its Service and a claim for what it downloads, YAML.
    Kubernetes,
    /// A file for `docker compose`, YAML.
    Compose,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 5] =
        [Self::Vllm, Self::Python, Self::Env, Self::Kubernetes, Self::Compose];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Python => "python",
            Self::Env => "env",
            Self::Kubernetes => "kubernetes",
            Self::Compose => "compose",
        }
    }
}

/// As its name.
impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| UnknownFormat { name: name.to_owned() })
    }
}

/// No format has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format `{name}`; known are: {}", Format::ALL.map(Format::name).join(", "))]
pub struct UnknownFormat {
    /// The name seen.
    pub name: String,
}

/// A configuration in a format. Displays as its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The study of the trial whose configuration it is.
    pub study: String,
    /// The trial.
    pub trial: TrialId,
    /// What it is written as.
    pub format: Format,
    /// With a line end.
    pub text: String,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The configuration of a trial in a format, with the settings that its numbers hold for.
///
/// # Errors
/// When the trial's configuration holds a name or value that is no engine argument.
pub fn export(
    trial: &StoredTrial,
    backend: &BackendInfo,
    format: Format,
) -> Result<Exported, ArgumentError> {
    let arguments = as_run(trial, backend)?;
    let snippet = Snippet { trial, backend, arguments };
    let text = match format {
        Format::Vllm => {
            format!("{}{}\n", snippet.origin(), vllm_serve(&backend.model, &snippet.arguments))
        }
        Format::Python => {
            format!("{}{}\n", snippet.origin(), python(&backend.model, &snippet.arguments))
        }
        Format::Env => snippet.env(),
        Format::Kubernetes => snippet.kubernetes(),
        Format::Compose => snippet.compose(),
    };
    Ok(Exported { study: trial.study.clone(), trial: trial.entry.trial.id, format, text })
}

struct Snippet<'a> {
    trial: &'a StoredTrial,
    backend: &'a BackendInfo,
    arguments: EngineArguments,
}

/// A string as YAML and JSON both write it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

impl Snippet<'_> {
    /// Comment lines on where the configuration comes from; `#` begins a comment in every format.
    fn origin(&self) -> String {
        let kind = match &self.backend.provenance {
            Provenance::Measured => "measured".to_owned(),
            Provenance::Simulated(calibration) => {
                format!("simulated ({}); confirm it on a real server", calibration.preset)
            }
        };
        let trial = self.trial.entry.trial.id;
        format!("# slotune: trial {trial} of study {}, {kind}\n", self.trial.study)
    }

    /// vLLM's image of the release; builds such as `0.32.0+cpu` have none of their own.
    fn image(&self) -> String {
        let release = self.backend.vllm_version.split('+').next().unwrap_or_default();
        format!("vllm/vllm-openai:v{release}")
    }

    fn gpus(&self) -> u32 {
        self.arguments.tensor_parallel_size.unwrap_or(1)
    }

    /// What follows `vllm serve`.
    fn words(&self) -> Vec<String> {
        std::iter::once(self.backend.model.clone()).chain(self.arguments.flags()).collect()
    }

    /// Variables without quotes, for `docker --env-file` takes quotes as part of the value.
    fn env(&self) -> String {
        // A shell splits the unquoted variable at spaces, and JSON does without them.
        let flags: Vec<String> =
            self.arguments.flags().into_iter().map(|word| word.replace(": ", ":")).collect();
        format!(
            "{}# vllm serve $MODEL $VLLM_FLAGS\nMODEL={}\nVLLM_FLAGS={}\n",
            self.origin(),
            self.backend.model,
            flags.join(" ")
        )
    }

    fn list(&self, indent: &str) -> String {
        let lines: Vec<String> =
            self.words().iter().map(|word| format!("{indent}- {}", Quoted(word))).collect();
        lines.join("\n") + "\n"
    }

    fn kubernetes(&self) -> String {
        format!(
            "{origin}# What was downloaded is there at the next start.
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: huggingface
spec:
  # Replicas on several nodes need ReadWriteMany.
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      # More than the weights of the model take.
      storage: 50Gi
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: vllm
  labels:
    app: vllm
spec:
  replicas: 1
  selector:
    matchLabels:
      app: vllm
  template:
    metadata:
      labels:
        app: vllm
    spec:
      containers:
        - name: vllm
          image: {image}
          # Releases of the image differ in their entry point.
          command: [\"vllm\", \"serve\"]
          args:
{arguments}          ports:
            - name: http
              containerPort: {PORT}
          env:
            # A gated model needs: kubectl create secret generic huggingface --from-literal=token=...
            - name: HF_TOKEN
              valueFrom:
                secretKeyRef:
                  name: huggingface
                  key: token
                  optional: true
          # Loading and compiling take minutes; traffic waits for them.
          startupProbe:
            httpGet:
              path: /health
              port: {PORT}
            periodSeconds: 10
            failureThreshold: 120
          readinessProbe:
            httpGet:
              path: /health
              port: {PORT}
          resources:
            limits:
              nvidia.com/gpu: {gpus}
          volumeMounts:
            - name: huggingface
              mountPath: /root/.cache/huggingface
            - name: shared-memory
              mountPath: /dev/shm
      volumes:
        - name: huggingface
          persistentVolumeClaim:
            claimName: huggingface
        - name: shared-memory
          emptyDir:
            medium: Memory
---
apiVersion: v1
kind: Service
metadata:
  name: vllm
spec:
  selector:
    app: vllm
  ports:
    - name: http
      port: 80
      targetPort: http
",
            origin = self.origin(),
            image = Quoted(&self.image()),
            arguments = self.list("            "),
            gpus = self.gpus(),
        )
    }

    fn compose(&self) -> String {
        format!(
            "{origin}services:
  vllm:
    image: {image}
    # Releases of the image differ in their entry point.
    entrypoint: [\"vllm\", \"serve\"]
    command:
{arguments}    ports:
      - \"{PORT}:{PORT}\"
    environment:
      # That of the shell, where it is set: a gated model needs it.
      - HF_TOKEN
    volumes:
      # What was downloaded is there at the next start.
      - huggingface:/root/.cache/huggingface
    ipc: host
    healthcheck:
      test: [\"CMD\", \"curl\", \"--fail\", \"http://localhost:{PORT}/health\"]
      start_period: 20m
    deploy:
      resources:
        reservations:
          devices:
            - driver: nvidia
              count: {gpus}
              capabilities: [gpu]
volumes:
  huggingface:
",
            origin = self.origin(),
            image = Quoted(&self.image()),
            arguments = self.list("      "),
            gpus = self.gpus(),
        )
    }
}
