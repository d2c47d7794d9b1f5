//! A study that is killed, interrupted, or wanted twice.

#![cfg(unix)]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use slotune::{
    core::random::derive,
    results::{ResultSet, StoredTrial},
};

use super::{command, ok, slotune, stderr, write_study};

fn start(folder: &Path, arguments: &[&str]) -> Child {
    command(folder, arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// Presses Ctrl-C after a command has told of so many trials, and waits for its end. How many it told of
/// in all, and what it said of the end.
fn interrupted_after(trials: usize, mut child: Child) -> (usize, String) {
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    for _ in 0..trials {
        output.read_line(&mut line).expect("text");
    }
    signal(&child, "-INT");
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert_eq!(end_of(child).code(), Some(130), "{said}");
    assert!(said.contains("ending after this trial, which is kept"), "{said}");
    (trials + rest.lines().count(), said)
}

/// Waits until a file is there, which is soon.
fn wait_for(path: &Path) {
    for _ in 0..2000 {
        if path.exists() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("{} did not come", path.display());
}

/// Waits for the end of a process that should come at once.
fn end_of(mut child: Child) -> ExitStatus {
    for _ in 0..4000 {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return status;
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("it can be killed");
    panic!("it goes on");
}

fn trials(folder: &Path) -> Vec<StoredTrial> {
    let loaded = ResultSet::read(folder.join("study-results")).expect("a set");
    assert!(loaded.faults.is_empty(), "{:?}", loaded.faults);
    loaded.set.trials
}

/// How often the study below is killed, if not 12 times.
const KILLS: &str = "SLOTUNE_TEST_KILLS";

#[test]
#[expect(clippy::disallowed_methods, reason = "how long to look is for the caller to say")]
fn a_killed_study_goes_on_with_the_trials_of_an_uninterrupted_one() {
    let kills = std::env::var(KILLS).map_or(12, |kills| kills.parse().expect("a number"));
    // Some more than the lines that are waited for below.
    let trials_wanted = 2 * kills;
    let whole = tempfile::tempdir().unwrap();
    write_study(whole.path(), trials_wanted, 60);
    ok(whole.path(), &["tune", "study.toml"]);
    let expected = trials(whole.path());
    assert_eq!(expected.len(), trials_wanted as usize + 2, "and the two references");

    let killed = tempfile::tempdir().unwrap();
    write_study(killed.path(), trials_wanted, 60);
    let mut kept = 0;
    // Lines to wait for, then microseconds: before the set exists, between and within trials.
    let first = [(0, 0), (0, 3000), (0, 15_000), (3, 300)];
    let random = (0..).map(|kill| {
        let delay_us = derive(11, "kill/delay", kill) % 30_000;
        (1 + derive(11, "kill/lines", kill) % 2, delay_us)
    });
    for (lines, delay_us) in first.into_iter().chain(random).take(kills as usize) {
        let mut child = start(killed.path(), &["tune", "study.toml"]);
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        for _ in 0..lines {
            output.read_line(&mut line).expect("text");
        }
        thread::sleep(Duration::from_micros(delay_us));
        child.kill().expect("SIGKILL");
        child.wait().expect("it ends");
        if killed.path().join("study-results/manifest.json").exists() {
            let now = trials(killed.path());
            assert!(now.len() >= kept, "no finished trial is lost");
            assert_eq!(now, expected[..now.len()]);
            kept = now.len();
        }
    }
    assert!(kept > 0 && kept < expected.len(), "it was killed on the way: {kept}");
    ok(killed.path(), &["tune", "study.toml"]);
    assert_eq!(trials(killed.path()), expected);
}

#[test]
fn ctrl_c_ends_after_the_trial_under_way_and_the_study_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    write_study(folder.path(), 60, 60);
    let child = start(folder.path(), &["tune", "study.toml"]);
    let (printed, said) = interrupted_after(4, child);
    assert!(said.contains("the same command goes on"), "{said}");
    let kept = trials(folder.path());
    assert_eq!(kept.len(), printed, "each trial that was told of is kept");
    assert!(kept.len() < 62, "it ended early");

    write_study(folder.path(), u32::try_from(printed).unwrap(), 60);
    ok(folder.path(), &["tune", "study.toml"]);
    let more = trials(folder.path());
    assert_eq!(more.len(), printed + 2);
    assert_eq!(more[..printed], kept);
}

#[test]
fn ctrl_c_during_finals_keeps_what_is_finished_and_they_go_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_study(folder.path(), 6, 60);
    let text = fs::read_to_string(&path).expect("just written");
    fs::write(&path, text + "\n[finals]\nrepeats = 20\nworkloads = [\"study\"]\n")
        .expect("writable");
    ok(folder.path(), &["tune", "study.toml"]);
    let searched = trials(folder.path());
    let child = start(folder.path(), &["finals", "study.toml"]);
    let (printed, _) = interrupted_after(2, child);
    let kept = trials(folder.path());
    assert_eq!(kept.len(), searched.len() + printed, "each trial that was told of is kept");

    ok(folder.path(), &["finals", "study.toml"]);
    let resumed = trials(folder.path());
    assert_eq!(resumed[..kept.len()], kept);
    let whole = tempfile::tempdir().unwrap();
    fs::copy(path, whole.path().join("study.toml")).expect("readable");
    ok(whole.path(), &["tune", "study.toml"]);
    ok(whole.path(), &["finals", "study.toml"]);
    assert_eq!(trials(whole.path()), resumed);
}

/// Trials that take the simulator many seconds each.
fn write_long_study(folder: &Path) {
    let path = write_study(folder, 10, 60);
    let text = fs::read_to_string(&path).expect("just written");
    let start = text.find("[workload.trace]").expect("a workload");
    let end = text.find("# ... or requests drawn").expect("the comment after it");
    let workload = "[workload.synthetic]\nrate_per_s = 24.0\nprompt_tokens = 256\n\
                    output_tokens = 256\nrequests = 2400000\n";
    fs::write(path, text[..start].to_owned() + workload + &text[end..]).expect("writable");
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_a_second_process_is_told_who_has_the_study() {
    let folder = tempfile::tempdir().unwrap();
    write_long_study(folder.path());
    let mut child = start(folder.path(), &["tune", "study.toml"]);
    wait_for(&folder.path().join("study-results/manifest.json"));

    let second = slotune(folder.path(), &["tune", "study.toml"]);
    assert_eq!(second.status.code(), Some(1));
    let message = stderr(&second);
    assert!(message.contains(&format!("written by process {}", child.id())), "{message}");

    signal(&child, "-INT");
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("Ctrl-C again") {
        assert_ne!(errors.read_line(&mut line).expect("text"), 0, "{line}");
    }
    signal(&child, "-INT");
    assert_eq!(end_of(child).code(), Some(130));
    line.clear();
    errors.read_to_string(&mut line).expect("text");
    assert!(!line.contains("stopped"), "it did not wait for the trial: {line}");
}
