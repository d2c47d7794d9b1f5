//! GPUs and models: listed, shown, and of one's own.

use std::{
    fs,
    process::{Command, Stdio},
};

use slotune::sim::{GpuPreset, ModelPreset};

use crate::fixture::{Fixture, json, slotune, stderr};

#[test]
fn presets_are_listed_and_shown() {
    let table = String::from_utf8(slotune(&["--list"]).stdout).unwrap();
    for name in GpuPreset::names().chain(ModelPreset::names()) {
        assert!(table.lines().any(|line| line.starts_with(name)), "{name} in {table}");
        let shown = slotune(&["--show", name]);
        assert!(shown.status.success());
        let file = String::from_utf8(shown.stdout).unwrap();
        assert!(file.contains(&format!("name = \"{name}\"")), "{file}");
    }
    let listed = json(&slotune(&["--list", "--json"]));
    let memory = &listed["gpus"][0]["coefficients"][0];
    assert_eq!(
        (&memory["name"], &memory["value"], &memory["status"]),
        (&"memory_gib".into(), &79.19.into(), &"measured".into())
    );
    assert_eq!(listed["gpus"].as_array().unwrap().len(), 8);
    assert_eq!(listed["models"].as_array().unwrap().len(), 10);
    assert_eq!(listed["models"][3]["parameters"].as_f64(), Some(7_615_616_512.0));
    let unknown = slotune(&["--show", "h1000"]);
    assert_eq!(unknown.status.code(), Some(1));
}

/// A shown file, renamed, is a GPU of one's own with the same times, and nothing vouches for it.
#[test]
fn a_gpu_and_a_model_of_ones_own_are_read_from_files() {
    let fixture = Fixture::new();
    let own = |name: &str, change: &dyn Fn(String) -> String| {
        let shown = slotune(&["--show", name]).stdout;
        let path = fixture.folder.path().join(format!("my-{name}.toml"));
        fs::write(&path, change(String::from_utf8(shown).unwrap())).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let gpu = own("l40s", &|file| file.replace("name = \"l40s\"", "name = \"my-l40s\""));
    let model = own("qwen2.5-3b", &|file| file);
    let answer = json(&fixture.simulate_on(&gpu, &model, &["--no-noise", "--json"]));
    let shipped = json(&fixture.simulate_on("l40s", "qwen2.5-3b", &["--no-noise", "--json"]));
    assert_eq!(answer["e2e"], shipped["e2e"]);
    assert_eq!(answer["gpu"], "my-l40s");
    assert!(answer["basis"].as_str().unwrap().contains("given by the caller"), "{answer}");
    assert!(shipped["basis"].as_str().unwrap().starts_with("NOT MEASURED"), "{shipped}");

    let broken = own("l4", &|file| file.replacen("value = 22.1", "value = -22.1", 1));
    let output = fixture.simulate_on(&broken, &model, &[]);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(
        message.contains("my-l4.toml, line 7: `memory_gib` is -22.1, but must be"),
        "{message}"
    );
    let missing = fixture.simulate_on("no-such.toml", &model, &[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("no-such.toml"), "{}", stderr(&missing));
}

/// As with `slotune simulate --list --json | head -1`.
#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_slotune"))
        .args(["simulate", "--list", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}
