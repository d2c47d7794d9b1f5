use std::{fs, path::Path};

use slotune_core::TrialId;
use slotune_results::{Loaded, PartProblem, ResultSet, Writer};
use tempfile::TempDir;

use crate::{
    round_trip::write,
    support::{manifest, records, trials},
};

const VICTIM: &str = "trials/search-1-00001.parquet";

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
    manifest.metrics.push("ttft_p95_s".to_owned());
    write(other.path(), &manifest, &trials());
    fs::copy(other.path().join(VICTIM), folder.path().join(VICTIM)).unwrap();
    let problem = only_fault(&folder);
    assert!(
        matches!(&problem, PartProblem::Column { column, .. } if column.starts_with("ttft_p95_s")),
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
fn a_kill_loses_the_running_trial_and_no_other() {
    let folder = set();
    let at = |name: &str| folder.path().join(name);
    // Killed while it wrote a trial part, after it had renamed the requests.
    fs::rename(at(VICTIM), at("trials/search-1-00001.parquet.tmp")).unwrap();
    fs::copy(at("requests/reference-00000.parquet"), at("requests/search-1-00001.parquet"))
        .unwrap();
    fs::write(at("manifest.json.tmp"), "{").unwrap();
    let mine = at("trials/notes.tmp");
    fs::write(&mine, "not a leftover").unwrap();

    let loaded = read(&folder);
    assert!(loaded.faults.is_empty());
    assert_eq!(loaded.set.trials, [&trials()[..2], &trials()[3..]].concat());

    let mut writer = Writer::open(folder.path(), &manifest()).unwrap();
    assert_eq!(names_ending(folder.path(), ".tmp"), 0);
    assert_eq!(names_ending(&at("trials"), ".tmp"), 1);
    assert!(mine.exists());
    writer.append(&trials()[2], None).unwrap();
    let loaded = read(&folder);
    assert_eq!(loaded.set.trials, trials());
    assert_eq!(
        loaded.requests("search-1", TrialId(1)).unwrap(),
        None,
        "the requests of the killed attempt are not taken for those of the next"
    );
    assert_eq!(loaded.requests("reference", TrialId(0)).unwrap(), Some(records()));
}

fn names_ending(folder: &Path, suffix: &str) -> usize {
    fs::read_dir(folder)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with(suffix))
        .count()
}
