//! What is written is read back, and what cannot be stored is refused.

use std::{collections::BTreeMap, fs, path::Path};

use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed},
};
use slotune_core::{
    Configuration, Estimate, Measurement, Outcome, Reason, TrialId, Value, opening,
};
use slotune_results::{Manifest, MissingTrial, ResultSet, Rows, StoredTrial, WriteError};

use crate::support::{manifest, records, timeline, trial, trials};

/// Writes a set of the given trials, with requests for the first.
pub(crate) fn write(folder: &Path, manifest: &Manifest, trials: &[StoredTrial]) {
    let mut writer = ResultSet::create(folder, manifest).unwrap();
    for (i, trial) in trials.iter().enumerate() {
        let (requests, timeline) = (records(), timeline());
        let rows = Rows { requests: &requests, timeline: &timeline };
        writer.append(trial, (i == 0).then_some(rows)).unwrap();
    }
}

#[test]
fn everything_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &manifest(), &trials());
    let loaded = ResultSet::read(folder.path()).unwrap();
    assert!(loaded.faults.is_empty());
    assert_eq!(loaded.set, ResultSet { manifest: manifest(), trials: trials() });
    assert_eq!(loaded.requests("reference", TrialId(0)).unwrap(), Some(records()));
    assert_eq!(loaded.requests("search-1", TrialId(0)).unwrap(), None);
    assert_eq!(loaded.timeline("reference", TrialId(0)).unwrap(), Some(timeline()));
    assert_eq!(loaded.timeline("search-1", TrialId(0)).unwrap(), None);
}

#[test]
fn no_requests_are_not_the_same_as_requests_that_were_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = ResultSet::create(folder.path(), &manifest()).unwrap();
    writer.append(&trials()[0], Some(Rows { requests: &[], timeline: &[] })).unwrap();
    let loaded = ResultSet::read(folder.path()).unwrap();
    assert_eq!(loaded.requests("reference", TrialId(0)).unwrap(), Some(vec![]));
}

#[test]
fn trials_are_read_in_order_whatever_the_order_of_writing() {
    let folder = tempfile::tempdir().unwrap();
    let backwards: Vec<StoredTrial> = trials().into_iter().rev().collect();
    write(folder.path(), &manifest(), &backwards);
    assert_eq!(ResultSet::read(folder.path()).unwrap().set.trials, trials());
}

#[test]
fn equal_sets_are_equal_bytes() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for folder in &folders {
        write(folder.path(), &manifest(), &trials());
    }
    let [first, second] = folders.map(|folder| files(folder.path()));
    assert!(first == second);
    assert_eq!(first.len(), 1 + 1 + 4 + 1 + 1, "lock, manifest, four trials, requests, timeline");
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(
                files(&path).into_iter().map(|(file, bytes)| (format!("{name}/{file}"), bytes)),
            );
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn a_study_has_a_history_unless_a_trial_is_missing() {
    let mut set = ResultSet { manifest: manifest(), trials: trials() };
    let history = set.history("search-1").unwrap();
    assert_eq!(
        history.entries(),
        &trials()[1..].iter().map(|t| t.entry.clone()).collect::<Vec<_>>()
    );
    assert!(set.history("unheard of").unwrap().is_empty());
    set.trials.remove(2);
    let missing = MissingTrial { study: "search-1".to_owned(), trial: 1 };
    assert_eq!(set.history("search-1"), Err(missing));
}

#[test]
fn a_pruned_trial_comes_back() {
    let manifest = manifest().with_metric(opening("e2e_p95_s"));
    let bound = Estimate { is_lower_bound: true, ..Estimate::new(2.5, 0.0) };
    let had = Measurement::new().with_estimate(opening("e2e_p95_s"), bound);
    let stored = trial("reference", 0, Configuration::new(), Outcome::Pruned(had));
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &manifest, std::slice::from_ref(&stored));
    assert_eq!(ResultSet::read(folder.path()).unwrap().set.trials, [stored]);
}

#[test]
fn values_outside_their_domain_are_stored_and_whole_numbers_become_floats() {
    let baseline = Configuration::new()
        .with("max_num_seqs", 4096)
        .with("gpu_memory_utilization", Value::Integer(1));
    let stored = trial("reference", 0, baseline, Outcome::Failed(Reason::new("", "")));
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &manifest(), &[stored]);
    let set = ResultSet::read(folder.path()).unwrap().set;
    let read = Configuration::new().with("max_num_seqs", 4096).with("gpu_memory_utilization", 1.0);
    assert_eq!(set.trials[0].entry.trial.configuration, read);
}

#[test]
fn what_no_column_can_hold_is_refused_and_nothing_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = ResultSet::create(folder.path(), &manifest()).unwrap();
    let failed =
        |configuration| trial("reference", 0, configuration, Outcome::Failed(Reason::new("", "")));
    let mut refuse = |stored: StoredTrial| {
        let rows = Rows { requests: &records(), timeline: &[] };
        writer.append(&stored, Some(rows)).unwrap_err()
    };

    let error = refuse(failed(Configuration::new().with("typo", 1)));
    assert!(matches!(error, WriteError::UnknownParameter { parameter } if parameter == "typo"));
    let error = refuse(failed(Configuration::new().with("max_num_seqs", "many")));
    assert_eq!(
        error.to_string(),
        "parameter `max_num_seqs` is many, which has another type than one of 256, 512, 1024"
    );
    let error = refuse(trial(
        "reference",
        0,
        Configuration::new(),
        Outcome::Completed(Measurement::new().with("typo", 1.0)),
    ));
    assert!(matches!(error, WriteError::UnknownMetric { metric } if metric == "typo"));
    let error = refuse(StoredTrial { study: "typo".to_owned(), ..trials().remove(0) });
    assert_eq!(
        error.to_string(),
        "study `typo` is not in the manifest; it has: reference, search-1"
    );
    let mut pending = trials().remove(0);
    pending.entry.state = slotune_core::State::Pending;
    assert!(matches!(refuse(pending), WriteError::Pending { trial: TrialId(0), .. }));
    let mut overrun = trials().remove(0);
    overrun.server.as_mut().unwrap().kv_blocks = Some(u64::MAX);
    assert!(matches!(refuse(overrun), WriteError::TooLarge { column: "server_kv_blocks", .. }));

    assert_eq!(files(folder.path()).len(), 2, "lock and manifest");
}

proptest! {
    #![proptest_config(Config { cases: 24, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_number_and_any_text_comes_back(
        values in prop::array::uniform3(prop::num::f64::ANY.prop_filter("NaN is unlike itself", |x| !x.is_nan())),
        standard_error in prop::num::f64::POSITIVE,
        seed: u64,
        text: String,
        label in prop::option::of(".*"),
    ) {
        let measured = Measurement::new()
            .with_estimate("e2e_p95_s", Estimate::new(values[0], standard_error))
            .with("queue_share", values[1]);
        let configuration = Configuration::new()
            .with("gpu_memory_utilization", values[2])
            .with("cudagraph_mode", text.as_str());
        let mut first = trial("reference", 0, configuration, Outcome::Completed(measured));
        first.entry.trial.seed = seed;
        first.label = label;
        let reason = Reason::new(text.clone(), text);
        let second = trial("search-1", 0, Configuration::new(), Outcome::Infeasible(reason));
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &manifest(), &[first.clone(), second.clone()]);
        let set = ResultSet::read(folder.path()).unwrap().set;
        prop_assert_eq!(set.trials, vec![first, second]);
    }
}
