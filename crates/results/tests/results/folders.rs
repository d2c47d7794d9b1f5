//! Folders: begun, gone on with, locked, refused.

use std::fs;

use slotune_core::{Constraint, TrialId};
use slotune_results::{Manifest, ReadError, ResultSet, StoredTrial, WriteError, Writer};

use crate::{
    round_trip::write,
    support::{manifest, trials},
};

#[test]
fn a_set_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &manifest(), &trials()[..2]);
    let later = Manifest {
        created: "2027-01-01T00:00:00Z".to_owned(),
        slotune_version: "0.2.0".to_owned(),
        ..manifest()
    };
    let mut writer = Writer::open(folder.path(), &later).unwrap();
    for trial in &trials()[2..] {
        writer.append(trial, None).unwrap();
    }
    let error = writer.append(&trials()[3], None).unwrap_err();
    assert!(
        matches!(&error, WriteError::Stored { study, trial: TrialId(2) } if study == "search-1")
    );
    let set = ResultSet::read(folder.path()).unwrap().set;
    assert_eq!(set, ResultSet { manifest: manifest(), trials: trials() });
}

#[test]
fn a_budget_may_rise_and_never_falls() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &manifest(), &trials());
    let granting = |reference, search| {
        let mut manifest = manifest();
        manifest.studies[0].trials = reference;
        manifest.studies[1].trials = search;
        manifest
    };
    for (asked, expected) in [
        (granting(20, 50), granting(20, 50)),
        (granting(30, 10), granting(30, 50)),
        (granting(1, 1), granting(30, 50)),
    ] {
        let later = Manifest { created: "2027-01-01T00:00:00Z".to_owned(), ..asked };
        let writer = Writer::open(folder.path(), &later).unwrap();
        assert_eq!(writer.manifest(), &expected, "it keeps when it was begun");
        let set = ResultSet::read(folder.path()).unwrap().set;
        assert_eq!(set, ResultSet { manifest: expected, trials: trials() });
    }
}

#[test]
fn a_folder_in_use_is_never_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "years of work").unwrap();
    let error = ResultSet::create(folder.path(), &manifest()).unwrap_err();
    assert!(
        matches!(&error, WriteError::NotEmpty { found, .. } if found.ends_with("thesis.tex")),
        "{error}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was added");

    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &manifest(), &trials());
    let error = ResultSet::create(folder.path(), &manifest()).unwrap_err();
    assert!(matches!(error, WriteError::AlreadyASet { .. }));
    assert_eq!(ResultSet::read(folder.path()).unwrap().set.trials, trials());
}

#[test]
fn a_killed_beginning_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["trials", "requests"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join(".lock"), "").unwrap();
    fs::write(folder.path().join("manifest.json.tmp"), "{").unwrap();
    ResultSet::create(folder.path(), &manifest()).unwrap();
    assert!(ResultSet::read(folder.path()).unwrap().set.trials.is_empty());
}

#[test]
fn another_study_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap().path().join("new/deep");
    drop(ResultSet::create(&folder, &manifest()).unwrap());
    let mut other = manifest();
    other.studies[1].seed = 8;
    let error = Writer::open(&folder, &other).unwrap_err();
    let WriteError::OtherStudy { field, stored, given, .. } = &error else { panic!("{error}") };
    assert_eq!([field, stored, given], ["studies[1].seed", "7", "8"]);

    // A refused manifest raises no budget.
    other.studies[1].trials = 99;
    Writer::open(&folder, &other).unwrap_err();
    assert_eq!(ResultSet::read(&folder).unwrap().set.manifest, manifest());

    other = manifest();
    other.studies.pop();
    let error = Writer::open(&folder, &other).unwrap_err();
    assert!(matches!(error, WriteError::OtherStudy { field, .. } if field == "studies"));
}

/// The references tell which targets are worth asking for.
#[test]
fn what_is_asked_for_may_change_until_something_was_searched() {
    let folder = tempfile::tempdir().unwrap();
    let all = trials();
    let is_reference = |trial: &&StoredTrial| trial.study == "reference";
    let references: Vec<StoredTrial> = all.iter().filter(is_reference).cloned().collect();
    assert!(!references.is_empty());
    write(folder.path(), &manifest(), &references);
    let mut asked = manifest();
    asked.objective = asked.objective.subject_to(Constraint::at_most("ttft_p95_s", 0.5));
    drop(Writer::open(folder.path(), &asked).unwrap());
    let set = ResultSet::read(folder.path()).unwrap().set;
    assert_eq!((&set.manifest.objective, set.trials.len()), (&asked.objective, references.len()));

    let searched = all.iter().find(|trial| !is_reference(trial)).unwrap();
    Writer::open(folder.path(), &asked).unwrap().append(searched, None).unwrap();
    let error = Writer::open(folder.path(), &manifest()).unwrap_err();
    assert!(
        matches!(&error, WriteError::OtherStudy { field, .. } if field.starts_with("objective"))
    );
    assert_eq!(ResultSet::read(folder.path()).unwrap().set.manifest.objective, asked.objective);
}

#[test]
fn two_writers_never_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = ResultSet::create(folder.path(), &manifest()).unwrap();
    let error = Writer::open(folder.path(), &manifest()).unwrap_err();
    let holder = Some(std::process::id());
    assert!(matches!(&error, WriteError::InUse { holder: seen, .. } if *seen == holder));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    assert!(ResultSet::read(folder.path()).is_ok(), "readers are welcome");
    drop(first);
    Writer::open(folder.path(), &manifest()).unwrap();
}

#[test]
fn a_folder_without_a_sound_manifest_is_no_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest.json");
    let read = || ResultSet::read(folder.path()).unwrap_err();
    assert!(matches!(read(), ReadError::NotASet { .. }));
    assert!(matches!(
        Writer::open(folder.path(), &manifest()),
        Err(WriteError::Read(ReadError::NotASet { .. }))
    ));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was added");

    fs::write(&path, "{\"schema_version\": 1,").unwrap();
    assert!(matches!(read(), ReadError::Manifest { .. }));
    fs::write(&path, "{\"schema_version\": 3, \"everything else\": \"is unknown\"}").unwrap();
    let error = read();
    assert!(matches!(error, ReadError::Newer { found: 3, .. }));
    assert!(error.to_string().ends_with("knows versions up to 2; upgrade slotune"), "{error}");
}

#[test]
fn an_unsound_manifest_is_refused_with_a_remedy() {
    type Change = fn(&mut Manifest);
    let folder = tempfile::tempdir().unwrap();
    let refuse = |change: Change| {
        let mut manifest = manifest();
        change(&mut manifest);
        ResultSet::create(folder.path(), &manifest).unwrap_err().to_string()
    };
    let cases: [(Change, &str); 8] = [
        (|m| m.schema_version = 1, "`schema_version` is 1; this slotune writes 2"),
        (|m| m.studies[0].name = "../up".to_owned(), "use letters, digits, `-` and `_`"),
        (|m| m.studies[0].name = String::new(), "use letters, digits, `-` and `_`"),
        (
            |m| m.studies[0].name = "Search-1".to_owned(),
            "upper and lower case being one; rename one",
        ),
        (|m| m.metrics.clear(), "`metrics` lacks `e2e_p95_s`, which the objective needs; add it"),
        (|m| m.metrics.push("Cost_s".to_owned()), "rename the parameter or metric"),
        (|m| m.metrics.push("queue_share".to_owned()), "two columns would be named `queue_share`"),
        (|m| m.backend.hardware.gpu_memory_gib = Some(f64::NAN), "make all its numbers finite"),
    ];
    for (change, expected) in cases {
        let message = refuse(change);
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
}
