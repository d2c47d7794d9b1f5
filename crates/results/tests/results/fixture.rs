use std::path::Path;

use slotune_core::TrialId;
use slotune_results::ResultSet;

use crate::{
    round_trip::write,
    support::{manifest, records, trials},
};

/// A set of schema version 1, written once and committed. To write it anew, which is right only
/// before the first release, remove the folder and run this test.
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/v1");

#[test]
fn version_1_is_read_for_ever() {
    let folder = Path::new(FIXTURE);
    if !folder.exists() {
        write(folder, &manifest(), &trials());
        std::fs::remove_file(folder.join(".lock")).unwrap();
        panic!("{FIXTURE} was missing and is written; look at it and commit it");
    }
    let loaded = ResultSet::read(folder).unwrap();
    assert!(loaded.faults.is_empty());
    assert_eq!(loaded.set, ResultSet { manifest: manifest(), trials: trials() });
    assert_eq!(loaded.requests("reference", TrialId(0)).unwrap(), Some(records()));
}
