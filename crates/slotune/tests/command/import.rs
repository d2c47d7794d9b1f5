//! What other tools measured, asked as if slotune had.

use std::{fs, path::Path, process::Command};

use super::{
    guide::{commands, copy},
    ok, slotune, stderr,
};

fn captures() -> String {
    format!("{}/tests/data/import", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn an_imported_sweep_is_analysed_compared_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let sweep = format!("{}/sweep", captures());
    let four = format!("{sweep}/SERVE--max_num_seqs=4/summary.json");
    let failed = format!("{sweep}/SERVE-max_num_seqs=64-max_num_batched_tokens=32-failure.json");
    let two = format!("{sweep}/SERVE--max_num_seqs=2-enable_prefix_caching=False/summary.json");
    let detailed = format!("{}/bench-serve-detailed.json:max_num_seqs=16", captures());
    let text = ok(
        here,
        &[
            "import",
            &four,
            &failed,
            &two,
            "--default",
            &detailed,
            "--vllm-version",
            "0.32.0",
            "--parameter",
            "max_num_batched_tokens=2048",
            "--parameter",
            "enable_prefix_caching=true",
            "--out",
            "past",
        ],
    );
    assert!(text.contains("reference/0  default: measured from its requests"), "{text}");
    assert!(text.contains("no metrics: RuntimeError"), "{text}");
    assert!(text.contains("note: the trials had different loads"), "{text}");
    assert!(text.ends_with("4 trials in past\n"), "{text}");

    let answer: serde_json::Value =
        serde_json::from_str(&ok(here, &["analyse", "past", "--json"])).unwrap();
    assert_eq!(answer["trials"], 3);
    assert!(answer["best"]["configuration"]["max_num_seqs"].is_number(), "{answer}");
    assert_eq!(answer["doubts"].as_array().unwrap().len(), 2, "the aggregates: {answer}");
    let comparison = ok(here, &["compare", "past:default", "past:imported/0"]);
    assert!(comparison.contains("output throughput"), "{comparison}");
    ok(here, &["report", "past", "--out", "page"]);
    let page = fs::read_to_string(here.join("page/week3.md")).unwrap();
    assert!(page.contains("vllm bench serve"), "{page}");
    ok(here, &["export", "past:imported/2"]);
    let replayed = ok(here, &["replay", "past", "--sampler", "random", "--seeds", "1"]);
    assert!(!replayed.is_empty());
}

#[test]
fn import_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let file = format!("{}/bench-serve-detailed.json", captures());
    let output = slotune(here, &["import", &file, "--out", "past"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--parameter max_num_seqs=256"), "{}", stderr(&output));
    assert!(!here.join("past").exists());
    assert_eq!(slotune(here, &["import", "--out", "past"]).status.code(), Some(2));
    let capped = format!("{}/bench-serve-capped.json", captures());
    let json = ok(here, &["import", &capped, "--minimise", "itl_p95_s", "--out", "past", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["trials"][0]["configuration"]["max_num_seqs"], 16, "from --metadata");
    assert!(told["notes"][0].as_str().unwrap().contains("no trial has the objective `itl_p95_s`"));
    let nothing = slotune(here, &["analyse", "past"]);
    assert_eq!(nothing.status.code(), Some(3));
    let hint = "note: no trial has the metric `itl_p95_s`; import what `vllm bench serve --save-detailed` wrote";
    let text = String::from_utf8_lossy(&nothing.stdout);
    assert!(text.contains(hint), "{text}");
    let again = slotune(here, &["import", &capped, "--out", "past"]);
    assert!(stderr(&again).contains("holds a result set already"), "{}", stderr(&again));
    assert!(Path::new(&here.join("past/manifest.json")).exists());
}

#[test]
#[cfg(unix)]
fn every_command_of_the_guide_to_other_tools_works() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let captures = captures();
    let captures = Path::new(&captures);
    copy(&captures.join("sweep"), &here.join("sweep")).unwrap();
    for name in ["chat.json", "today.json"] {
        fs::copy(captures.join("bench-serve-detailed.json"), here.join(name)).unwrap();
    }
    let commands = commands(include_str!("../../../../docs/guide/other-tools.md"));
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        // By a shell, which expands the names.
        let script = format!("\"$0\" {command}");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_slotune")])
            .current_dir(here)
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {}", stderr(&output));
    }
}
