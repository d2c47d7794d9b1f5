//! Past result sets that a study learns from, and the end of a search by what is left to gain.

use std::fs;

use slotune::{core::Origin, results::ResultSet};

use super::{ok, slotune, stderr, stdout, write_study};

#[test]
fn a_study_begins_with_what_was_best_in_a_past_one() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let past = write_study(here, 8, 60);
    ok(here, &["tune", "study.toml"]);
    let set = ResultSet::read(here.join("study-results")).unwrap().set;
    let history = set.history("search").unwrap();
    let best = history.best(&set.manifest.objective).expect("a trial that meets the targets");

    fs::create_dir(here.join("next")).unwrap();
    let text = fs::read_to_string(past).unwrap().replace("seed = 0", "seed = 1");
    // Relative to the file, not to where the command is run.
    let text = format!("{text}\n[history]\nsets = [\"../study-results\"]\n");
    fs::write(here.join("next/next.toml"), text).unwrap();
    ok(here, &["tune", "next/next.toml"]);
    let next = ResultSet::read(here.join("next/next-results")).unwrap().set;
    let trials: Vec<_> = next.study("search").map(|stored| &stored.entry.trial).collect();
    let origins: Vec<Origin> = trials.iter().map(|trial| trial.origin).collect();
    assert_eq!(origins[..2], [Origin::Given, Origin::Repeat], "the default, twice");
    let again = &trials[..3].iter().find(|trial| trial.configuration == best.trial.configuration);
    assert!(again.is_some(), "{trials:?} begin without {best:?}");
    assert_eq!(origins[3], Origin::Model, "the initial design is short: {origins:?}");
}

#[test]
fn a_past_set_that_cannot_be_used_is_named_with_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let path = write_study(here, 2, 40);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n[history]\nsets = [\"nowhere\"]\n")).unwrap();
    let output = slotune(here, &["tune", "study.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("history.sets") && said.contains("nowhere"), "{said}");
    assert!(!here.join("study-results").exists(), "nothing was begun");
}

#[test]
fn a_search_ends_when_little_is_left_to_gain() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let path = write_study(here, 30, 40);
    // Everything is little.
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("trials = 30", "trials = 30\nremaining_gain = 1000.0");
    fs::write(&path, text).unwrap();
    let output = slotune(here, &["tune", "study.toml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("% to gain"), "{}", stdout(&output));
    let little = "stopped: further trials would gain less than `budget.remaining_gain`, 1000";
    assert!(stderr(&output).contains(little), "{}", stderr(&output));
    let set = ResultSet::read(here.join("study-results")).unwrap().set;
    let origins: Vec<Origin> = set.study("search").map(|s| s.entry.trial.origin).collect();
    let modelled = origins.iter().filter(|origin| **origin == Origin::Model).count();
    assert_eq!(modelled, 1, "the first trial of the model's says how much is left: {origins:?}");
    ok(here, &["tune", "study.toml"]);
    let again = ResultSet::read(here.join("study-results")).unwrap().set;
    assert_eq!(again.trials.len(), set.trials.len(), "a second run has nothing to add");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("1000.0", "-1.0")).unwrap();
    let output = slotune(here, &["tune", "study.toml"]);
    assert!(stderr(&output).contains("budget.remaining_gain"), "{}", stderr(&output));
}
