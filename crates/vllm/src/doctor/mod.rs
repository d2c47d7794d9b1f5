//! Checks of the machine before a study, as data: what is looked at, what was found, and the remedy.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::{Serialize, Serializer, ser::SerializeStruct};

mod client;
mod command;
mod limit;
mod machine;
mod model;

pub use command::{VersionError, vllm_version};
pub use limit::{ClientLimit, LimitError, LimitOptions, client_limit};

use crate::{Manage, ServerConfiguration, Target, gpu::GpuReader, process};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub status: Status,
    /// What was found.
    pub message: String,
    /// What to do about it; nothing where all is well.
    pub remedy: Option<String>,
}

/// Whether a thing is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All is well.
    Ok,
    /// A study can run, with results that may disappoint.
    Warning,
    /// A study cannot run.
    Problem,
}

impl Check {
    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, message: message.into(), remedy: None }
    }

    fn warning(name: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (message, remedy) = (message.into(), Some(remedy.into()));
        Self { name, status: Status::Warning, message, remedy }
    }

    fn problem(name: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Problem, ..Self::warning(name, message, remedy) }
    }
}

/// What the checks need to know beside the configuration.
pub struct Surroundings<'a> {
    /// The tuner's own `PATH`.
    pub path: Option<OsString>,
    /// Most requests in flight.
    pub concurrency: u32,
    /// Folder of logs and results; need not exist.
    pub folder: PathBuf,
    /// The GPUs, or nothing where there is no NVIDIA driver.
    pub gpus: Option<&'a dyn GpuReader>,
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("path", &self.path)
            .field("concurrency", &self.concurrency)
            .field("folder", &self.folder)
            .field("gpus", &self.gpus.is_some())
            .finish()
    }
}

/// What was looked at. As JSON, one object: `checks`, the `client`'s limit, and of that again
/// `chunks_per_second_per_core` and `added_p99_ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct Examination {
    /// In the order in which they were made.
    pub checks: Vec<Check>,
    /// How much the load generator can take; `None` where it could not be measured.
    pub client: Option<ClientLimit>,
}

/// Looks at everything that a study with this configuration needs, and tries the load generator. Starts
/// nothing but `vllm --version`, which takes some ten seconds.
pub async fn examine(
    configuration: &ServerConfiguration,
    surroundings: &Surroundings<'_>,
    options: &LimitOptions,
) -> Examination {
    let mut checks = check_environment(configuration, surroundings).await;
    let limit = client_limit(options).await;
    checks.push(client::check(&limit));
    Examination { checks, client: limit.ok() }
}

impl Examination {
    /// Whether a study cannot run.
    pub fn has_problem(&self) -> bool {
        self.checks.iter().any(|check| check.status == Status::Problem)
    }
}

impl Serialize for Examination {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let client = self.client.as_ref();
        let mut object = serializer.serialize_struct("Examination", 4)?;
        object.serialize_field("checks", &self.checks)?;
        object.serialize_field("client", &client)?;
        object.serialize_field(
            "chunks_per_second_per_core",
            &client.map(|limit| limit.chunks_per_second_per_core),
        )?;
        object.serialize_field("added_p99_ms", &client.map(|limit| limit.added_p99_ms))?;
        object.end()
    }
}

/// A line for each check, and one for its remedy.
impl fmt::Display for Examination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { name, status, message, remedy } in &self.checks {
            let status = match status {
                Status::Ok => "ok",
                Status::Warning => "warning",
                Status::Problem => "PROBLEM",
            };
            writeln!(f, "{status:8} {name:12} {message}")?;
            if let Some(remedy) = remedy {
                writeln!(f, "{:21} -> {remedy}", "")?;
            }
        }
        Ok(())
    }
}

async fn check_environment(
    configuration: &ServerConfiguration,
    surroundings: &Surroundings<'_>,
) -> Vec<Check> {
    let mut checks = vec![];
    if let Err(error) = configuration.check() {
        checks.push(Check::problem("configuration", error.to_string(), "correct the field"));
    }
    if let Target::Manage(Manage { command, environment, port, .. }) = &configuration.target {
        let path =
            environment.get("PATH").map(OsString::from).or_else(|| surroundings.path.clone());
        let program = command::check_program(command, path.as_deref());
        let found = program.status == Status::Ok;
        checks.push(program);
        if found {
            checks.push(command::check_version(command, environment).await);
        }
        checks.push(model::check(&configuration.model));
        checks.push(check_port(*port));
        checks.extend(check_gpus(surroundings.gpus, environment));
    }
    checks.push(machine::check_open_files(surroundings.concurrency));
    checks.push(machine::check_disk(&surroundings.folder));
    checks
}

fn check_port(port: u16) -> Check {
    match process::port::check_free(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
        Ok(()) => Check::ok("port", format!("{port} is free")),
        Err(error) => {
            let remedy = "give a free one: --port here, `port` in `[backend.vllm]` of a study file";
            Check::problem("port", error.to_string(), remedy)
        }
    }
}

fn check_gpus(gpus: Option<&dyn GpuReader>, environment: &BTreeMap<String, String>) -> Vec<Check> {
    let Some(reader) = gpus else {
        let message = "no NVIDIA driver here";
        return vec![Check::warning(
            "gpu",
            message,
            "install the driver, unless vLLM runs on the CPU",
        )];
    };
    let gpus = match reader.read() {
        Ok(gpus) => gpus,
        Err(error) => return vec![Check::problem("gpu", error.to_string(), "run `nvidia-smi`")],
    };
    let gpus =
        crate::gpu::visible(gpus, environment.get("CUDA_VISIBLE_DEVICES").map(String::as_str));
    if gpus.is_empty() {
        let remedy = "correct CUDA_VISIBLE_DEVICES in `environment` of `[backend.vllm]`";
        return vec![Check::problem("gpu", "the server would see no GPU", remedy)];
    }
    gpus.iter()
        .map(|gpu| {
            let found = format!(
                "{} {}: {:.1} of {:.1} GiB in use",
                gpu.index,
                gpu.name,
                gpu.memory_used_gib(),
                gpu.memory_total_gib()
            );
            if gpu.is_held() {
                let pids: Vec<String> =
                    gpu.processes.iter().map(|process| process.pid.to_string()).collect();
                let by = if pids.is_empty() { "unseen".to_owned() } else { pids.join(", ") };
                let message = format!("{found} by other processes ({by})");
                Check::warning("gpu", message, "stop them: they disturb the measurement")
            } else {
                Check::ok("gpu", found)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{Gpu, GpuError, GpuProcess};

    struct Fixed(Vec<Gpu>);

    impl GpuReader for Fixed {
        fn read(&self) -> Result<Vec<Gpu>, GpuError> {
            Ok(self.0.clone())
        }
    }

    fn gpu(used_gib: u64, pids: &[u32]) -> Gpu {
        Gpu {
            index: 0,
            uuid: "GPU-0".to_owned(),
            name: "H100".to_owned(),
            memory_total_bytes: 80 << 30,
            memory_used_bytes: used_gib << 30,
            processes: pids
                .iter()
                .map(|pid| GpuProcess { pid: *pid, memory_bytes: None })
                .collect(),
        }
    }

    #[test]
    fn gpus_of_others_are_warned_of() {
        let check = |gpus: Vec<Gpu>, visible: Option<&str>| {
            let environment = visible
                .map(|list| ("CUDA_VISIBLE_DEVICES".to_owned(), list.to_owned()))
                .into_iter()
                .collect();
            check_gpus(Some(&Fixed(gpus)), &environment).remove(0)
        };
        assert_eq!(check(vec![gpu(0, &[])], None).status, Status::Ok);
        let held = check(vec![gpu(40, &[71])], None);
        assert_eq!(held.status, Status::Warning);
        assert!(held.message.contains("40.0 of 80.0 GiB") && held.message.contains("71"));
        assert_eq!(check(vec![gpu(0, &[])], Some("1")).status, Status::Problem);
        assert_eq!(check_gpus(None, &BTreeMap::new())[0].status, Status::Warning);
    }

    #[test]
    fn a_taken_port_is_a_problem() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(check_port(port).status, Status::Problem);
        drop(listener);
        assert_eq!(check_port(port).status, Status::Ok);
    }

    #[tokio::test]
    async fn all_checks_of_a_managed_server_come_in_order_and_serialise() {
        let folder = tempfile::tempdir().unwrap();
        let command = ["no-such-program-anywhere", "serve"].map(str::to_owned).to_vec();
        let configuration = ServerConfiguration::new(
            folder.path().join("model").to_str().unwrap(),
            Target::Manage(Manage::new(command, 1)),
        );
        let surroundings = Surroundings {
            path: None,
            concurrency: 1,
            folder: folder.path().join("logs/deep"),
            gpus: None,
        };
        let checks = check_environment(&configuration, &surroundings).await;
        let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
        assert_eq!(names, ["command", "model", "port", "gpu", "open files", "disk"]);
        let json = serde_json::to_value(&checks).unwrap();
        assert_eq!(json[0]["status"], "problem");
        assert!(json[0]["remedy"].is_string());
    }
}
