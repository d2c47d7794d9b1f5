//! Sets of every schema version that was ever written are read.

use std::path::Path;

use slotune_core::{Estimate, Measurement, Outcome, State, TrialId};
use slotune_results::{Manifest, ResultSet, StoredTrial};
use slotune_serving::ServerFacts;

use crate::{
    round_trip::write,
    support::{manifest, records, timeline, trials},
};

/// Sets of each schema version, written once and committed.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

#[test]
fn version_1_is_read_for_ever() {
    let loaded = ResultSet::read(Path::new(FIXTURES).join("v1")).unwrap();
    assert!(loaded.faults.is_empty());
    let manifest = Manifest { schema_version: 1, command: String::new(), ..manifest() };
    let trials = trials().into_iter().map(as_version_1_tells).collect();
    assert_eq!(loaded.set, ResultSet { manifest, trials });
    assert_eq!(loaded.requests("reference", TrialId(0)).unwrap(), Some(records()));
    assert_eq!(loaded.timeline("reference", TrialId(0)).unwrap(), None);
}

/// To write it anew, which is right only before the first release, remove the folder and run this
/// test.
#[test]
fn version_2_is_read_for_ever() {
    let folder = Path::new(FIXTURES).join("v2");
    if !folder.exists() {
        write(&folder, &manifest(), &trials());
        std::fs::remove_file(folder.join(".lock")).unwrap();
        panic!("{} was missing and is written; look at it and commit it", folder.display());
    }
    let loaded = ResultSet::read(folder).unwrap();
    assert!(loaded.faults.is_empty());
    assert_eq!(loaded.set, ResultSet { manifest: manifest(), trials: trials() });
    assert_eq!(loaded.requests("reference", TrialId(0)).unwrap(), Some(records()));
    assert_eq!(loaded.timeline("reference", TrialId(0)).unwrap(), Some(timeline()));
}

/// The trial without what version 1 had no columns for.
fn as_version_1_tells(trial: StoredTrial) -> StoredTrial {
    let server = trial.server.map(|server| ServerFacts {
        vllm_version: None,
        prompt_tokens: None,
        output_tokens: None,
        completed_requests: None,
        ..server
    });
    let mut entry = trial.entry;
    if let State::Told { outcome: Outcome::Completed(measurement), .. } = &mut entry.state {
        *measurement =
            measurement.iter().fold(Measurement::new(), |measurement, (metric, estimate)| {
                let exact = Estimate { is_lower_bound: false, ..estimate };
                measurement.with_estimate(metric, exact)
            });
    }
    StoredTrial { entry, server, client: None, caveats: vec![], ..trial }
}
