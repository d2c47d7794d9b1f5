//! Sets of which week 2 did not measure the system, and of other goals than P95 E2E latency.

use std::{convert::Infallible, fs};

use slotune_report::week3;
use slotune_results::ResultSet;

use crate::synthetic::{main_job, records};

/// All that is shown of a set: the page, the page as HTML, and the pictures as SVG, each with its name.
fn shown(set: &ResultSet) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let written = week3::write(set, |t| Ok::<_, Infallible>(records(t)), folder.path())
        .expect("the folder is writable");
    let drawn = written.pictures.iter().filter(|path| path.extension().is_some_and(|e| e == "svg"));
    let texts = [&written.page, &written.html].into_iter().chain(drawn);
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("text"))
    };
    texts.map(read).collect()
}

#[test]
fn a_set_of_another_system_does_not_speak_of_weeks() {
    let mut other = main_job();
    other.manifest.backend.model = "org/another-model".to_owned();
    for (name, text) in shown(&other) {
        let lower = text.to_lowercase();
        // `week3-made-up` and the like are names, not words: none is in this set.
        assert!(!lower.contains("week"), "{name}: {text}");
        assert!(!text.contains("Qwen"), "{name}");
    }
    let [(_, page), (_, html), ..] = &shown(&other)[..] else { panic!("a page and its HTML") };
    assert!(page.starts_with("# Optimization Results\n"), "{page}");
    assert!(html.contains("<title>Optimization Results: org/another-model</title>"));

    let [(_, page), (_, html), ..] = &shown(&main_job())[..] else { panic!("a page and its HTML") };
    assert!(page.starts_with("# Week 3 Optimization Results\n"), "{page}");
    assert!(html.contains("<title>Week 3 Optimization Results: Qwen/Qwen2.5-7B-Instruct</title>"));
}

#[test]
fn a_set_of_another_model_does_not_speak_of_week_2() {
    let mut other = main_job();
    other.manifest.backend.model = "org/another-model".to_owned();
    let page = week3::page(&other).expect("it can be filled");
    assert!(page.contains("## Baseline Issues\n\n### 1. Queue Time\n\n**Measurement**: "));
    assert!(page.contains(
        "**Reading**: The queue has 85% of the latency: requests wait longer than they are served."
    ));
    assert!(page.contains("**Reading**: That is 390,446 requests a day."));
    assert!(page.contains("| Metric | Baseline (simulated) |"));

    // A folder or an organisation before the name is no other model.
    other.manifest.backend.model = "/models/Qwen2.5-7B-Instruct".to_owned();
    assert!(week3::page(&other).expect("it can be filled").contains("## Week 2 Baseline Issues"));
    // Without a baseline there is nothing to set beside it.
    other.trials.retain(|t| t.label.as_deref() != Some("baseline"));
    let page = week3::page(&other).expect("it can be filled");
    assert!(!page.contains("Week 2") && page.contains("## Baseline Issues"));
}
