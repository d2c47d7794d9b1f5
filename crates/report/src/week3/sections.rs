//! The optimization sections of the page: four that look at single parameters, and the search.

use serde::Serialize;

use super::{
    tables::{comparison, constraints, failures, improvements, sweep},
    wording::value as setting,
};
use crate::{
    analysis::{Analysis, Curve, Sweep},
    format::{count, label, percent},
};

/// One of the optimizations that look at single parameters.
#[derive(Serialize)]
pub(super) struct Section {
    heading: &'static str,
    configuration: String,
    results: String,
    status: String,
}

/// The search over all parameters at once.
#[derive(Serialize)]
pub(super) struct Search {
    configuration: String,
    improvements: String,
    comparison: String,
    constraints: String,
    failures: String,
    status: String,
}

/// The first four optimizations: their headings, parameters, and the metrics that they are about.
pub(super) fn sections(analysis: &Analysis<'_>) -> Vec<Section> {
    const P95: &str = "e2e_p95_s";
    const SHARE: &str = "queue_share";
    const TOKENS: &str = "output_throughput_tok_per_s";
    const REQUESTS: &str = "request_throughput_per_s";
    const VERY_LONG: &str = "e2e_p95_very_long_s";
    const TTFT: &str = "ttft_p95_s";
    type Plan = (&'static str, &'static [&'static str], &'static [&'static str]);
    const PLANS: [Plan; 4] = [
        ("1. Queue Time Optimization", &["max_num_seqs"], &["queue_time_p50_s", SHARE, TTFT]),
        ("2. Concurrent Sequences Optimization", &["max_num_seqs"], &[TOKENS, REQUESTS, P95]),
        ("3. GPU Memory Utilization", &["gpu_memory_utilization"], &[P95, TOKENS, SHARE]),
        (
            "4. Chunked Prefill for Long Sequences",
            &["enable_chunked_prefill", "long_prefill_token_threshold", "max_num_batched_tokens"],
            &[VERY_LONG, P95, TTFT, TOKENS],
        ),
    ];
    PLANS
        .map(|(heading, parameters, metrics)| section(analysis, heading, parameters, metrics))
        .into()
}

fn section(
    analysis: &Analysis<'_>,
    heading: &'static str,
    parameters: &[&str],
    metrics: &[&str],
) -> Section {
    let objective = analysis.objective();
    let study =
        analysis.sweep_study.map_or("no study".to_owned(), |name| format!("study `{name}`"));
    let sweeps: Vec<_> = parameters
        .iter()
        .filter_map(|name| analysis.sweeps.iter().find(|s| s.parameter == *name))
        .collect();
    let named = |names: &[&str]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let missing: Vec<&str> = parameters
        .iter()
        .copied()
        .filter(|name| sweeps.iter().all(|s| s.parameter != *name))
        .collect();
    let mut results: Vec<String> = Vec::new();
    for found in &sweeps {
        results.push(sweep(analysis, found, metrics));
        if let (Some(effect), Some(best)) = (found.effect(objective), found.best_level(objective)) {
            results.push(format!(
                "Best median {} at `{}` = {}; the worst value's differs by {}.",
                label(&objective.metric),
                found.parameter,
                setting(best.value),
                percent(effect),
            ));
        }
    }
    if !missing.is_empty() {
        results.push(format!(
            "{} did not vary in {study}, so this set shows no effect.",
            named(&missing)
        ));
    }
    let trials: usize =
        sweeps.iter().map(|s| s.levels.iter().map(|l| l.trials.len()).sum()).max().unwrap_or(0);
    let tested = |sweep: &&Sweep<'_>| {
        let values: Vec<String> = sweep.levels.iter().map(|l| setting(l.value)).collect();
        format!("`{}` at {}", sweep.parameter, values.join(", "))
    };
    if !sweeps.is_empty() && analysis.grid().is_none() {
        results.push(format!(
            "{study} is no grid: the rows differ in other parameters too, and are a hint only."
        ));
    }
    let configuration = if sweeps.is_empty() {
        named(parameters)
    } else {
        sweeps.iter().map(tested).collect::<Vec<_>>().join("; ")
    };
    Section {
        heading,
        configuration,
        results: results.join("\n\n"),
        status: if sweeps.is_empty() {
            format!("➖ Not varied in {study}")
        } else {
            format!("✅ Done: {} of {study}", count(trials, "trial"))
        },
    }
}

/// The search over all parameters, and what it is compared with.
pub(super) fn search(analysis: &Analysis<'_>) -> Search {
    let none = |what: &str| what.to_owned();
    let comparison = comparison(analysis)
        .unwrap_or_else(|| none("This set holds no other study to compare with."));
    let constraints = constraints(analysis)
        .unwrap_or_else(|| none("No search trial was measured, or there are no targets."));
    let failures = failures(analysis).unwrap_or_else(|| none("Every trial was measured."));
    let (configuration, improvements, status) = match analysis.search() {
        None => (
            none("no search in this set"),
            none("No trial of a search."),
            none("➖ No search in this set"),
        ),
        Some(search) => (
            searched(analysis, search),
            improvements(analysis, search).unwrap_or_else(|| none("No trial met every target.")),
            format!(
                "✅ Done: {} of {} planned",
                count(search.points.len(), "trial"),
                search.study.trials
            ),
        ),
    };
    Search { configuration, improvements, comparison, constraints, failures, status }
}

fn searched(analysis: &Analysis<'_>, search: &Curve<'_>) -> String {
    let parameters = analysis.set.manifest.space.parameters().iter();
    let domains: Vec<String> =
        parameters.map(|p| format!("`{}` ({})", p.name(), p.domain())).collect();
    format!(
        "study `{}`, sampler {}, seed {}, over {}",
        search.study.name,
        search.study.sampler,
        search.study.seed,
        domains.join("; ")
    )
}
