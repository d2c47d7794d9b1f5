//! The optimization sections of the page: four that look at single parameters, and the search.

use serde::Serialize;
use slotune_core::Objective;

use super::{
    arguments::in_effect,
    lessons::NO_EFFECT,
    tables::{comparison, constraints, failures, front, improvements, sweep},
    wording::values,
};
use crate::{
    analysis::{Analysis, Curve, Level, Sweep, value},
    asked::{each_once, goals},
    format::{count, label, percent, quantity, setting},
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
    /// Of two goals.
    front: Option<String>,
    comparison: String,
    constraints: String,
    failures: String,
    status: String,
}

/// An optimization that looks at single parameters. Its section shows the study of its
/// [`name`](Self::name) and of the role [`StudyRole::Focus`](slotune_results::StudyRole::Focus),
/// and where a set has none, the grid, or else the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// Queue time over `max_num_seqs`.
    QueueTime,
    /// `max_num_seqs`.
    MaxNumSeqs,
    /// `gpu_memory_utilization`.
    GpuMemoryUtilization,
    /// Whether prompts are computed in chunks, and of which size.
    ChunkedPrefill,
}

impl Focus {
    /// All of them, in the order of the page.
    pub const ALL: [Self; 4] =
        [Self::QueueTime, Self::MaxNumSeqs, Self::GpuMemoryUtilization, Self::ChunkedPrefill];

    /// Name of its study.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueTime => "queue_time",
            Self::MaxNumSeqs => "max_num_seqs",
            Self::GpuMemoryUtilization => "gpu_memory_utilization",
            Self::ChunkedPrefill => "chunked_prefill",
        }
    }

    /// The parameters that it varies.
    pub const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::QueueTime | Self::MaxNumSeqs => &["max_num_seqs"],
            Self::GpuMemoryUtilization => &["gpu_memory_utilization"],
            Self::ChunkedPrefill => &[
                "enable_chunked_prefill",
                "long_prefill_token_threshold",
                "max_num_batched_tokens",
            ],
        }
    }
}

/// The first four optimizations: their headings, parameters, and the metrics that they are about, after those
/// of the goals.
pub(super) fn sections(analysis: &Analysis<'_>) -> Vec<Section> {
    const P95: &str = "e2e_p95_s";
    const SHARE: &str = "queue_share";
    const TOKENS: &str = "output_throughput_tok_per_s";
    const REQUESTS: &str = "request_throughput_per_s";
    const VERY_LONG: &str = "e2e_p95_very_long_s";
    const TTFT: &str = "ttft_p95_s";
    type Plan = (&'static str, Focus, &'static [&'static str]);
    const PLANS: [Plan; 4] = [
        ("1. Queue Time Optimization", Focus::QueueTime, &["queue_time_p50_s", SHARE, TTFT]),
        ("2. Concurrent Sequences Optimization", Focus::MaxNumSeqs, &[TOKENS, REQUESTS, P95]),
        ("3. GPU Memory Utilization", Focus::GpuMemoryUtilization, &[P95, TOKENS, SHARE]),
        (
            "4. Chunked Prefill for Long Sequences",
            Focus::ChunkedPrefill,
            &[VERY_LONG, P95, TTFT, TOKENS],
        ),
    ];
    PLANS.map(|(heading, focus, metrics)| section(analysis, heading, focus, metrics)).into()
}

fn section(
    analysis: &Analysis<'_>,
    heading: &'static str,
    focus: Focus,
    metrics: &[&str],
) -> Section {
    let objective = analysis.objective();
    let metrics = each_once(goals(objective).chain(metrics.iter().copied()));
    let parameters = focus.parameters();
    let own = analysis.focused.iter().find(|(study, _)| *study == focus.name());
    let (study, all) = own
        .map_or((analysis.sweep_study, &analysis.sweeps), |(study, sweeps)| (Some(*study), sweeps));
    let study =
        study.map_or("a search or grid of this set".to_owned(), |name| format!("study `{name}`"));
    let sweeps: Vec<_> = parameters
        .iter()
        .filter_map(|name| all.iter().find(|sweep| sweep.parameter == *name))
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
        results.push(sweep(analysis, found, &metrics));
        results.push(summary(objective, found));
    }
    if !missing.is_empty() {
        results.push(format!(
            "{} did not vary in {study}, so the page shows no effect of it.",
            named(&missing)
        ));
    }
    let trials: usize =
        sweeps.iter().map(|s| s.levels.iter().map(|l| l.trials.len()).sum()).max().unwrap_or(0);
    let tested = |sweep: &&Sweep<'_>| {
        let values: Vec<String> = sweep.levels.iter().map(values).collect();
        format!("`{}` at {}", sweep.parameter, values.join(", "))
    };
    results.extend(baseline(analysis, parameters, &metrics));
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

/// What a sweep shows, and how much it can.
fn summary(objective: &Objective, sweep: &Sweep<'_>) -> String {
    if sweep.settings == 0 {
        return format!(
            "No setting of the other parameters was measured at every value: the medians are over all measured trials, and do not tell what `{}` does by itself. Section 6 does, as far as it can be told; `slotune suite` varies it alone.",
            sweep.parameter
        );
    }
    let compared = format!(
        "Medians over {} of the other parameters, those measured at every value.",
        count(sweep.settings, "setting")
    );
    let medians = || {
        let (best, worst) = (sweep.best_level(objective)?, sweep.worst_level(objective)?);
        let metric = &objective.metric;
        let of = |level: &Level<'_>| {
            Some(format!("{} ({})", setting(level.value), quantity(metric, level.median(metric)?)))
        };
        Some(if sweep.effect(objective)? < NO_EFFECT {
            format!(
                " The {} differs by less than {} between values.",
                label(metric),
                percent(NO_EFFECT)
            )
        } else {
            format!(
                " The {} is best with {} and worst with {}.",
                label(metric),
                of(best)?,
                of(worst)?
            )
        })
    };
    format!("{compared}{}", medians().unwrap_or_default())
}

/// The baseline beside a section's tables, which may not go as far as it.
fn baseline(analysis: &Analysis<'_>, parameters: &[&str], metrics: &[&str]) -> Option<String> {
    let trial = analysis.baseline?;
    let settings: Vec<String> = parameters
        .iter()
        .filter_map(|name| Some(format!("`{name}` = {}", setting(Some(&in_effect(trial, name)?)))))
        .collect();
    let measured: Vec<String> = metrics
        .iter()
        .filter_map(|m| Some(format!("{} {}", label(m), quantity(m, value(trial, m)?))))
        .collect();
    (!settings.is_empty() && !measured.is_empty()).then(|| {
        format!("For comparison, the baseline ({}): {}.", settings.join(", "), measured.join("; "))
    })
}

/// The search over all parameters, and what it is compared with.
pub(super) fn search(analysis: &Analysis<'_>) -> Search {
    let comparison = comparison(analysis)
        .unwrap_or_else(|| "This set holds no other study to compare with.".to_owned());
    let constraints = constraints(analysis)
        .unwrap_or_else(|| "No search trial was measured, or there are no targets.".to_owned());
    let failures = failures(analysis).unwrap_or_else(|| "No trial ended without one.".to_owned());
    let (configuration, improvements, status) = match analysis.search() {
        None => (
            "no search in this set".to_owned(),
            "No trial of a search.".to_owned(),
            "➖ No search in this set".to_owned(),
        ),
        Some(search) => (
            searched(analysis, search),
            improvements(analysis, search)
                .unwrap_or_else(|| "No trial met every target.".to_owned()),
            format!(
                "{}: {} of {} planned",
                if search.points.len() as u64 >= search.study.trials {
                    "✅ Done"
                } else {
                    "⏳ Not complete"
                },
                count(search.points.len(), "trial"),
                search.study.trials
            ),
        ),
    };
    let front = front(analysis);
    Search { configuration, improvements, front, comparison, constraints, failures, status }
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
