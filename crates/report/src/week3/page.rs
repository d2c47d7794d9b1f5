//! What the template is filled with.

use minijinja::{Environment, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;
use slotune_core::{Outcome, State};
use slotune_results::StoredTrial;
use slotune_serving::{BackendInfo, Provenance, Workload};

use super::{
    arguments::{as_run, python, vllm_serve},
    documented::Week2,
    effects::EffectsSection,
    finals,
    issues::{Issue, issues},
    lessons,
    sections::{Search, Section, search, sections},
    tables::{before_after, parameters, targets},
    verdict,
    wording::{configuration, date, kind, list, miss, source},
};
use crate::{
    analysis::{Analysis, Effects, Verdict, misses},
    asked::{goals, unlike_loads},
    finals::FinalsReport,
    format::{and, count, label, objective, significant, span},
    plot::captions,
    subject::{Role, subjects},
};

const TEMPLATE: &str = include_str!("page.md.jinja");

/// All that the template names; Markdown unless said otherwise.
#[derive(Serialize)]
struct Page {
    title: &'static str,
    status: String,
    banner: String,
    /// Empty where it is not known.
    command: String,
    /// Who served what: a sentence.
    workload: String,
    /// Whether every trial served the same requests.
    alike: bool,
    kind: &'static str,
    simulated: bool,
    /// Whether week 2 measured the system of this set.
    week2: bool,
    model: String,
    /// What this set's baseline had, in week 2's order.
    issues: [Issue; 4],
    objective: String,
    /// The metrics of the goals.
    goals: String,
    targets: String,
    sections: Vec<Section>,
    search: Search,
    effects: EffectsSection,
    /// Empty where there are none.
    finals: String,
    verdict: String,
    parameters: String,
    /// Empty where every change is needed.
    fewer_changes: String,
    /// The advised configuration as programs; empty where none is advised.
    programs: String,
    before_after: String,
    pictures: Vec<(&'static str, String)>,
    worked: String,
    challenges: String,
    unexpected: String,
    complete: String,
    targets_met: String,
    /// What the finals say under a realistic and under a sustained load; `None` where they do not.
    validation: [Option<String>; 2],
    execution_log: String,
    hardware: Vec<(&'static str, String)>,
    environment: Vec<(&'static str, String)>,
}

/// The page.
pub(super) fn fill(
    analysis: &Analysis<'_>,
    effects: &Effects,
    finals: &FinalsReport,
) -> Result<String, minijinja::Error> {
    render("page.md", TEMPLATE, &Page::new(analysis, effects, finals))
}

/// Fills a template; where its name ends in `.html`, values are escaped.
pub(super) fn render(
    name: &str,
    template: &str,
    values: &impl Serialize,
) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    environment.set_syntax(syntax.build()?);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.add_template(name, template)?;
    environment.get_template(name)?.render(Serde(values))
}

impl Page {
    fn new(analysis: &Analysis<'_>, effects: &Effects, finals: &FinalsReport) -> Self {
        let manifest = &analysis.set.manifest;
        let backend = &manifest.backend;
        Self {
            title: title(analysis),
            status: status(analysis),
            banner: banner(analysis),
            command: manifest.command.clone(),
            workload: served(&manifest.workload),
            alike: unlike_loads(&manifest.workload).is_none(),
            kind: kind(backend),
            simulated: backend.provenance != Provenance::Measured,
            week2: Week2::of(analysis).is_some(),
            model: backend.model.clone(),
            issues: issues(analysis),
            objective: objective(&manifest.objective),
            goals: and(&goals(&manifest.objective).map(label).collect::<Vec<_>>()),
            targets: targets(analysis),
            sections: sections(analysis),
            search: search(analysis),
            effects: EffectsSection::new(analysis, effects),
            finals: finals::section(analysis, finals),
            verdict: verdict::paragraph(analysis),
            parameters: parameters(analysis),
            fewer_changes: verdict::fewer_changes(analysis),
            programs: analysis.verdict.advised().map_or_else(String::new, |t| programs(backend, t)),
            before_after: before_after(analysis),
            pictures: captions(&manifest.objective),
            worked: list(&lessons::worked(analysis)),
            challenges: list(&lessons::challenges(analysis)),
            unexpected: list(&lessons::unexpected(analysis)),
            complete: complete(analysis),
            targets_met: targets_met(analysis),
            validation: finals::validation(analysis),
            execution_log: execution_log(analysis),
            hardware: hardware(analysis),
            environment: test_environment(analysis),
        }
    }
}

/// Who served what.
fn served(workload: &Workload) -> String {
    unlike_loads(workload).map_or_else(
        || format!("Every trial served the same workload: {workload}."),
        |unlike| format!("**Not the same load**: {unlike}."),
    )
}

/// What the page is called: as the template is, where it continues week 2.
pub(super) fn title(analysis: &Analysis<'_>) -> &'static str {
    match Week2::of(analysis) {
        Some(_) => "Week 3 Optimization Results",
        None => "Optimization Results",
    }
}

/// The configuration of a trial in Python and as a shell command, and what in it was not searched.
fn programs(backend: &BackendInfo, trial: &StoredTrial) -> String {
    let arguments = match as_run(trial, backend) {
        Ok(arguments) => arguments,
        Err(error) => return format!("It cannot be written as a vLLM command: {error}."),
    };
    let searched = &trial.entry.trial.configuration;
    let as_run = arguments.to_configuration();
    let fixed: Vec<String> = as_run
        .iter()
        .filter(|(name, _)| searched.get(name).is_none())
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    let fixed = if fixed.is_empty() {
        String::new()
    } else {
        format!(
            "{} {} not searched; the numbers of this page hold for the {} above.\n\n",
            and(&fixed),
            if fixed.len() == 1 { "was" } else { "were" },
            if fixed.len() == 1 { "value" } else { "values" },
        )
    };
    let (python, command) =
        (python(&backend.model, &arguments), vllm_serve(&backend.model, &arguments));
    format!("```python\n{python}\n```\n\nAs a server:\n\n```bash\n{command}\n```\n\n{fixed}")
        .trim_end()
        .to_owned()
}

fn status(analysis: &Analysis<'_>) -> String {
    let manifest = &analysis.set.manifest;
    format!(
        "{} of {}, begun {}, slotune {}",
        count(analysis.set.trials.len(), "trial"),
        count(manifest.studies.len(), "study"),
        date(&manifest.created),
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

fn complete(analysis: &Analysis<'_>) -> String {
    let told = analysis.set.trials.len();
    let planned: u64 = analysis.set.manifest.studies.iter().map(|study| study.trials).sum();
    let mark = if told as u64 >= planned { "✅" } else { "⏳" };
    format!("{mark} Complete all optimizations: {told} of {planned} trials")
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
    // Where it was repeated, the mean of the repeats is the better answer.
    let repeated = analysis.finals.as_ref().and_then(|finals| finals.judged(subject.trial));
    let measurement = repeated.as_ref().or(subject.trial.entry.measurement());
    let missed: Vec<String> = measurement
        .map_or_else(Vec::new, |m| misses(analysis.objective(), m).iter().map(miss).collect());
    if missed.is_empty() {
        format!(
            "✅ all targets met ({kind}) by {}",
            configuration(&subject.trial.entry.trial.configuration)
        )
    } else {
        format!("❌ not met ({kind}): {}", and(&missed))
    }
}

/// The steps that the set records, ticked where they are complete.
fn execution_log(analysis: &Analysis<'_>) -> String {
    let kind = kind(&analysis.set.manifest.backend);
    let steps = analysis.set.manifest.studies.iter().map(|study| {
        let trials = || analysis.set.study(&study.name);
        let told = trials().count();
        let tick = if told as u64 >= study.trials { 'x' } else { ' ' };
        // Those of the finals come round by round.
        let mut labels: Vec<&str> = Vec::new();
        for label in trials().filter_map(|trial| trial.label.as_deref()) {
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        let what =
            if labels.is_empty() { String::new() } else { format!(": {}", labels.join(", ")) };
        let outcomes = |is: fn(&Outcome) -> bool, words: &str| match trials()
            .filter(|t| matches!(&t.entry.state, State::Told { outcome, .. } if is(outcome)))
            .count()
        {
            0 => String::new(),
            some => format!(", {some} {words}"),
        };
        let cost = trials().map(|trial| match trial.entry.state {
            State::Told { cost, .. } => cost,
            State::Pending => 0.0,
        });
        format!(
            "- [{tick}] Study `{}`, sampler {}, seed {}: {told} of {}{what}{}{}{}, {} {kind} in all",
            study.name,
            study.sampler,
            study.seed,
            count(usize::try_from(study.trials).unwrap_or(usize::MAX), "trial"),
            outcomes(|o| matches!(o, Outcome::Infeasible(_)), "could not run"),
            outcomes(|o| matches!(o, Outcome::Failed(_)), "failed"),
            outcomes(|o| matches!(o, Outcome::Pruned(_)), "pruned"),
            span(cost.sum()),
        )
    });
    steps.collect::<Vec<_>>().join("\n")
}

fn hardware(analysis: &Analysis<'_>) -> Vec<(&'static str, String)> {
    let backend = &analysis.set.manifest.backend;
    let hardware = &backend.hardware;
    let known = |value: Option<String>| value.unwrap_or_else(|| "not recorded".to_owned());
    let simulated = if backend.provenance == Provenance::Measured { "" } else { " (simulated)" };
    vec![
        ("GPU", known(hardware.gpu.as_ref().map(|gpu| format!("{gpu}{simulated}")))),
        ("GPUs", known(hardware.gpus.map(|gpus| gpus.to_string()))),
        ("VRAM", known(hardware.gpu_memory_gib.map(|gib| format!("{} GiB", significant(gib))))),
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
        ("Date", date(&manifest.created)),
        ("Model", manifest.backend.model.clone()),
        ("Workload", manifest.workload.to_string()),
        ("Other Workloads", others.to_owned()),
    ]
}
