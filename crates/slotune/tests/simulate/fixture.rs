//! A request list in a folder, and the command run on it.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

const HEADER: &str = "arrival_s,input_tokens,output_tokens\n";

/// A folder with a file of requests.
pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) requests: PathBuf,
}

impl Fixture {
    /// With 150 requests in five seconds.
    pub(crate) fn new() -> Self {
        let rows: Vec<String> = (0..150)
            .map(|index| {
                let arrival_s = f64::from(index) / 30.0;
                format!("{arrival_s},{},{}", 50 + 13 * index % 700, 20 + 7 * index % 150)
            })
            .collect();
        Self::with(&rows.join("\n"))
    }

    /// With these rows.
    pub(crate) fn with(rows: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let requests = folder.path().join("requests.csv");
        fs::write(&requests, format!("{HEADER}{rows}\n")).expect("it can be written");
        Self { folder, requests }
    }

    /// The H100 with Qwen2.5-7B, and these arguments.
    pub(crate) fn simulate(&self, arguments: &[&str]) -> Output {
        self.simulate_on("h100-sxm", "qwen2.5-7b", arguments)
    }

    pub(crate) fn simulate_on(&self, gpu: &str, model: &str, arguments: &[&str]) -> Output {
        let requests = self.requests.to_str().expect("a plain path");
        let given = ["--gpu", gpu, "--model", model, "--requests", requests];
        slotune(&[&given, arguments].concat())
    }
}

pub(crate) fn slotune(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slotune"));
    command.arg("simulate").args(arguments).output().expect("it runs")
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}
