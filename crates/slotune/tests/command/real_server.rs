//! A study of a server that is started for each trial: a stub in the place of `vllm serve`.

#![cfg(unix)]

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Output,
};

use slotune::{results::ResultSet, serving::Provenance};

use super::{ok, slotune, stderr, stdout};

/// The stub, which cargo builds beside the folder of the test binaries.
fn stub() -> PathBuf {
    let test = std::env::current_exe().expect("it runs");
    let path = test.ancestors().nth(2).expect("target/PROFILE").join("examples/stub_vllm");
    assert!(path.exists(), "{} is not built; run `cargo build --examples`", path.display());
    path
}

/// A study of the stub with more words on its command line.
fn write_study(folder: &Path, port: u16, more: &str) {
    let text = format!(
        "[space.max_num_seqs]\nrange = [1, 64]\nlog = true\n\
         [space.max_num_batched_tokens]\nrange = [32, 2048]\n\
         [objective]\nminimise = \"e2e_p95_s\"\n\
         [constraints]\ncompleted_share = {{ at_least = 0.9 }}\n\
         [workload.synthetic]\nrate_per_s = 20\nprompt_tokens = [16, 32]\noutput_tokens = [4, 12]\n\
         requests = 12\n\
         [backend.vllm]\nmodel = \"tiny\"\ncommand = [\"{}\", \"serve\", \"{{model}}\"{more}]\n\
         port = {port}\nvllm_version = \"0.25.1\"\nwarm_up_requests = 1\n\
         [budget]\ntrials = 3\n",
        stub().display()
    );
    fs::write(folder.join("study.toml"), text).expect("the folder is writable");
}

/// A port that nobody has, as far as one can know.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

#[test]
fn a_real_server_is_started_for_each_trial_and_its_numbers_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let port = free_port();
    write_study(here, port, "");
    // A machine that is busy with other tests may be in the way of the client, which is an error of
    // the default; started again, the study goes on.
    let tune = || slotune(here, &["tune", "study.toml", "--json"]);
    let is_final = |output: &Output| !stderr(output).contains("start again");
    let output = (0..5).map(|_| tune()).find(is_final).expect("a quiet moment in five");
    assert!(output.status.success(), "{}", stderr(&output));
    let advice: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!((&advice["simulated"], &advice["complete"]), (&false.into(), &true.into()));

    let set = ResultSet::read(here.join("study-results")).unwrap().set;
    assert_eq!(set.manifest.backend.provenance, Provenance::Measured);
    assert_eq!(set.manifest.backend.model, "tiny");
    assert_eq!((set.study("reference").count(), set.study("search").count()), (1, 3));
    let rules: Vec<String> = set.manifest.space.rules().iter().map(ToString::to_string).collect();
    assert_eq!(rules, ["max_num_batched_tokens >= max_num_seqs"]);
    let logs = fs::read_dir(here.join("study-results/logs")).unwrap().count();
    assert!(logs >= 2 * 4, "standard output and error of each start: {logs}");
    TcpListener::bind(("127.0.0.1", port)).expect("no server is left");
    let command = ok(here, &["export", "study-results"]);
    assert!(command.contains("vllm serve tiny "), "{command}");
}

#[test]
fn a_server_that_cannot_be_started_ends_the_study_and_nothing_is_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_study(here, free_port(), ", \"--stub-no-such-flag\", \"1\"");
    let output = slotune(here, &["tune", "study.toml"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    let message = stderr(&output);
    assert!(message.starts_with("error: the default could not be measured"), "{message}");
    assert!(message.contains("--stub-no-such-flag"), "{message}");
    assert!(message.contains("study-results/logs"), "{message}");
    let set = ResultSet::read(here.join("study-results")).unwrap().set;
    assert_eq!(set.study("search").count(), 0);
}
