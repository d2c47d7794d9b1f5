//! The page and its pictures, on result sets built in code.

use std::{collections::BTreeSet, convert::Infallible, fs, path::Path};

use crate::synthetic::{
    configuration, labelled, main_job, measurement, records, reference_of, trial,
};
use resvg::tiny_skia::Pixmap;
use slotune_core::{Bound, Estimate, Outcome, State};
use slotune_report::week3::{self, ReportError};
use slotune_results::{ResultSet, StoredTrial};
use slotune_serving::{Provenance, RequestRecord};

/// Headings of the template that the page fills, in its order.
const HEADINGS: [&str; 35] = [
    "# Week 3 Optimization Results",
    "## Overview",
    "## Week 2 Baseline Issues",
    "### 1. Queue Time Dominance (85%) - PRIMARY BOTTLENECK ⚠️",
    "### 2. Long Sequence Performance Issues",
    "### 3. Tail Latency Gap",
    "### 4. Limited Request Capacity",
    "## Week 3 Optimization Strategy",
    "## Optimization Results",
    "### 1. Queue Time Optimization",
    "### 2. Concurrent Sequences Optimization",
    "### 3. GPU Memory Utilization",
    "### 4. Chunked Prefill for Long Sequences",
    "### 5. Comprehensive Optimization",
    "### 6. What Each Parameter Does",
    "## Recommended Configuration",
    "## Performance Comparison",
    "### Before/After Summary",
    "### Visual Comparisons",
    "## Lessons Learned",
    "### What Worked",
    "### Challenges Encountered",
    "### Unexpected Findings",
    "## Next Steps",
    "### Immediate Actions",
    "### Validation",
    "### Production Deployment",
    "### Continue Learning Path",
    "## Execution Log",
    "## Technical Notes",
    "### Hardware Configuration",
    "### Test Environment",
    "**Status**",
    "**Command**",
    "*This document was written from its result set",
];

/// The headings of a set that has no baseline of week 2's model.
fn without_week2() -> Vec<&'static str> {
    let other = |heading: &&'static str| match *heading {
        "# Week 3 Optimization Results" => "# Optimization Results",
        "## Week 2 Baseline Issues" => "## Baseline Issues",
        "### 1. Queue Time Dominance (85%) - PRIMARY BOTTLENECK ⚠️" => "### 1. Queue Time",
        "### 2. Long Sequence Performance Issues" => "### 2. Long Sequences",
        "### 3. Tail Latency Gap" => "### 3. Tail Latency",
        "### 4. Limited Request Capacity" => "### 4. Request Capacity",
        "## Week 3 Optimization Strategy" => "## Optimization Strategy",
        same => same,
    };
    let headings = HEADINGS[..32].iter().filter(|h| **h != "### Continue Learning Path");
    headings.map(other).collect()
}

/// A set whose search beats the default beyond noise.
pub(crate) fn with_winner() -> ResultSet {
    let mut set = main_job();
    set.trials[1] = labelled("default", reference_of(1, configuration(512, 0.9, true)));
    set
}

/// A set in which no configuration meets the targets.
pub(crate) fn none_feasible() -> ResultSet {
    let mut set = main_job();
    set.manifest.objective.constraints[0].bound = Bound::AtLeast(5000.0);
    set
}

/// Sets that leave something out.
fn odd_sets() -> Vec<ResultSet> {
    let full = main_job();
    let mut empty = full.clone();
    empty.trials.clear();
    let mut no_studies = empty.clone();
    no_studies.manifest.studies.clear();
    let mut few = full.clone();
    few.trials.retain(|t| t.study == "bayesian" && t.entry.trial.id.0 < 1);
    let mut pending = full.clone();
    for t in &mut pending.trials {
        t.entry.state = State::Pending;
    }
    let mut bare = full.clone();
    for t in &mut bare.trials {
        if let State::Told { outcome: Outcome::Completed(measurement), .. } = &mut t.entry.state {
            *measurement = slotune_core::Measurement::new().with("e2e_p95_s", 1.0);
        }
    }
    let mut untargeted = full;
    untargeted.manifest.objective.constraints.clear();
    vec![empty, no_studies, few, pending, bare, untargeted]
}

pub(crate) fn page(set: &ResultSet) -> String {
    week3::page(set).expect("the page can be filled")
}

pub(crate) fn write(set: &ResultSet, folder: &Path) -> week3::Written {
    week3::write(set, |t| Ok::<_, Infallible>(records(t)), folder).expect("the folder is writable")
}

#[test]
fn every_part_of_the_template_is_there_and_filled() {
    let sets = [main_job(), with_winner(), none_feasible()];
    for set in sets.iter().chain(&odd_sets()) {
        let page = page(set);
        let has_baseline = set.trials.iter().any(|t| t.label.as_deref() == Some("baseline"));
        let headings = if has_baseline { HEADINGS[..32].to_vec() } else { without_week2() };
        let mut from = 0;
        for heading in headings {
            let at = page[from..]
                .find(&format!("{heading}\n"))
                .unwrap_or_else(|| panic!("{heading} is missing"));
            from += at + heading.len();
        }
        for part in &HEADINGS[32..] {
            assert!(page.contains(part), "{part}");
        }
        for unfilled in [
            "TBD",
            "Waiting",
            "Pending",
            "Placeholder",
            "To be ",
            "(Document",
            "python ",
            "NaN",
            "inf ",
        ] {
            assert!(!page.contains(unfilled), "{unfilled} in {page}");
        }
        assert!(page.ends_with("*\n") && !page.contains("\n\n\n\n"));
    }
}

#[test]
fn tables_are_well_formed() {
    let sets = [main_job(), with_winner(), none_feasible()];
    for set in sets.iter().chain(&odd_sets()) {
        let page = page(set);
        let lines: Vec<&str> = page.lines().collect();
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let mut tables = 0;
        for (i, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with('|')) {
            assert!(line.ends_with('|'), "{line}");
            if lines[i - 1].starts_with('|') {
                assert_eq!(columns(line), columns(lines[i - 1]), "{line}");
            } else {
                tables += 1;
                assert!(lines[i - 1].is_empty() && lines[i + 1].starts_with("|---|"), "{line}");
            }
        }
        assert!(tables >= 1);
    }
}

#[test]
fn the_verdict_is_said_plainly() {
    let kept = page(&main_job());
    assert!(kept.contains("**Keep the default**: it meets every target"));
    assert!(
        kept.contains(
            "vllm serve Qwen/Qwen2.5-7B-Instruct \\\n    --max-num-seqs 1024 \\\n    --gpu-memory-utilization 0.9 \\\n    --max-model-len 32768 \\\n"
        ),
        "the default's command"
    );
    assert!(kept.contains("`max_model_len` was not searched"));

    let won = page(&with_winner());
    assert!(won.contains("**Use the configuration below**: trial 2 of study `bayesian` meets every target with a P95 E2E latency of 1.65 s."));
    assert!(won.contains("P95 E2E latency is 15.6% lower ± 1.4 pp"));
    assert!(won.contains("    max_num_seqs=1024,\n    gpu_memory_utilization=0.95,"));
    assert!(won.contains("vllm serve Qwen/Qwen2.5-7B-Instruct \\\n    --max-num-seqs 1024 \\\n"));

    let none = page(&none_feasible());
    assert!(none.contains("**No configuration meets the targets.** The binding target is output throughput ≥ 5,000 tok/s (reached 1,534 tok/s), off by 69% of the bound"));
    assert!(!none.contains("vllm serve Qwen"), "nothing to recommend");
    assert!(none.contains("❌ Final configuration: none to recommend"));
}

#[test]
fn what_the_gain_costs_is_said_beside_it() {
    let mut set = with_winner();
    assert!(!page(&set).contains("worse than the default"));
    for (standard_error, said) in [
        (0.1, " It is worse than the default in P95 TTFT, 3.00 s against 0.553 s.\n"),
        (
            0.0,
            " It may be worse, by values of which no error is known, in P95 TTFT, 3.00 s against 0.553 s.\n",
        ),
    ] {
        let is_winner = |t: &&mut StoredTrial| t.study == "bayesian" && t.entry.trial.id.0 == 2;
        let winner = set.trials.iter_mut().find(is_winner).expect("it is there");
        if let State::Told { outcome: Outcome::Completed(measurement), .. } =
            &mut winner.entry.state
        {
            let ttft = Estimate::new(3.0, standard_error);
            *measurement = std::mem::take(measurement).with_estimate("ttft_p95_s", ttft);
        }
        let page = page(&set);
        assert!(page.contains(said), "{said}\n{page}");
        assert!(!page.contains("It may be worse") || standard_error == 0.0);
    }
}

#[test]
fn targets_scaled_to_another_baseline_are_explained() {
    let explained = "that of week 2; on output throughput and on P95 E2E latency, very long (500+ tokens), the bound is scaled so that it asks for the same gain as week 2 does.";
    let mut set = main_job();
    assert!(!page(&set).contains("the bound is scaled"), "they are those of week 2");
    let fast = measurement(10.0, 20.0, 50.0, 4745.0);
    set.trials[0] = labelled(
        "baseline",
        trial("reference", 0, configuration(256, 0.9, true), Outcome::Completed(fast)),
    );
    let constraints = &mut set.manifest.objective.constraints;
    constraints[0].bound = Bound::AtLeast(4745.0 * 1200.0 / 949.0);
    constraints[1].bound = Bound::AtMost(1.45 * 50.0 * 3.0 / 4.396);
    assert!(page(&set).contains(explained));
}

#[test]
fn a_configuration_that_is_no_command_says_why() {
    let mut set = with_winner();
    for t in &mut set.trials {
        let configuration = &mut t.entry.trial.configuration;
        *configuration = std::mem::take(configuration).with("max_num_sqs", 1);
    }
    let page = page(&set);
    assert!(page.contains("It cannot be written as a vLLM command: unknown engine argument `max_num_sqs`; did you mean `max_num_seqs`?"));
    assert!(!page.contains("```python"));
}

#[test]
fn the_origin_of_the_numbers_is_said_plainly() {
    let mut set = main_job();
    let simulated = page(&set);
    assert!(simulated.contains("> **Numbers are simulated, not measured.**"));
    assert!(
        simulated
            .contains("calibration `h100-sxm/qwen2.5-7b`: steps and runs measured on one H100")
    );
    assert!(simulated.contains("- **GPU**: NVIDIA H100 80GB (simulated)"));
    assert!(simulated.contains("- **CUDA Version**: not recorded"));
    assert!(simulated.contains("- **Date**: 2026-11-24 20:00:00 UTC\n"));
    let workload = set.manifest.workload.to_string();
    assert!(simulated.contains(&format!("- **Workload**: {workload}\n")));
    assert!(simulated.contains("| `grid` | 60 | 14 | 8 | 0 |"));
    assert!(simulated.contains("| 90 min | 35 min |"), "60 × 90 s, of it 52 × 40 s");

    set.manifest.backend.provenance = Provenance::Measured;
    let measured = page(&set);
    assert!(measured.contains("> **Numbers are measured** on a real server."));
    assert!(!measured.to_lowercase().contains("simulated"));
}

#[test]
fn text_from_outside_cannot_break_the_page() {
    let mut set = main_job();
    let reason = slotune_core::Reason::new("memory", "a | b `c`\n# not a heading\n```");
    set.trials.push(trial("grid", 60, configuration(256, 0.7, true), Outcome::Infeasible(reason)));
    set.trials.retain(|t| t.entry.measurement().is_some() || t.entry.trial.id.0 == 60);
    assert!(page(&set).contains("| `a \\| b 'c' # not a heading '''` |"));
}

#[test]
fn all_files_are_written_whole_and_the_same_each_time() {
    let set = with_winner();
    let (first, second) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let folder = first.path().join("made/where/missing");
    let written = write(&set, &folder);
    write(&set, second.path());
    assert_eq!(written.page, folder.join(week3::PAGE));
    let names: BTreeSet<String> = fs::read_dir(&folder)
        .expect("it was made")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
        .collect();
    let expected = [
        "latency_percentiles_comparison",
        "optimization_summary_dashboard",
        "parameter_effects",
        "parameter_importance",
        "queue_time_optimization_comparison",
        "throughput_optimization_comparison",
    ];
    let pictures = expected.iter().flat_map(|name| [format!("{name}.png"), format!("{name}.svg")]);
    assert_eq!(
        names,
        pictures.chain([week3::PAGE.to_owned(), week3::HTML_PAGE.to_owned()]).collect()
    );
    for name in &names {
        let bytes = fs::read(folder.join(name)).expect("written");
        assert_eq!(bytes, fs::read(second.path().join(name)).expect("written"), "{name}");
    }
    let page = fs::read_to_string(&written.page).expect("text");
    assert_eq!(page, week3::page(&set).expect("the same page"));
    for picture in expected {
        assert!(page.contains(&format!("]({picture}.png)")));
        let png = fs::read(folder.join(format!("{picture}.png"))).expect("written");
        let pixels = Pixmap::decode_png(&png).expect("it can be decoded");
        let expected = match picture {
            "optimization_summary_dashboard" => (1400, 1060),
            // Two rows of panels, for four parameters.
            "parameter_effects" => (1200, 680),
            _ => (1200, 560),
        };
        assert_eq!((pixels.width(), pixels.height()), expected);
        let inked = pixels.pixels().iter().filter(|pixel| pixel.red() < 128).count();
        assert!(inked > 5000, "{picture} has text and bars");
    }
}

#[test]
fn pictures_of_sparse_sets_can_be_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sets = odd_sets();
    sets.push(none_feasible());
    for set in &sets {
        let none = |_: &StoredTrial| Ok::<_, Infallible>(Vec::new());
        week3::write(set, none, folder.path()).expect("every set can be drawn");
    }
}

#[test]
fn faults_name_what_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let fail = |_: &StoredTrial| Err::<Vec<RequestRecord>, _>("file is gone");
    let error = week3::write(&main_job(), fail, folder.path()).expect_err("requests fail");
    assert_eq!(
        error.to_string(),
        "requests of trial 0 of study `reference` cannot be read: file is gone"
    );
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0, "nothing is left behind");

    let file = folder.path().join("file");
    fs::write(&file, "in the way").expect("writable");
    let error = week3::write(&main_job(), |t| Ok::<_, Infallible>(records(t)), &file)
        .expect_err("no folder");
    assert!(matches!(&error, ReportError::Write { path, .. } if *path == file), "{error}");
}
