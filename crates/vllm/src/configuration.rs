//! Which server to measure, and how.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::load::Endpoint;

/// Which server to measure, and how.
///
/// ```
/// use slotune_vllm::ServerConfiguration;
///
/// let configuration: ServerConfiguration = serde_json::from_str(r#"{
///     "model": "Qwen/Qwen2.5-7B-Instruct",
///     "target": { "manage": { "command": ["vllm", "serve", "{model}"], "port": 8000 } }
/// }"#)?;
/// configuration.check()?;
/// assert_eq!(configuration.warm_up_requests, 16);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfiguration {
    /// Name or path of the model, as vLLM takes it.
    pub model: String,
    /// Whether to attach to a server or to start one for each trial.
    pub target: Target,
    /// Where requests go.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// Requests sent before the measurement, all at once: the first ones of a server compile and
    /// allocate, which is no property of the configuration.
    #[serde(default = "default_warm_up_requests")]
    pub warm_up_requests: u32,
    /// Longest wait for the server to become idle before and after the measurement, seconds.
    #[serde(default = "default_drain_limit_s")]
    pub drain_limit_s: f64,
    /// Longest that an open loop may go on after its last arrival, seconds; `None` is as long as
    /// its arrivals took, and a minute at least. A server that would take longer is overloaded.
    #[serde(default)]
    pub overrun_limit_s: Option<f64>,
    /// Longest that a request may be without any byte of an answer, seconds; it has failed then.
    #[serde(default = "default_silence_limit_s")]
    pub silence_limit_s: f64,
}

/// Whether to attach to a server or to start one for each trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Measure a server that somebody else runs; its engine arguments stay as they are.
    Attach(Attach),
    /// Start a server for each trial and stop it afterwards.
    Manage(Manage),
}

/// A server that somebody else runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// Root of the server, such as `http://127.0.0.1:8000`.
    pub base_url: String,
    /// Where the API key is; it is read when needed and never stored.
    #[serde(default)]
    pub api_key: Option<SecretSource>,
}

/// A server that is started on 127.0.0.1 for each trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manage {
    /// Program and arguments, run without a shell. `{model}` is replaced; the engine arguments of
    /// the trial, `--host` and `--port` follow.
    pub command: Vec<String>,
    /// Variables to set for the server on top of the tuner's own. `VLLM_SERVER_DEV_MODE` is `1`
    /// unless it is set here, by which the server tells its resolved arguments and empties its
    /// prefix cache on 127.0.0.1; every user of the machine can ask it then.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Port on 127.0.0.1.
    pub port: u16,
    /// Most seconds from start to ready.
    #[serde(default = "default_start_up_limit_s")]
    pub start_up_limit_s: f64,
    /// Seconds that the server has to end by itself before it is killed.
    #[serde(default = "default_stop_grace_s")]
    pub stop_grace_s: f64,
    /// Folder for the output of each start, `<seed of the trial>-<attempt>.stdout.log` and
    /// `.stderr.log`.
    #[serde(default = "default_log_folder")]
    pub log_folder: PathBuf,
    /// Version of vLLM, such as `0.25.1`; `None` asks the program for its `--version`.
    #[serde(default)]
    pub vllm_version: Option<String>,
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

/// Enough to reach the batch sizes that compile lazily.
fn default_warm_up_requests() -> u32 {
    16
}

/// The longest outputs of a batch end within it on any server worth tuning.
fn default_drain_limit_s() -> f64 {
    60.0
}

/// A prompt may wait for minutes in the queue of an overloaded server.
fn default_silence_limit_s() -> f64 {
    600.0
}

/// A cold start of a 7B model takes two minutes; a large one over a slow disk ten.
fn default_start_up_limit_s() -> f64 {
    900.0
}

/// An idle vLLM ends within a second.
fn default_stop_grace_s() -> f64 {
    10.0
}

fn default_log_folder() -> PathBuf {
    "server-logs".into()
}

impl ServerConfiguration {
    /// Measures the server at `base_url`, which serves `model`.
    pub fn attach(model: impl Into<String>, base_url: impl Into<String>) -> Self {
        Self::new(model, Target::Attach(Attach { base_url: base_url.into(), api_key: None }))
    }

    /// Starts `vllm serve` with `model` on a port of 127.0.0.1 for each trial.
    pub fn manage(model: impl Into<String>, port: u16) -> Self {
        let command = ["vllm", "serve", "{model}"].map(str::to_owned).to_vec();
        Self::new(model, Target::Manage(Manage::new(command, port)))
    }

    /// This target with every option at its default.
    pub fn new(model: impl Into<String>, target: Target) -> Self {
        Self {
            model: model.into(),
            target,
            endpoint: Endpoint::default(),
            warm_up_requests: default_warm_up_requests(),
            drain_limit_s: default_drain_limit_s(),
            overrun_limit_s: None,
            silence_limit_s: default_silence_limit_s(),
        }
    }

    /// Checks what can be checked without touching the server.
    ///
    /// # Errors
    /// [`ConfigurationError`] names the field and the remedy.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        if self.model.is_empty() {
            return error("model", "is empty; name the model that the server serves");
        }
        positive("drain_limit_s", self.drain_limit_s)?;
        positive("silence_limit_s", self.silence_limit_s)?;
        positive("overrun_limit_s", self.overrun_limit_s.unwrap_or(1.0))?;
        match &self.target {
            Target::Attach(Attach { base_url, .. })
                if !base_url.starts_with("http://") && !base_url.starts_with("https://") =>
            {
                error("base_url", "of the server to attach to must begin with http:// or https://")
            }
            Target::Attach(_) => Ok(()),
            Target::Manage(manage) => manage.check(),
        }
    }
}

impl Manage {
    /// This command on this port with every option at its default.
    pub fn new(command: Vec<String>, port: u16) -> Self {
        Self {
            command,
            environment: BTreeMap::new(),
            port,
            start_up_limit_s: default_start_up_limit_s(),
            stop_grace_s: default_stop_grace_s(),
            log_folder: default_log_folder(),
            vllm_version: None,
        }
    }

    fn check(&self) -> Result<(), ConfigurationError> {
        if self.command.is_empty() {
            return error("command", "is empty; give [\"vllm\", \"serve\", \"{model}\"]");
        }
        if self.port == 0 {
            return error("port", "is 0; give a free port");
        }
        positive("start_up_limit_s", self.start_up_limit_s)?;
        positive("stop_grace_s", self.stop_grace_s)
    }
}

fn error(field: &'static str, problem: &str) -> Result<(), ConfigurationError> {
    Err(ConfigurationError { field, problem: problem.to_owned() })
}

/// Longest limit, seconds: a year. A `Duration` overflows far beyond.
const LONGEST_S: f64 = 3.2e7;

fn positive(field: &'static str, seconds: f64) -> Result<(), ConfigurationError> {
    if seconds > 0.0 && seconds <= LONGEST_S {
        return Ok(());
    }
    error(field, "must be a number above 0 and at most a year (seconds)")
}

/// A field of the configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct ConfigurationError {
    /// Name of the field, as in [`ServerConfiguration`], [`Attach`] or [`Manage`].
    pub field: &'static str,
    /// What is wrong with it, and the remedy.
    pub problem: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unusable_field_is_named() {
        type Change = fn(&mut ServerConfiguration);
        fn manage(configuration: &mut ServerConfiguration) -> &mut Manage {
            match &mut configuration.target {
                Target::Manage(manage) => manage,
                Target::Attach(_) => unreachable!("it manages"),
            }
        }
        let attach = ServerConfiguration::attach;
        assert_eq!(attach("m", "https://example.org").check(), Ok(()));
        let no_scheme = attach("m", "example.org").check().map_err(|error| error.field);
        assert_eq!(no_scheme, Err("base_url"));
        let table: [(Option<&str>, Change); 9] = [
            (None, |_| ()),
            (Some("model"), |c| c.model.clear()),
            (Some("drain_limit_s"), |c| c.drain_limit_s = 0.0),
            (Some("silence_limit_s"), |c| c.silence_limit_s = f64::INFINITY),
            (Some("overrun_limit_s"), |c| c.overrun_limit_s = Some(-1.0)),
            (Some("command"), |c| manage(c).command.clear()),
            (Some("port"), |c| manage(c).port = 0),
            (Some("start_up_limit_s"), |c| manage(c).start_up_limit_s = f64::NAN),
            (Some("stop_grace_s"), |c| manage(c).stop_grace_s = 1e300),
        ];
        for (field, change) in table {
            let mut configuration = ServerConfiguration::manage("m", 8000);
            change(&mut configuration);
            assert_eq!(configuration.check().err().map(|error| error.field), field);
        }
    }

    #[test]
    fn what_is_not_given_is_at_its_default_and_typing_errors_are_refused() {
        let json =
            r#"{ "model": "m", "target": { "attach": { "base_url": "http://[::1]:8000" } } }"#;
        let configuration: ServerConfiguration = serde_json::from_str(json).unwrap();
        assert_eq!(configuration, ServerConfiguration::attach("m", "http://[::1]:8000"));
        let error = serde_json::from_str::<ServerConfiguration>(
            r#"{ "model": "m", "target": { "manage": { "command": ["vllm"], "ports": 1 } } }"#,
        );
        assert!(error.unwrap_err().to_string().contains("`port`"));
    }
}
