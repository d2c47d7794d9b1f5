//! Damaged, torn, foreign and leftover files: each is named, nothing panics.

use std::{
    fs,
    path::{Path, PathBuf},
};

use slotune_core::{TrialId, random::derive};
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
fn a_bit_flipped_at_any_of_a_thousand_places_gives_an_error_and_never_another_number() {
    // One trial, so that each reading is quick.
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &manifest(), &trials()[..1]);
    let sound = read(&folder).set;
    let names = ["manifest.json", "trials/reference-00000.parquet"]
        .into_iter()
        .chain(["requests/reference-00000.parquet", "timelines/reference-00000.parquet"]);
    let files: Vec<(&str, Vec<u8>)> =
        names.map(|name| (name, fs::read(folder.path().join(name)).unwrap())).collect();
    let bytes: usize = files.iter().map(|(_, file)| file.len()).sum();
    for flip in 0..1000 {
        let mut place = usize::try_from(derive(7, "flip/place", flip)).unwrap() % bytes;
        let bit = derive(7, "flip/bit", flip) % 8;
        let (name, file) = files
            .iter()
            .find(|(_, file)| {
                let is_here = place < file.len();
                place -= if is_here { 0 } else { file.len() };
                is_here
            })
            .expect("the place is in one of them");
        let path = folder.path().join(name);
        let mut damaged = file.clone();
        damaged[place] ^= 1 << bit;
        fs::write(&path, &damaged).unwrap();
        let at = format!("bit {bit} of byte {place} of {name}");
        match (*name, ResultSet::read(folder.path())) {
            // A manifest whose checksum no longer looks like one is not checked.
            ("manifest.json", Ok(loaded)) => assert_eq!(loaded.set, sound, "{at}"),
            ("manifest.json", Err(_)) => {}
            (_, Err(error)) => panic!("{at}: {error}"),
            (name, Ok(loaded)) => {
                let (study, trial) = ("reference", TrialId(0));
                let is_row = name.starts_with("trials");
                assert_eq!(loaded.faults.len(), usize::from(is_row), "{at}");
                assert_eq!(loaded.set.trials.len(), usize::from(!is_row), "{at}");
                let is_fault = [
                    loaded.requests(study, trial).is_err(),
                    loaded.timeline(study, trial).is_err(),
                ];
                let expected = ["requests", "timelines"].map(|parts| name.starts_with(parts));
                assert_eq!(is_fault, expected, "{at}");
            }
        }
        fs::write(&path, file).unwrap();
    }
    assert_eq!(read(&folder).set, sound);
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
fn a_changed_manifest_is_named_unless_it_was_changed_on_purpose() {
    let folder = set();
    let path = folder.path().join("manifest.json");
    let sound = fs::read_to_string(&path).unwrap();
    let changed = sound.replace("\"seed\": 7", "\"seed\": 8");
    fs::write(&path, &changed).unwrap();
    let message = ResultSet::read(folder.path()).unwrap_err().to_string();
    assert!(message.contains("do not match its `checksum`"), "{message}");
    let without = changed.lines().filter(|line| !line.contains("\"checksum\""));
    // The member before it loses its comma.
    let json = without.collect::<Vec<_>>().join("\n").replace("],\n}", "]\n}");
    fs::write(&path, json).unwrap();
    assert_eq!(ResultSet::read(folder.path()).unwrap().set.manifest.studies[0].seed, 8);
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
