//! The Week-3 studies in order, and their page.

use std::fs;

use slotune::results::{ResultSet, StudyRole};

use super::{ok, slotune, stderr, stdout, write_study};

#[test]
fn a_suite_fills_the_page_from_one_result_set_and_goes_on_where_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_study(here, 3, 60);
    let output = slotune(here, &["suite", "study.toml", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let advice: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one object");
    assert_eq!(advice["complete"], true);
    let set = ResultSet::read(here.join("study-suite")).unwrap().set;
    let counts: Vec<(&str, StudyRole, usize)> = set
        .manifest
        .studies
        .iter()
        .map(|study| (study.name.as_str(), study.role, set.study(&study.name).count()))
        .collect();
    assert_eq!(
        counts,
        [
            ("reference", StudyRole::Reference, 2),
            ("queue_time", StudyRole::Focus, 5),
            ("max_num_seqs", StudyRole::Focus, 10),
            ("gpu_memory_utilization", StudyRole::Focus, 7),
            ("chunked_prefill", StudyRole::Focus, 10),
            ("comprehensive", StudyRole::Search, 3),
            // Of three trials two are the default's: one other configuration has six rounds beside it.
            ("finals", StudyRole::Finals, 12),
            ("finals_sustained", StudyRole::Finals, 12),
        ]
    );
    let page = fs::read_to_string(here.join("study-suite/week3.md")).unwrap();
    for line in [
        "**Configuration**: `max_num_seqs` at 256, 512, 1024, 2048, 4096",
        "**Status**: ✅ Done: 5 trials of study `queue_time`",
        "**Status**: ✅ Done: 10 trials of study `max_num_seqs`",
        "**Status**: ✅ Done: 7 trials of study `gpu_memory_utilization`",
        "**Status**: ✅ Done: 10 trials of study `chunked_prefill`",
        "- [x] Study `comprehensive`, sampler bayesian, seed 0: 3 of 3 trials",
    ] {
        assert!(page.lines().any(|other| other.starts_with(line)), "{line}\n{page}");
    }
    let html = fs::read_to_string(here.join("study-suite/week3.html")).unwrap();
    assert_eq!(html.matches("<td>comprehensive</td>").count(), 3, "every trial has its row");

    // As if it had been killed within the fourth study.
    for part in fs::read_dir(here.join("study-suite/trials")).unwrap() {
        let path = part.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_later = ["comprehensive-", "finals-", "finals_sustained-"]
            .iter()
            .any(|study| name.starts_with(study));
        if is_later || (name.starts_with("chunked_prefill-") && name > "chunked_prefill-00005") {
            fs::remove_file(&path).unwrap();
        }
    }
    let again = slotune(here, &["suite", "study.toml", "--json"]);
    assert_eq!(stdout(&again), stdout(&output));
    assert_eq!(ResultSet::read(here.join("study-suite")).unwrap().set, set);
}

#[test]
fn a_sweep_goes_over_the_grid_of_the_documents() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let path = write_study(here, 3, 30);
    // Few values, so that the sweep is short.
    let text = fs::read_to_string(&path).unwrap();
    let text = text
        .replace("range = [32, 4096]", "range = [32, 512]")
        .replace("range = [512, 32768]", "range = [8192, 32768]")
        .replace("0.85, 0.90, 0.92, 0.95", "0.85")
        .replace("gpu_memory_utilization = 0.90\n", "");
    fs::write(&path, text).unwrap();
    ok(here, &["suite", "study.toml", "--grid"]);
    let set = ResultSet::read(here.join("study-suite-grid")).unwrap().set;
    let count = |study: &str| set.study(study).count();
    assert_eq!(count("queue_time"), 2, "256 and 512");
    assert_eq!(count("gpu_memory_utilization"), 4, "0.70 to 0.85");
    assert_eq!(count("chunked_prefill"), 3, "both with 16384, one with 8192");
    assert_eq!(count("comprehensive"), 2 * 4 * 3);
    let studies = set.manifest.studies[1..].iter();
    let mut sweeps = studies.filter(|study| study.role != StudyRole::Finals);
    assert!(sweeps.all(|study| study.sampler == "grid"));
    assert_eq!(set.manifest.studies.len(), 6 + 2, "the finals come last");
}
