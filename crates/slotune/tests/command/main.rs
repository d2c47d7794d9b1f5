//! The command, run as a user runs it.

mod finals;
mod guide;
mod help;
mod history;
mod import;
mod interrupted;
mod real_server;
mod refused;
mod stored_set;
mod study;
mod suite;
mod terminal;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use slotune::study_file::EXAMPLE;

/// The command with these arguments, not yet started, in this folder.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slotune"));
    command.args(arguments).current_dir(folder);
    command
}

/// Runs the command to its end.
fn slotune(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("it runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// Runs the command and expects it to go well; what it printed.
fn ok(folder: &Path, arguments: &[&str]) -> String {
    let output = slotune(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// Writes the example's study with so many trials and requests into a folder.
fn write_study(folder: &Path, trials: u32, requests: u32) -> PathBuf {
    let text = EXAMPLE
        .replace("trials = 30", &format!("trials = {trials}"))
        .replace("requests = 1000", &format!("requests = {requests}"))
        // What so few requests can give.
        .replace("at_least = 4000", "at_least = 10");
    let path = folder.join("study.toml");
    fs::write(&path, text).expect("the folder is writable");
    path
}
