//! `slotune calibrate`, run as a user runs it, on the measured grid.

use std::{
    path::Path,
    process::{Command, Output},
};

use slotune::sim::{GpuPreset, Status};

fn calibrate(set: &Path, out: &Path, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_slotune"))
        .arg("calibrate")
        .args([set, "--out".as_ref(), out])
        .args(options)
        .output()
        .expect("it runs")
}

fn grid() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/h100_qwen2.5_7b_grid"))
}

#[test]
fn a_preset_is_fitted_and_what_was_left_out_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    let options = ["--study", "second-machine", "--runs", "3", "--json"];
    let output = calibrate(grid(), &file, &options);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let runs = answer["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 7);
    let left_out = runs.iter().filter(|run| run["left_out"].is_object()).count();
    assert_eq!(left_out, 4);
    // The fit is nearer than the preset that it started from.
    let distance = |when: &str| -> f64 {
        let given = runs.iter().filter(|run| !run["left_out"].is_object());
        given
            .map(|run| {
                let value = |of: &str| run[of]["e2e_mean_s"].as_f64().expect("a number");
                (value(when) / value("measured")).ln().abs()
            })
            .sum()
    };
    assert!(distance("after") < 0.5 * distance("before"), "{answer}");
    let preset = GpuPreset::read(&file).expect("a preset");
    let fitted = preset.coefficients.iter().filter(|number| {
        number.status == Status::Fitted && number.source == "fit to 3 runs of h100_qwen2.5_7b_grid (second-machine) serving Qwen/Qwen2.5-7B-Instruct"
    });
    assert!(fitted.count() > 10);
}

#[test]
fn what_cannot_be_calibrated_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    let fails = |set: &Path, out: &Path, options: &[&str]| {
        let output = calibrate(set, out, options);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).expect("text")
    };
    let message = fails(grid(), &file, &["--study", "third-machine"]);
    assert_eq!(
        message,
        "error: no trial is of study `third-machine`; there are first-machine, second-machine\n"
    );
    let message = fails(grid(), &file, &["--gpu", "h101"]);
    assert!(message.starts_with("error: unknown GPU `h101`"), "{message}");
    let message = fails(folder.path(), &file, &[]);
    assert!(message.contains("manifest.json"), "{message}");
    assert!(!file.exists());
}
