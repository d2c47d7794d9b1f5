//! What the template is filled with.

use minijinja::{Environment, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;
use slotune_core::Configuration;
use slotune_serving::Provenance;

use super::{
    arguments::{python, vllm_serve},
    lessons,
    sections::{
        before_after, comparison, constraints, execution_log, failures, improvements, missed,
        parameters, sweep, targets,
    },
    wording::{configuration, kind, list, source},
};
use crate::{
    analysis::{Analysis, Curve, Verdict, value},
    format::{count, label, objective, percent, quantity},
    plot::CAPTIONS,
    subject::{Role, subjects},
};

const TEMPLATE: &str = include_str!("page.md.jinja");

/// All that the template names; Markdown unless said otherwise.
#[derive(Serialize)]
struct Page {
    status: String,
    banner: String,
    kind: &'static str,
    simulated: bool,
    /// What this set's baseline had, one for each issue of week 2, in their order.
    reproduced: [String; 4],
    objective: String,
    targets: String,
    sections: Vec<Section>,
    search: Search,
    verdict: String,
    parameters: String,
    /// A Python program.
    python: String,
    /// A shell command.
    command: String,
    recommended: bool,
    before_after: String,
    pictures: Vec<(&'static str, &'static str)>,
    worked: String,
    challenges: String,
    unexpected: String,
    complete: String,
    targets_met: String,
    execution_log: String,
    hardware: Vec<(&'static str, String)>,
    environment: Vec<(&'static str, String)>,
}

/// One of the optimizations that look at single parameters.
#[derive(Serialize)]
struct Section {
    heading: &'static str,
    configuration: String,
    results: String,
    status: String,
}

/// The search over all parameters at once.
#[derive(Serialize)]
struct Search {
    configuration: String,
    improvements: String,
    comparison: String,
    constraints: String,
    failures: String,
    status: String,
}

/// The page.
pub(super) fn fill(analysis: &Analysis<'_>) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    environment.set_syntax(syntax.build()?);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.add_template("page.md", TEMPLATE)?;
    environment.get_template("page.md")?.render(Serde(Page::new(analysis)))
}

impl Page {
    fn new(analysis: &Analysis<'_>) -> Self {
        let manifest = &analysis.set.manifest;
        let backend = &manifest.backend;
        let chosen: Configuration = match &analysis.verdict {
            Verdict::Change(found) => found.trial.entry.trial.configuration.clone(),
            _ => analysis
                .default
                .map_or_else(Configuration::new, |d| d.entry.trial.configuration.clone()),
        };
        Self {
            status: status(analysis),
            banner: banner(analysis),
            kind: kind(backend),
            simulated: backend.provenance != Provenance::Measured,
            reproduced: reproduced(analysis),
            objective: objective(&manifest.objective),
            targets: targets(analysis),
            sections: sections(analysis),
            search: search(analysis),
            verdict: lessons::verdict(analysis),
            parameters: parameters(analysis),
            python: python(&backend.model, &chosen),
            command: vllm_serve(&backend.model, &chosen),
            recommended: matches!(
                analysis.verdict,
                Verdict::Change(_) | Verdict::KeepDefault { .. }
            ),
            before_after: before_after(analysis),
            pictures: CAPTIONS.to_vec(),
            worked: list(&lessons::worked(analysis)),
            challenges: list(&lessons::challenges(analysis)),
            unexpected: list(&lessons::unexpected(analysis)),
            complete: complete(analysis),
            targets_met: targets_met(analysis),
            execution_log: execution_log(analysis),
            hardware: hardware(analysis),
            environment: test_environment(analysis),
        }
    }
}

fn status(analysis: &Analysis<'_>) -> String {
    let manifest = &analysis.set.manifest;
    format!(
        "{} of {}, begun {}, slotune {}",
        count(analysis.set.trials.len(), "trial"),
        count(manifest.studies.len(), "study").replace("studys", "studies"),
        manifest.created,
        manifest.slotune_version,
    )
}

/// Whether the numbers are simulated, and on which calibration.
fn banner(analysis: &Analysis<'_>) -> String {
    let backend = &analysis.set.manifest.backend;
    match &backend.provenance {
        Provenance::Measured => {
            format!("**Numbers are measured** on a real server. {}.", source(backend))
        }
        Provenance::Simulated(calibration) => format!(
            "**Numbers are simulated, not measured.** They come from slotune's model of vLLM {} serving {}, calibration `{}`: {}. Confirm a configuration on a real server before relying on it.",
            backend.vllm_version,
            backend.model,
            calibration.preset,
            calibration.basis.trim_end_matches('.'),
        ),
    }
}

/// The baseline of this set beside each issue of week 2.
fn reproduced(analysis: &Analysis<'_>) -> [String; 4] {
    const ISSUES: [&[&str]; 4] = [
        &["queue_time_p50_s", "queue_share", "e2e_p50_s"],
        &["e2e_p95_very_long_s", "e2e_p95_tiny_s", "e2e_p95_medium_s"],
        &["e2e_p50_s", "e2e_p95_s", "e2e_p99_s"],
        &["output_throughput_tok_per_s", "request_throughput_per_s"],
    ];
    let kind = kind(&analysis.set.manifest.backend);
    ISSUES.map(|metrics| match analysis.baseline {
        None => "this result set has no baseline trial".to_owned(),
        Some(trial) if trial.entry.measurement().is_none() => {
            "the baseline trial was not measured".to_owned()
        }
        Some(trial) => {
            let seen = metrics.iter().filter_map(|metric| Some((metric, value(trial, metric)?)));
            let seen: Vec<String> = seen
                .map(|(metric, v)| format!("{} {}", label(metric), quantity(metric, v)))
                .collect();
            if seen.is_empty() {
                "not recorded".to_owned()
            } else {
                format!("{} ({kind})", seen.join("; "))
            }
        }
    })
}

/// The first four optimizations: their headings, parameters, and the metrics that they are about.
fn sections(analysis: &Analysis<'_>) -> Vec<Section> {
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
                "Best median {} at `{}` = {}; the worst value's is {} higher.",
                label(&objective.metric),
                found.parameter,
                super::wording::value(best.value),
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
    let tested = |sweep: &&crate::analysis::Sweep<'_>| {
        let values: Vec<String> =
            sweep.levels.iter().map(|l| super::wording::value(l.value)).collect();
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

fn search(analysis: &Analysis<'_>) -> Search {
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

fn complete(analysis: &Analysis<'_>) -> String {
    let told = analysis.set.trials.iter().filter(|trial| !trial.entry.is_pending()).count();
    let planned: u64 = analysis.set.manifest.studies.iter().map(|study| study.trials).sum();
    let mark = if told as u64 >= planned { "✅" } else { "⏳" };
    format!("{mark} Complete all Week 3 optimizations: {told} of {planned} trials")
}

/// Whether what the page advises meets the targets.
fn targets_met(analysis: &Analysis<'_>) -> String {
    let kind = kind(&analysis.set.manifest.backend);
    let role = match analysis.verdict {
        Verdict::KeepDefault { .. } => Role::Default,
        _ => Role::Found,
    };
    let Some(subject) = subjects(analysis).into_iter().find(|subject| subject.role == role) else {
        return "➖ no configuration to check".to_owned();
    };
    let missed = missed(analysis, &subject);
    if missed.is_empty() {
        format!(
            "✅ all targets met ({kind}) by {}",
            configuration(&subject.trial.entry.trial.configuration)
        )
    } else {
        format!("❌ not met ({kind}): {}", missed.join(" and "))
    }
}

fn hardware(analysis: &Analysis<'_>) -> Vec<(&'static str, String)> {
    let backend = &analysis.set.manifest.backend;
    let hardware = &backend.hardware;
    let known = |value: Option<String>| value.unwrap_or_else(|| "not recorded".to_owned());
    let simulated = if backend.provenance == Provenance::Measured { "" } else { " (simulated)" };
    vec![
        ("GPU", known(hardware.gpu.as_ref().map(|gpu| format!("{gpu}{simulated}")))),
        ("GPUs", known(hardware.gpus.map(|gpus| gpus.to_string()))),
        (
            "VRAM",
            known(
                hardware
                    .gpu_memory_gib
                    .map(|gib| format!("{} GiB", crate::format::significant(gib))),
            ),
        ),
        ("Driver Version", known(hardware.driver_version.clone())),
        ("CUDA Version", known(hardware.cuda_version.clone())),
        ("vLLM Version", format!("{}{simulated}", backend.vllm_version)),
        ("slotune Version", analysis.set.manifest.slotune_version.clone()),
    ]
}

fn test_environment(analysis: &Analysis<'_>) -> Vec<(&'static str, String)> {
    let manifest = &analysis.set.manifest;
    let others = match manifest.backend.provenance {
        Provenance::Measured => "not recorded",
        Provenance::Simulated(_) => "none: nothing else runs on a simulated GPU",
    };
    vec![
        ("Date", manifest.created.clone()),
        ("Model", manifest.backend.model.clone()),
        ("Other Workloads", others.to_owned()),
    ]
}
