//! Finals join a set that is there already.

use std::collections::BTreeMap;

use slotune_results::{
    FinalsManifest, Manifest, ResultSet, StudyManifest, StudyRole, WriteError, Writer,
};
use slotune_serving::{Workload, metrics::Slo, workload::Size};

use crate::{
    round_trip::write,
    support::{manifest, trials},
};

/// The set's workload, but with so many requests.
fn of(requests: u32) -> Workload {
    let Workload::Synthetic(mut synthetic) = manifest().workload else { panic!("it is synthetic") };
    synthetic.size = Size::Requests(requests);
    Workload::Synthetic(synthetic)
}

fn study(name: &str, trials: u64) -> StudyManifest {
    StudyManifest {
        name: name.to_owned(),
        role: StudyRole::Finals,
        sampler: "given".to_owned(),
        seed: 7,
        trials,
    }
}

fn finals(workloads: &[(&str, u32)]) -> FinalsManifest {
    let workloads =
        workloads.iter().map(|&(name, requests)| (name.to_owned(), of(requests))).collect();
    FinalsManifest { workloads, slo: Slo { ttft_s: Some(1.0), ..Slo::default() } }
}

#[test]
fn finals_are_planned_after_the_search_and_leave_the_rest_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &manifest(), &trials());
    let mut writer = Writer::open(folder.path(), &manifest()).unwrap();
    writer.plan_finals(&finals(&[("finals", 4)]), &[study("finals", 12)]).unwrap();
    // Another workload, more trials; fewer are as many as there were.
    writer
        .plan_finals(
            &finals(&[("finals", 4), ("finals_sustained", 20)]),
            &[study("finals", 9), study("finals_sustained", 12)],
        )
        .unwrap();
    let planned = writer.manifest().clone();
    drop(writer);
    let set = ResultSet::read(folder.path()).unwrap().set;
    assert_eq!(set.manifest, planned);
    let studies: Vec<(&str, u64)> =
        planned.studies[2..].iter().map(|study| (study.name.as_str(), study.trials)).collect();
    assert_eq!(studies, [("finals", 12), ("finals_sustained", 12)]);
    assert_eq!(*planned.workload_of("finals_sustained"), of(20));
    assert_eq!(*planned.workload_of("search-1"), planned.workload);
    let bare = Manifest { finals: None, studies: planned.studies[..2].to_vec(), ..planned.clone() };
    assert_eq!(bare, manifest());

    // Who goes on with the search need not know of them, and who has other trials is told.
    assert_eq!(Writer::open(folder.path(), &manifest()).unwrap().manifest(), &planned);
    assert_eq!(set.first_runs().count(), trials().len());
}

#[test]
fn finals_under_something_else_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &manifest(), &trials());
    let mut writer = Writer::open(folder.path(), &manifest()).unwrap();
    writer.plan_finals(&finals(&[("finals", 4)]), &[study("finals", 12)]).unwrap();
    let planned = writer.manifest().clone();
    let other_slo = FinalsManifest { slo: Slo::default(), ..finals(&[("finals", 4)]) };
    let other_seed = StudyManifest { seed: 8, ..study("finals", 12) };
    for (given, studies, field) in [
        (finals(&[("finals", 5)]), vec![study("finals", 12)], "finals.workloads.finals"),
        (other_slo, vec![study("finals", 12)], "finals.slo"),
        (finals(&[("finals", 4)]), vec![other_seed], "studies.finals"),
    ] {
        let error = writer.plan_finals(&given, &studies).unwrap_err();
        assert!(
            matches!(&error, WriteError::OtherStudy { field: seen, .. } if seen == field),
            "{error}"
        );
    }
    let nameless = FinalsManifest { workloads: BTreeMap::new(), ..finals(&[]) };
    let error = writer.plan_finals(&nameless, &[study("more", 3)]).unwrap_err();
    assert!(error.to_string().contains("`finals.workloads` lacks study `more`"), "{error}");
    assert_eq!(writer.manifest(), &planned);
    drop(writer);
    assert_eq!(ResultSet::read(folder.path()).unwrap().set.manifest, planned);
}
