//! The command, run as a user runs it, on a stored result set.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

fn stored_set() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../results/tests/fixtures/v1")
}

fn slotune(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_slotune")).args(arguments).output().expect("it runs")
}

#[test]
fn recommend_prints_one_json_object_and_says_what_it_rests_on() {
    let set = stored_set();
    let output = slotune(&["recommend", set.to_str().unwrap(), "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(answer["verdict"].is_string(), "{answer}");
    assert!(answer["simulated"].is_boolean(), "{answer}");
    let has_configuration = answer["configuration"].is_object();
    assert_eq!(answer["vllm_serve"].is_string(), has_configuration, "{answer}");
    assert_eq!(output.status.code(), Some(if has_configuration { 0 } else { 3 }));
}

#[test]
fn report_writes_the_page_and_names_it() {
    let out = tempfile::tempdir().unwrap();
    let set = stored_set();
    let folder = out.path().to_str().unwrap();
    let output = slotune(&["report", set.to_str().unwrap(), "--out", folder]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().count(), 9, "the page, and four pictures twice: {printed}");
    assert!(printed.lines().all(|path| PathBuf::from(path).is_file()), "{printed}");
}

#[test]
fn a_folder_that_is_no_result_set_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["report", "recommend"] {
        let output = slotune(&[command, folder.path().to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("manifest.json"), "{message}");
        assert!(message.contains(folder.path().to_str().unwrap()), "{message}");
    }
}
