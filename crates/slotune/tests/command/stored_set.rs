//! What is answered from a stored result set.

use std::path::{Path, PathBuf};

use super::{ok, slotune, stderr};

fn stored_set() -> String {
    let set = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../results/tests/fixtures/v1");
    set.to_str().expect("text").to_owned()
}

#[test]
fn recommend_prints_one_json_object_and_says_what_it_rests_on() {
    let output = slotune(Path::new("."), &["recommend", &stored_set(), "--json"]);
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
    let printed = ok(out.path(), &["report", &stored_set(), "--out", "page"]);
    assert_eq!(printed.lines().count(), 9, "the page, and four pictures twice: {printed}");
    assert!(printed.lines().all(|path| out.path().join(path).is_file()), "{printed}");
}

#[test]
fn a_folder_that_is_no_result_set_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for arguments in [
        vec!["report", path],
        vec!["recommend", path],
        vec!["export", path],
        vec!["compare", path, path],
    ] {
        let output = slotune(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(1));
        let message = stderr(&output);
        assert!(message.contains("manifest.json"), "{message}");
        assert!(message.contains(path), "{message}");
    }
}
