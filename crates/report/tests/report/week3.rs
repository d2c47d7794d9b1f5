//! The page and its pictures, on result sets built in code.

use std::{collections::BTreeSet, convert::Infallible, fs, path::Path};

use crate::synthetic::{
    configuration, labelled, main_job, measurement, records, reference_of, trial,
};
use resvg::tiny_skia::Pixmap;
use slotune_core::{Bound, Constraint, Direction, Estimate, Measurement, Outcome, State};
use slotune_report::week3::{self, ReportError};
use slotune_results::{ResultSet, StoredTrial};
use slotune_serving::{Caveat, CaveatClass, Provenance, RequestRecord};

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
fn with_winner() -> ResultSet {
    let mut set = main_job();
    set.trials[1] = labelled("default", reference_of(1, configuration(512, 0.9, true)));
    set
}

/// A set in which no configuration meets the targets.
fn none_feasible() -> ResultSet {
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

fn page(set: &ResultSet) -> String {
    week3::page(set).expect("the page can be filled")
}

fn write(set: &ResultSet, folder: &Path) -> week3::Written {
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
fn the_same_caveat_of_many_trials_is_one_lesson_that_names_them() {
    let mut set = main_job();
    let unsettled = Caveat::new(CaveatClass::NotSteady, "latency did not settle");
    for trial in set.trials.iter_mut().filter(|t| t.study != "random" && t.entry.trial.id.0 < 4) {
        trial.caveats.push(unsettled.clone());
    }
    set.trials[0].caveats.push(Caveat::new(CaveatClass::ClientLate, "sent 7 ms late"));
    set.trials[1].caveats.push(Caveat::new(CaveatClass::ClientLate, "sent 9 ms late"));
    let folder = tempfile::tempdir().expect("a folder");
    let written = write(&set, folder.path());
    let page = fs::read_to_string(written.page).expect("text");
    for lesson in [
        "- 10 of 122 trials carry the note `not_steady` (`reference` 0, 1; `bayesian` 0 to 3; `grid` 0 to 3): latency did not settle.\n",
        "- 2 of 122 trials carry the note `client_late` (`reference` 0, 1): the first says: sent 7 ms late.\n",
    ] {
        assert!(page.contains(lesson), "{lesson}\n{page}");
    }
    // The table of all trials has what is the same once, too, and what differs in each row.
    let html = fs::read_to_string(written.html).expect("text");
    assert_eq!(html.matches("latency did not settle").count(), 1);
    assert_eq!(html.matches("<p>not_steady</p>").count(), 10);
    assert!(html.contains("<p>client_late: sent 9 ms late</p>"));
    // A list that nobody reads is a number.
    for trial in set.trials.iter_mut().filter(|t| t.study == "grid" && t.entry.trial.id.0 % 2 == 1)
    {
        trial.caveats.push(Caveat::new(CaveatClass::Rejected, "one request was refused"));
    }
    let lesson = "- 30 of 122 trials carry the note `rejected` (30 trials of `grid`): one request was refused.\n";
    assert!(slotune_report::week3::page(&set).unwrap().contains(lesson));
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
fn week_2_stays_as_documented_beside_the_sets_own_baseline() {
    let page = page(&main_job());
    for row in [
        "| **Queue Time %** | 85.0% | 85 ± 1% | 2 ± 1% | 2 ± 1% |",
        "| **P95 Latency** | 2.544 s | 14.1 ± 0.2 s |",
        "| **Long Seq (500+ tok)** | 4.396 s |",
        "| **Throughput** | 949 tok/s | 949 tok/s | 1,453 tok/s | 1,487 tok/s | 57% higher (uncertainty unknown) | 2.4% higher (uncertainty unknown) |",
        "| **Request Capacity** | 4.6 req/s |",
    ] {
        assert!(page.contains(row), "{row}");
    }
}

/// The set with a baseline that measured this.
fn with_baseline(measurement: Measurement) -> ResultSet {
    let mut set = main_job();
    let baseline = configuration(256, 0.9, true);
    set.trials[0] =
        labelled("baseline", trial("reference", 0, baseline, Outcome::Completed(measurement)));
    set
}

#[test]
fn what_week_2_concluded_stands_where_the_baseline_agrees() {
    // 85 % in the queue, P95 at 3 times P50, and no class of lengths.
    let agrees = Measurement::new()
        .with("queue_share", 0.85)
        .with("queue_time_p50_s", 10.47)
        .with("e2e_p50_s", 1.0)
        .with("e2e_p95_s", 3.0)
        .with("request_throughput_per_s", 4.6);
    let page = page(&with_baseline(agrees));
    for said in [
        "P50 E2E latency 1.00 s (simulated). The queue has 85% of the latency: requests wait longer than they are served.\n",
        "(simulated). The slowest 5% have at least 3.00 times the median E2E latency.\n",
        "(simulated). That is 397,440 requests a day.\n",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    assert!(!page.contains("Not so in this study"), "{page}");
}

#[test]
fn what_week_2_concluded_is_contradicted_where_the_baseline_does() {
    let differs = Measurement::new()
        .with("queue_share", 0.3724)
        .with("e2e_p50_s", 5.0)
        .with("e2e_p95_s", 8.0)
        .with("queue_time_p95_s", 0.5)
        .with("e2e_p95_tiny_s", 1.0)
        .with("e2e_p95_very_long_s", 2.5)
        .with("request_throughput_per_s", 13.8);
    let page = page(&with_baseline(differs));
    for said in [
        "requests do not spend most of their time waiting (37% of it), so a queue before `max_num_seqs` = 256 is not the primary bottleneck.",
        "very long outputs take 2.50 s at P95, which is < 3.0 s; very long outputs have at least 10 times the tokens of tiny ones and take 2.50 times as long, so the latency grows more slowly than the length, not faster; the baseline has chunked prefill.",
        "the tail is short: P95 is 1.60 times P50, where week 2 has 2.99 times; the queue hardly adds to it, with a P95 queue time of 0.500 s.",
        "the baseline serves 1,192,320 requests a day, 3.00 times as many.",
    ] {
        assert!(
            page.contains(&format!("\n\n**Not so in this study**: {said}\n\n")),
            "{said}\n{page}"
        );
    }
    // The quotes stay as they are.
    assert!(page.contains("**Root Cause**: Default `max_num_seqs` parameter (likely 256)"));
}

#[test]
fn a_set_with_nothing_to_set_side_by_side_says_so() {
    let mut set = main_job();
    set.manifest.studies.retain(|study| study.name == "grid");
    set.trials.retain(|trial| trial.study == "grid");
    let page = page(&set);
    assert!(
        page.contains("This set has no baseline, no default and no search to set side by side.")
    );
    assert!(!page.contains("| Metric |"), "{page}");
}

#[test]
fn a_change_from_what_may_be_nothing_is_a_difference() {
    let mut set = with_winner();
    let default = &mut set.trials[1];
    if let State::Told { outcome: Outcome::Completed(measurement), .. } = &mut default.entry.state {
        let share = Estimate::new(0.000_01, 0.000_01);
        *measurement = std::mem::take(measurement).with_estimate("queue_share", share);
    }
    let page = page(&set);
    let row = page.lines().find(|line| line.starts_with("| **Queue Time %** |")).expect("a row");
    assert!(row.ends_with("| 1.80 pp more (worse) |"), "{row}");
}

#[test]
fn lessons_come_from_the_numbers() {
    let won = page(&with_winner());
    for lesson in [
        "`max_num_seqs` matters: the median P95 E2E latency is 1.86 s with 1024 and 4.59 s with 256.",
        "The search was as good as the best of all 60 trials of the grid (1.65 s) after 3; the grid needed 35.",
        "15 of 122 trials could not run (memory).",
        "5 of 26 measured search trials missed the target queue share of E2E latency ≤ 50%, always with another target.",
        "`stream_interval` made no difference to speak of",
        "More is not better for `max_num_seqs`: the median P95 E2E latency is best at 1024 and 69% higher at 4096.",
        "The simulated baseline is furthest from week 2 in P50 E2E latency: 12.2 s against 0.850 s documented.",
    ] {
        assert!(won.contains(lesson), "{lesson}");
    }
    // A level that no target allows is not held up as the best to have.
    let mut strict = with_winner();
    let bound = Constraint::at_least("output_throughput_tok_per_s", 1e9);
    strict.manifest.objective.constraints = vec![bound];
    assert!(page(&strict).contains("with 1024 (no trial with that meets every target) and 4.59 s"));
    // Without a grid nothing is claimed of single parameters.
    let mut search_only = with_winner();
    search_only.trials.retain(|t| t.study != "grid");
    search_only.manifest.studies.retain(|s| s.name != "grid");
    let page = page(&search_only);
    assert!(!page.contains("matters: the median"));
}

#[test]
fn lessons_know_which_way_is_better() {
    let mut set = with_winner();
    set.manifest.objective.metric = "request_throughput_per_s".to_owned();
    set.manifest.objective.direction = Direction::Maximise;
    let lesson = "Most of the improvement comes with vLLM's defaults: request throughput goes from 4.52 req/s to ";
    assert!(page(&set).contains(lesson), "{}", page(&set));
    // The default is worse than the baseline, so nothing comes with it.
    set.manifest.objective.direction = Direction::Minimise;
    assert!(!page(&set).contains("Most of the improvement"));
}

#[test]
fn an_empty_comparison_hides_no_other() {
    let mut set = with_winner();
    set.trials.retain(|t| t.study != "random");
    let page = page(&set);
    assert!(page.contains("- After 30 trials "), "of the grid: {page}");
}

#[test]
fn a_search_behind_the_grid_is_admitted() {
    let mut set = with_winner();
    set.trials.retain(|t| t.study != "bayesian" || t.entry.trial.id.0 < 2);
    assert!(page(&set).contains(
        "The search did not reach the best of all 60 trials of the grid (1.65 s) in 2 trials."
    ));
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
