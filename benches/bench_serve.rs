//! `vllm bench serve`, the client that ours is compared with.

use std::{path::Path, process::Command};

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
