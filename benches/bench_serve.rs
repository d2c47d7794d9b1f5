//! `vllm bench serve`, the client that ours is compared with.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde::{Deserialize, Serialize};
use slotune::serving::Schedule;
use slotune_examples::Error;

const RESULT: &str = "bench_serve.json";
const LOG: &str = "bench_serve.stderr.log";

/// The command that loads the server at `base_url` with completions; what to send and what to save
/// is for the caller to add.
///
/// The Python of `venv`, which holds vLLM, runs it. `before` stands between Python and the program,
/// for a script that runs it in turn. `tokenizer` is the folder of any tokenizer.
pub fn bench_serve(
    venv: &Path,
    before: &[&str],
    base_url: &str,
    model: &str,
    tokenizer: &Path,
) -> Command {
    let mut command = Command::new(venv.join("bin/python"));
    command
        .args(before)
        .arg(venv.join("bin/vllm"))
        .args(["bench", "serve", "--backend", "openai", "--endpoint", "/v1/completions"])
        .args(["--base-url", base_url, "--model", model])
        .arg("--tokenizer")
        .arg(tokenizer)
        .args(["--ignore-eos", "--temperature", "0", "--disable-tqdm"])
        .env("HF_HUB_OFFLINE", "1")
        .env("VLLM_NO_USAGE_STATS", "1")
        // With it, every run would compile all of vLLM again.
        .env_remove("PYTHONDONTWRITEBYTECODE");
    command
}

/// A run of `vllm bench serve` that replays a schedule; killed when it is dropped before its end.
#[derive(Debug)]
pub struct BenchServe {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    folder: PathBuf,
}

/// What it measured.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct BenchServeResult {
    /// Prompt tokens of the requests that completed.
    pub total_input_tokens: u64,
    /// Output tokens of the requests that completed.
    pub total_output_tokens: u64,
    /// When each request was sent, in the order of the schedule: seconds of a clock of its own.
    pub start_times: Vec<f64>,
    /// All else, by the names of `vllm bench serve`.
    #[serde(flatten)]
    pub metrics: BTreeMap<String, serde_json::Value>,
}

/// One line of the trace that it replays. It sends the prompts as token ids, so their lengths are
/// exact.
#[derive(Serialize)]
struct TraceLine {
    /// Seconds from the beginning of the run.
    timestamp: f64,
    input_length: u32,
    output_length: u32,
    /// What the prompt is made from: a chunk of tokens for each.
    hash_ids: [usize; 1],
}

impl BenchServe {
    /// Starts `command` of [`bench_serve`] and waits until it begins to measure. Its files go into
    /// `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written or the program not started.
    pub fn begin(mut command: Command, schedule: &Schedule, folder: &Path) -> Result<Self, Error> {
        let trace = schedule.requests.iter().enumerate().map(|(index, request)| {
            serde_json::to_string(&TraceLine {
                timestamp: request.arrival_s,
                input_length: request.prompt_tokens,
                output_length: request.output_tokens,
                hash_ids: [index],
            })
        });
        let trace_path = folder.join("trace.jsonl");
        fs::write(&trace_path, trace.collect::<Result<Vec<_>, _>>()?.join("\n"))?;
        let mut child = command
            .args(["--dataset-name", "timed_trace", "--dataset-path"])
            .arg(trace_path)
            // Longer than any prompt, so that one chunk is all of it.
            .args(["--timed-trace-chunk-hash-size", "10000000"])
            .args(["--num-prompts", &schedule.requests.len().to_string()])
            .args(["--save-result", "--save-detailed", "--result-filename", RESULT])
            .arg("--result-dir")
            .arg(folder)
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.join(LOG))?)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("vllm bench serve has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        // Where it ends before, its status tells so.
        lines.find(|line| {
            line.as_ref().is_ok_and(|line| line.starts_with("Starting main benchmark run"))
        });
        Ok(Self { child, lines, folder: folder.to_owned() })
    }

    /// Waits until it has ended, and reads its result.
    ///
    /// # Errors
    /// When it failed or its result cannot be read.
    pub fn end(mut self) -> Result<BenchServeResult, Error> {
        for line in self.lines.by_ref() {
            line?;
        }
        let status = self.child.wait()?;
        if !status.success() {
            let log = self.folder.join(LOG);
            return Err(format!("vllm bench serve ended ({status}); see {}", log.display()).into());
        }
        Ok(serde_json::from_slice(&fs::read(self.folder.join(RESULT))?)?)
    }
}

impl Drop for BenchServe {
    fn drop(&mut self) {
        // Neither does anything to one that has ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
