//! A disk that is full, a folder that cannot be written, a set that is newer or damaged: each is
//! named, and what was stored stays.

#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Output, Stdio},
};

use slotune::results::{ResultSet, StoredTrial};

use super::{command, ok, slotune, stderr, write_study};

/// Takes no byte: a write fails as on a full disk.
const FULL: &str = "/dev/full";

fn trials(folder: &Path) -> Vec<StoredTrial> {
    let loaded = ResultSet::read(folder.join("study-results")).expect("a set");
    assert!(loaded.faults.is_empty(), "{:?}", loaded.faults);
    loaded.set.trials
}

#[track_caller]
fn refused(output: &Output, expected: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    for text in expected {
        assert!(message.contains(text), "{text}: {message}");
    }
}

#[test]
fn a_disk_that_is_full_at_the_beginning_is_told() {
    let folder = tempfile::tempdir().unwrap();
    write_study(folder.path(), 2, 40);
    let results = folder.path().join("study-results");
    fs::create_dir(&results).unwrap();
    // What the manifest is written under before it is whole.
    symlink(FULL, results.join("manifest.json.tmp")).unwrap();
    let output = slotune(folder.path(), &["tune", "study.toml"]);
    refused(&output, &["study-results", "No space left on device", "make room and start again"]);
    ok(folder.path(), &["tune", "study.toml"]);
}

#[test]
fn a_disk_that_fills_up_keeps_the_trials_and_the_study_goes_on() {
    const TRIALS: u32 = 20;
    let whole = tempfile::tempdir().unwrap();
    write_study(whole.path(), TRIALS, 60);
    ok(whole.path(), &["tune", "study.toml"]);

    let folder = tempfile::tempdir().unwrap();
    write_study(folder.path(), TRIALS, 60);
    let mut child = command(folder.path(), &["tune", "study.toml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    symlink(FULL, folder.path().join("study-results/trials/search-00015.parquet.tmp")).unwrap();
    lines.for_each(|line| drop(line.unwrap()));
    let output = child.wait_with_output().unwrap();
    refused(
        &output,
        &["search-00015.parquet", "No space left on device", "every stored trial is kept"],
    );
    let kept = trials(folder.path());
    let expected = trials(whole.path());
    assert_eq!(kept, expected[..17], "two references and fifteen trials");

    ok(folder.path(), &["tune", "study.toml"]);
    assert_eq!(trials(folder.path()), expected);
}

#[test]
fn a_file_that_may_not_grow_is_told() {
    let folder = tempfile::tempdir().unwrap();
    write_study(folder.path(), 2, 2000);
    // 512 bytes a block: enough for the manifest, too little for the requests of a trial.
    let script = "trap '' XFSZ; ulimit -f 32; exec \"$0\" tune study.toml";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_slotune")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    refused(&output, &["requests/reference-00000.parquet", "File too large", "make room"]);
    assert!(trials(folder.path()).is_empty());
    let leftovers = fs::read_dir(folder.path().join("study-results/requests")).unwrap().count();
    assert_eq!(leftovers, 0, "half a file takes no room");
}

#[test]
fn a_place_where_no_folder_can_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    write_study(folder.path(), 2, 40);
    for (out, expected) in [
        ("study.toml/results", "Not a directory"),
        // Writable for nobody, whoever runs this.
        ("/sys/kernel/slotune-results", "cannot be written"),
    ] {
        let output = slotune(folder.path(), &["tune", "study.toml", "--out", out]);
        refused(&output, &[out, expected, "choose another folder"]);
    }
    ok(folder.path(), &["tune", "study.toml"]);
    let output = slotune(folder.path(), &["report", "study-results", "--out", "study.toml/page"]);
    refused(&output, &["study.toml/page", "Not a directory"]);
}

/// The command in a folder where it may read and not write: root, who may write anywhere, hands it
/// to a user who may not.
fn as_reader(folder: &Path, arguments: &[&str]) -> Output {
    let program = folder.join("slotune");
    let mut command = Command::new(&program);
    command.args(arguments).current_dir(folder);
    if fs::metadata(folder).expect("it is there").uid() == 0 {
        command.uid(65_534).gid(65_534);
    }
    command.output().expect("it runs")
}

fn for_each_folder(folder: &Path, act: &dyn Fn(&Path)) {
    act(folder);
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            for_each_folder(&path, act);
        }
    }
}

#[test]
fn a_set_that_may_only_be_read_is_read_and_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::copy(env!("CARGO_BIN_EXE_slotune"), here.join("slotune")).unwrap();
    write_study(here, 2, 40);
    ok(here, &["tune", "study.toml"]);
    let before = trials(here);
    write_study(here, 4, 40);
    let mode = |mode| {
        move |path: &Path| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap()
    };
    for_each_folder(here, &mode(0o555));
    fs::set_permissions(here.join("study-results/.lock"), PermissionsExt::from_mode(0o444))
        .unwrap();

    let more = as_reader(here, &["tune", "study.toml"]);
    let elsewhere = as_reader(here, &["tune", "study.toml", "--out", "other"]);
    let read = as_reader(here, &["analyse", "study-results"]);
    for_each_folder(here, &mode(0o755));
    refused(&more, &["study-results/.lock", "Permission denied", "make it writable"]);
    refused(&elsewhere, &["other", "Permission denied", "make it writable"]);
    assert!(read.status.success(), "{}", stderr(&read));
    assert_eq!(trials(here), before);
}

#[test]
fn a_newer_set_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_study(here, 2, 40);
    ok(here, &["tune", "study.toml"]);
    let path = here.join("study-results/manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"schema_version\": 2", "\"schema_version\": 99")).unwrap();
    for arguments in [
        ["tune", "study.toml"],
        ["analyse", "study-results"],
        ["report", "study-results"],
        ["export", "study-results"],
    ] {
        let output = slotune(here, &arguments);
        refused(&output, &["manifest.json has schema version 99", "upgrade slotune"]);
    }
}

#[test]
fn a_damaged_trial_is_named_and_a_study_does_not_go_on_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_study(here, 3, 40);
    ok(here, &["tune", "study.toml"]);
    let part = here.join("study-results/trials/search-00001.parquet");
    let mut bytes = fs::read(&part).unwrap();
    bytes[200] ^= 4;
    fs::write(&part, bytes).unwrap();
    let output = slotune(here, &["analyse", "study-results"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let message = stderr(&output);
    assert!(message.contains("warning: left out: study-results/trials/search-00001"), "{message}");
    let output = slotune(here, &["tune", "study.toml"]);
    refused(&output, &["search-00001.parquet", "do not match its checksum", "run its trial again"]);
}
