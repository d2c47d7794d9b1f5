//! Sets of which week 2 did not measure the system, and of other goals than P95 E2E latency.

use std::{convert::Infallible, fs};

use slotune_core::{Goal, Measurement, Objective, Outcome, State};
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
    // The slash is escaped.
    assert!(html.contains("<title>Optimization Results: org&"));

    let [(_, page), (_, html), ..] = &shown(&main_job())[..] else { panic!("a page and its HTML") };
    assert!(page.starts_with("# Week 3 Optimization Results\n"), "{page}");
    assert!(html.contains("<title>Week 3 Optimization Results: Qwen&"));
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

/// A set of another system with this objective, whose targets stay; every measured trial has these metrics too,
/// each from its P95 E2E latency.
fn aimed_at(objective: Objective, metrics: &[(&str, f64)]) -> ResultSet {
    let mut set = main_job();
    "org/another-model".clone_into(&mut set.manifest.backend.model);
    let constraints = std::mem::take(&mut set.manifest.objective.constraints);
    set.manifest.objective = Objective { constraints, ..objective };
    for trial in &mut set.trials {
        if let State::Told { outcome: Outcome::Completed(measurement), .. } = &mut trial.entry.state
        {
            let latency = measurement.value("e2e_p95_s").expect("measured");
            let with = |all: Measurement, (metric, factor): &(&str, f64)| {
                all.with(*metric, latency * factor)
            };
            *measurement = metrics.iter().fold(std::mem::take(measurement), with);
        }
    }
    set
}

/// The first cells of the rows of the table under a heading.
fn rows_under(page: &str, heading: &str) -> Vec<String> {
    let (_, after) = page.split_once(heading).expect("the heading is there");
    let lines = after.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let table = lines.take_while(|line| line.starts_with('|'));
    table.map(|line| line.split(" | ").next().expect("a cell")[2..].to_owned()).collect()
}

#[test]
fn a_study_of_the_ttft_is_told_by_the_ttft() {
    let metrics = [("ttft_p50_s", 0.1), ("ttft_p95_s", 0.25), ("ttft_p99_s", 0.3)];
    let set = aimed_at(Objective::minimise("ttft_p95_s"), &metrics);
    let shown = shown(&set);
    let of = |name: &str| {
        let found = shown.iter().find(|(own, _)| own == name);
        found.map_or_else(|| panic!("{name} is missing"), |(_, text)| text.as_str())
    };
    let page = of("week3.md");
    assert_eq!(
        rows_under(page, "### Before/After Summary")[..4],
        [
            "**P95 TTFT**",
            "Output throughput",
            "P95 E2E latency, very long (500+ tokens)",
            "Queue share of E2E latency",
        ]
    );
    for said in [
        "### 3. Tail Latency\n\n**Measurement**: P50 TTFT 1.41 s; P95 TTFT 3.52 s; P99 TTFT 4.23 s (simulated).",
        "**Reading**: The slowest 5% have at least 2.50 times the median TTFT.",
        "| Trial | P95 TTFT | Output throughput | Configuration |",
        "`vllm:kv_cache_usage_perc`, and P95 TTFT at the client",
        "![Percentiles and distribution of TTFT](latency_percentiles_comparison.png)",
        "![Complete overview: minimize P95 TTFT](optimization_summary_dashboard.png)",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    for section in ["1. Queue Time Optimization", "2. Concurrent", "3. GPU", "4. Chunked"] {
        let (_, after) = page.split_once(&format!("### {section}")).expect("it is there");
        let table = after.lines().find(|line| line.starts_with('|')).expect("a table");
        assert!(table.contains("| P95 TTFT (median) |"), "{section}: {table}");
        assert_eq!(table.matches("P95 TTFT (median)").count(), 1, "{section}: {table}");
    }
    let latencies = of("latency_percentiles_comparison.svg");
    for said in ["TTFT before and after", "Percentiles of TTFT", "Distribution of TTFT"] {
        assert!(latencies.contains(said), "{said}");
    }
    assert!(!latencies.contains("E2E"), "{latencies}");
    let dashboard = of("optimization_summary_dashboard.svg");
    for said in [
        "Optimization summary: minimize P95 TTFT",
        "Best P95 TTFT that meets all targets, so far",
        "Percentiles of TTFT",
    ] {
        assert!(dashboard.contains(said), "{said}");
    }
    assert!(of("week3.html").contains("<th scope=\"col\" class=\"number\">P95 TTFT</th>"));
}

#[test]
fn a_study_of_the_goodput_shows_the_goodput_first() {
    let goodput = [("goodput_per_s", 2.0)];
    let shown = shown(&aimed_at(Objective::maximise("goodput_per_s"), &goodput));
    let of = |name: &str| &shown.iter().find(|(own, _)| own == name).expect("it is there").1;
    assert_eq!(rows_under(of("week3.md"), "### Before/After Summary")[0], "**Goodput**");
    assert!(of("week3.md").contains("; Goodput 28.2 req/s (simulated)."), "{}", of("week3.md"));
    let throughput = of("throughput_optimization_comparison.svg");
    let at = |word: &str| throughput.find(word).unwrap_or_else(|| panic!("{word} is missing"));
    assert!(at("Goodput") < at("Output throughput"));
    assert!(of("latency_percentiles_comparison.svg").contains("E2E latency before and after"));
    assert!(of("optimization_summary_dashboard.svg").contains("Goodput"));
}

#[test]
fn two_goals_are_shown_against_each_other() {
    let metrics = ["ttft", "tpot"].map(|kind| {
        [("p50", 0.1), ("p95", 0.2), ("p99", 0.3)]
            .map(|(p, factor)| (format!("{kind}_{p}_s"), factor))
    });
    let metrics: Vec<(&str, f64)> =
        metrics.iter().flatten().map(|(m, f)| (m.as_str(), *f)).collect();
    let objective = Objective::minimise("ttft_p95_s").against(Goal::minimise("tpot_p95_s"));
    let shown = shown(&aimed_at(objective, &metrics));
    let of = |name: &str| &shown.iter().find(|(own, _)| own == name).expect("it is there").1;
    let page = of("week3.md");
    assert_eq!(
        rows_under(page, "### Before/After Summary")[..3],
        ["**P95 TTFT**", "**P95 TPOT**", "Output throughput"]
    );
    assert!(page.contains("| Trial | P95 TTFT | P95 TPOT | Configuration |"), "{page}");
    let latencies = of("latency_percentiles_comparison.svg");
    for said in ["TTFT and TPOT before and after", "Percentiles of TTFT", "Distribution of TPOT"] {
        assert!(latencies.contains(said), "{said}");
    }
    assert!(of("optimization_summary_dashboard.svg").contains("P95 TPOT, s"));
}

#[test]
fn a_study_of_the_throughput_is_not_drawn_against_itself() {
    let objective = Objective::maximise("output_throughput_tok_per_s");
    let shown = shown(&aimed_at(objective, &[]));
    let of = |name: &str| &shown.iter().find(|(own, _)| own == name).expect("it is there").1;
    assert!(
        of("week3.md").contains("| Trial | Output throughput | P95 E2E latency | Configuration |")
    );
    assert!(of("optimization_summary_dashboard.svg").contains("P95 E2E latency, s"));
}
