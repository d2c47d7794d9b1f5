//! A real vLLM server as a backend.
//!
//! This crate holds the configuration of such a backend: which server to measure, and how to start
//! one. Starting, loading and measuring it over HTTP is not here yet.
//!
//! ```
//! use slotune_vllm::ServerConfiguration;
//!
//! let json = r#"{
//!     "model": "Qwen/Qwen2.5-7B-Instruct",
//!     "target": { "manage": { "command": ["vllm", "serve", "{model}"], "port": 8000 } }
//! }"#;
//! let configuration: ServerConfiguration = serde_json::from_str(json)?;
//! configuration.check()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod client;
pub mod clock;
pub mod doctor;
pub mod load;
pub mod secret;
pub mod stub;

mod message;

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Which server to measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfiguration {
    /// Name or path of the model, as vLLM takes it.
    pub model: String,
    /// Whether to attach to a server or to start one for each trial.
    pub target: Target,
}

/// Whether to attach to a server or to start one for each trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// Measure a server that somebody else runs; its engine arguments stay as they are.
    Attach {
        /// Root of the server, such as `http://127.0.0.1:8000`.
        base_url: String,
        /// Where the API key is; it is read when needed and never stored.
        #[serde(default)]
        api_key: Option<SecretSource>,
    },
    /// Start a server for each trial and stop it afterwards.
    Manage {
        /// Program and arguments, run without a shell. `{model}` is replaced; the engine
        /// arguments of the trial, `--host` and `--port` follow.
        command: Vec<String>,
        /// Variables to set for the server.
        #[serde(default)]
        environment: BTreeMap<String, String>,
        /// Port on 127.0.0.1.
        port: u16,
        /// Most seconds from start to ready.
        #[serde(default = "default_start_up_limit_s")]
        start_up_limit_s: f64,
    },
}

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// In this environment variable.
    Environment(String),
    /// In this file, without surrounding white space.
    File(PathBuf),
}

/// A cold start of a 7B model takes two minutes; a large one over a slow disk ten.
fn default_start_up_limit_s() -> f64 {
    900.0
}

impl ServerConfiguration {
    /// Checks what can be checked without touching the server.
    ///
    /// # Errors
    /// [`ConfigurationError`] names the field and the remedy.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        let error =
            |field, problem: &str| Err(ConfigurationError { field, problem: problem.to_owned() });
        if self.model.is_empty() {
            return error("model", "is empty; name the model that the server serves");
        }
        match &self.target {
            Target::Attach { base_url, .. }
                if !base_url.starts_with("http://") && !base_url.starts_with("https://") =>
            {
                error("target.attach.base_url", "must begin with http:// or https://")
            }
            Target::Manage { command, .. } if command.is_empty() => {
                error("target.manage.command", "is empty; give [\"vllm\", \"serve\", \"{model}\"]")
            }
            Target::Manage { port: 0, .. } => error("target.manage.port", "is 0; give a free port"),
            Target::Manage { start_up_limit_s, .. }
                if !(start_up_limit_s.is_finite() && *start_up_limit_s > 0.0) =>
            {
                error("target.manage.start_up_limit_s", "must be a number above 0 (seconds)")
            }
            _ => Ok(()),
        }
    }
}

/// A field of the configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct ConfigurationError {
    /// Path of the field.
    pub field: &'static str,
    /// What is wrong with it, and the remedy.
    pub problem: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn managed(command: &[&str], port: u16, start_up_limit_s: f64) -> ServerConfiguration {
        ServerConfiguration {
            model: "m".to_owned(),
            target: Target::Manage {
                command: command.iter().map(ToString::to_string).collect(),
                environment: BTreeMap::new(),
                port,
                start_up_limit_s,
            },
        }
    }

    #[test]
    fn each_unusable_field_is_named() {
        let attached = |base_url: &str| ServerConfiguration {
            model: "m".to_owned(),
            target: Target::Attach { base_url: base_url.to_owned(), api_key: None },
        };
        let table = [
            (managed(&["vllm"], 8000, 900.0), None),
            (attached("https://example.org"), None),
            (attached("example.org"), Some("target.attach.base_url")),
            (managed(&[], 8000, 900.0), Some("target.manage.command")),
            (managed(&["vllm"], 0, 900.0), Some("target.manage.port")),
            (managed(&["vllm"], 8000, f64::NAN), Some("target.manage.start_up_limit_s")),
            (
                ServerConfiguration { model: String::new(), ..managed(&["vllm"], 1, 1.0) },
                Some("model"),
            ),
        ];
        for (configuration, field) in table {
            assert_eq!(configuration.check().err().map(|error| error.field), field);
        }
    }
}
