//! The stub as a process, as tests of managed servers start it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use slotune_vllm::client::Client;

/// Cargo builds examples beside the folder of the test binaries.
fn command(arguments: &[&str]) -> Command {
    let test = std::env::current_exe().expect("this test");
    let folder = test.ancestors().nth(2).expect("target/PROFILE").join("examples");
    let mut command = Command::new(folder.join("stub_server"));
    command.args(arguments);
    command
}

fn refusal(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(arguments).output().expect("the example is built");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn it_refuses_what_vllm_refuses_in_its_words() {
    let few = ["serve", "m", "--max-num-batched-tokens", "8", "--max-num-seqs=16"];
    let (status, text) = refusal(&few);
    assert_eq!(status, Some(1));
    let expected = "max_num_batched_tokens (8) must be greater than or equal to max_num_seqs (16).";
    assert!(text.contains(expected), "{text}");
    let (status, text) = refusal(&["serve", "m", "--max-num-seqs", "many"]);
    assert_eq!(status, Some(2));
    assert!(text.contains("argument --max-num-seqs"), "{text}");
}

#[tokio::test]
async fn it_serves_the_model_that_it_was_told() {
    let mut command = command(&["serve", "org/model", "--port", "0", "--enable-prefix-caching"]);
    let mut child = Running(command.stderr(Stdio::piped()).spawn().expect("the example is built"));
    let mut line = String::new();
    let stderr = child.0.stderr.take().expect("piped");
    BufReader::new(stderr).read_line(&mut line).expect("a line");
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL");
    let client = Client::new(url, None).expect("an address");
    let models: Value = client.get_json("/v1/models", Duration::from_secs(10)).await.expect("up");
    assert_eq!(models["data"][0]["id"], "org/model");
}

/// Ends the process with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
