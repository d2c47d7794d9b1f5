//! Damaged, torn, foreign and leftover files: each is named, nothing panics.

use std::{
    fs,
    path::{Path, PathBuf},
};

use slotune_core::TrialId;
use slotune_results::{Loaded, PartProblem, ResultSet, Writer};
use tempfile::TempDir;

use crate::{
    round_trip::write,
    support::{manifest, records, trials},
};

const VICTIM: &str = "trials/search-1-00001.parquet";
const REQUESTS: &str = "requests/search-1-00001.parquet";

fn set() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &manifest(), &trials());
    folder
}

fn read(folder: &TempDir) -> Loaded {
    ResultSet::read(folder.path()).unwrap()
}

/// The one fault of a set that has lost its victim and nothing else.
fn only_fault(folder: &TempDir) -> PartProblem {
    let mut loaded = read(folder);
    assert_eq!(loaded.set.trials, [&trials()[..2], &trials()[3..]].concat());
    let fault = loaded.faults.pop().expect("one fault");
    assert!(loaded.faults.is_empty());
    assert_eq!(fault.file, folder.path().join(VICTIM));
    fault.problem
}

#[test]
fn any_flipped_bit_is_a_fault_and_never_a_panic() {
    // Alone, so that each reading is quick.
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &manifest(), &trials()[2..3]);
    let victim = folder.path().join(VICTIM);
    let sound = fs::read(&victim).unwrap();
    for at in (0..sound.len()).step_by(sound.len() / 300) {
        let mut damaged = sound.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&victim, &damaged).unwrap();
        let loaded = read(&folder);
        assert!(loaded.set.trials.is_empty());
        assert_eq!(loaded.faults.len(), 1, "byte {at}");
    }
}

#[test]
fn a_torn_part_is_a_fault_and_never_a_panic() {
    let folder = set();
    let victim = folder.path().join(VICTIM);
    let sound = fs::read(&victim).unwrap();
    for length in (0..sound.len()).step_by(sound.len() / 50) {
        fs::write(&victim, &sound[..length]).unwrap();
        assert!(matches!(only_fault(&folder), PartProblem::Torn), "{length} bytes");
    }
}

#[test]
fn a_file_that_is_no_part_is_a_fault() {
    let folder = set();
    let victim = folder.path().join(VICTIM);
    let sound = fs::read(&victim).unwrap();
    fs::write(&victim, "not Parquet").unwrap();
    assert!(matches!(only_fault(&folder), PartProblem::Torn));
    // Without the seal, as another program would write it.
    fs::write(&victim, unsealed(&sound)).unwrap();
    assert!(matches!(only_fault(&folder), PartProblem::Foreign));
    fs::write(&victim, &sound).unwrap();

    fs::copy(&victim, folder.path().join("trials/notes.parquet")).unwrap();
    fs::copy(&victim, folder.path().join("trials/other-00000.parquet")).unwrap();
    fs::write(folder.path().join("trials/notes.txt"), "mine").unwrap();
    let loaded = read(&folder);
    assert_eq!(loaded.set.trials, trials());
    assert_eq!(loaded.faults.len(), 2);
    assert!(loaded.faults.iter().all(|fault| matches!(fault.problem, PartProblem::Name)));
}

/// The file without the eight bytes before its footer.
fn unsealed(sealed: &[u8]) -> Vec<u8> {
    let length = sealed.len();
    let footer_length = u32::from_le_bytes(sealed[length - 8..length - 4].try_into().unwrap());
    let footer = length - 8 - usize::try_from(footer_length).unwrap();
    [&sealed[..footer - 8], &sealed[footer..]].concat()
}

#[test]
fn a_part_of_another_set_is_a_fault() {
    let folder = set();
    let other = tempfile::tempdir().unwrap();
    let mut manifest = manifest();
    manifest.metrics.push("energy_j".to_owned());
    write(other.path(), &manifest, &trials());
    fs::copy(other.path().join(VICTIM), folder.path().join(VICTIM)).unwrap();
    let problem = only_fault(&folder);
    assert!(
        matches!(&problem, PartProblem::Column { column, .. } if column.starts_with("energy_j")),
        "{problem}"
    );
}

#[test]
fn a_renamed_part_is_a_fault() {
    let folder = set();
    fs::copy(folder.path().join("trials/search-1-00002.parquet"), folder.path().join(VICTIM))
        .unwrap();
    assert!(matches!(only_fault(&folder), PartProblem::Misplaced { trial: 2, .. }));
}

#[test]
fn damaged_requests_are_a_fault() {
    let folder = set();
    let file = folder.path().join("requests/reference-00000.parquet");
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 1;
    fs::write(&file, bytes).unwrap();
    let loaded = read(&folder);
    assert_eq!(loaded.set.trials, trials(), "the trial itself is sound");
    let fault = loaded.requests("reference", TrialId(0)).unwrap_err();
    assert!(matches!(fault.problem, PartProblem::Damaged));

    fs::write(folder.path().join("requests/search-1-00000.parquet"), "").unwrap();
    assert!(loaded.requests("search-1", TrialId(0)).is_err());
}

#[test]
fn a_kill_at_any_step_loses_the_running_trial_and_no_other() {
    let sound = set();
    let row = fs::read(sound.path().join(VICTIM)).unwrap();
    let requests = fs::read(sound.path().join("requests/reference-00000.parquet")).unwrap();
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let leftovers = [
        vec![(format!("{REQUESTS}.tmp"), half(&requests))],
        vec![(format!("{REQUESTS}.tmp"), requests.clone())],
        vec![(REQUESTS.to_owned(), requests.clone())],
        vec![(REQUESTS.to_owned(), requests.clone()), (format!("{VICTIM}.tmp"), half(&row))],
        vec![(REQUESTS.to_owned(), requests), (format!("{VICTIM}.tmp"), row)],
    ];
    for leftover in leftovers {
        let folder = set();
        fs::remove_file(folder.path().join(VICTIM)).unwrap();
        for (name, bytes) in leftover {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let loaded = read(&folder);
        assert!(loaded.faults.is_empty());
        assert_eq!(loaded.set.trials, [&trials()[..2], &trials()[3..]].concat());

        let mut writer = Writer::open(folder.path(), &manifest()).unwrap();
        assert_eq!(temporaries(folder.path()), 0);
        writer.append(&trials()[2], None).unwrap();
        let loaded = read(&folder);
        assert_eq!(loaded.set.trials, trials());
        // The requests of the killed attempt are not taken for those of the next.
        assert_eq!(loaded.requests("search-1", TrialId(1)).unwrap(), None);
        assert_eq!(loaded.requests("reference", TrialId(0)).unwrap(), Some(records()));
    }
}

#[test]
fn opening_removes_its_own_leftovers_only() {
    let folder = set();
    for name in ["manifest.json.tmp", "trials/search-1-00009.parquet.tmp", "trials/mine.tmp"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    Writer::open(folder.path(), &manifest()).unwrap();
    assert_eq!(temporaries(folder.path()), 1);
    assert!(folder.path().join("trials/mine.tmp").exists());
}

/// Number of files below a folder that end in `.tmp`.
fn temporaries(folder: &Path) -> usize {
    let count = |path: PathBuf| {
        if path.is_dir() {
            temporaries(&path)
        } else {
            usize::from(path.extension().is_some_and(|end| end == "tmp"))
        }
    };
    fs::read_dir(folder).unwrap().map(|entry| count(entry.unwrap().path())).sum()
}
