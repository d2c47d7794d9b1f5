//! What a result set says to do, in a line and as one object.

use std::fmt;

use serde::Serialize;
use slotune_core::{Configuration, Measurement};
use slotune_results::StoredTrial;
use slotune_serving::{Provenance, engine_arguments::ArgumentError};

use crate::{
    analysis::{Analysis, FewerChanges, Price, Recommendation, Verdict, value},
    asked::{capped, unlike_loads},
    finals::{FinalsReport, distance, out_of_reach},
    format,
    week3::{
        as_run,
        wording::{change, miss},
    },
};

/// Most metrics that the line on what is worse tells; the page and JSON have all.
const MOST_PRICES: usize = 4;

/// What a result set says to do. As JSON, one object with these fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// `change`, `keep_default`, `no_configuration_meets_the_targets` or `nothing_measured`.
    pub verdict: &'static str,
    /// Whether the numbers are simulated.
    pub simulated: bool,
    /// Whether every search, and every final, has spent its trials.
    pub complete: bool,
    /// Study of the advised trial; this and what follows is `None` where none is advised.
    pub study: Option<String>,
    /// Number of the advised trial.
    pub trial: Option<u64>,
    /// Its configuration.
    pub configuration: Option<Configuration>,
    /// What it measured.
    pub metrics: Option<Measurement>,
    /// The shell command that starts its server.
    pub vllm_serve: Option<String>,
    /// Fewer changes that the model expects to do as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fewer_changes: Option<FewerChanges>,
    /// Where the objective has two goals: the trials of the search that meet every target and that no other
    /// beats in both, by the first goal. The verdict is by the first goal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub front: Vec<Choice>,
    /// What the advised configuration is worse in: a change than vLLM's default, and the default than the
    /// baseline.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<Price>,
    /// Where nothing meets the targets: the trial that comes closest, with what it misses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closest: Option<Closest>,
    /// Its finals, where they were [asked for](Self::with_finals).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finals: Option<FinalsReport>,
    /// The lines of the text below the first and above the command.
    #[serde(skip)]
    notes: Vec<String>,
    #[serde(skip)]
    summary: String,
}

/// A trial that two goals leave to choose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// Its study.
    pub study: String,
    /// Its number.
    pub trial: u64,
    /// Its configuration.
    pub configuration: Configuration,
    /// What it measured.
    pub metrics: Measurement,
}

/// The trial that comes closest to meeting the targets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Closest {
    /// The trial.
    #[serde(flatten)]
    pub trial: Choice,
    /// The targets that it misses, the one that it misses by most first, such as `queue_share <= 0.5`.
    pub misses: Vec<String>,
}

impl Advice {
    /// What an analysed set says.
    ///
    /// # Errors
    /// When the advised configuration holds a name or value that is no engine argument.
    pub fn new(analysis: &Analysis<'_>) -> Result<Self, ArgumentError> {
        let set = analysis.set;
        let verdict = match &analysis.verdict {
            Verdict::Change(_) => "change",
            Verdict::KeepDefault { .. } => "keep_default",
            Verdict::NoneFeasible(_) => "no_configuration_meets_the_targets",
            Verdict::NothingMeasured => "nothing_measured",
        };
        let trial = analysis.verdict.advised();
        let backend = &set.manifest.backend;
        let simulated = matches!(backend.provenance, Provenance::Simulated(_));
        let searches = analysis.curves.iter().map(|curve| (curve.study, curve.points.len() as u64));
        let finals = analysis.finals.iter().flat_map(|finals| &finals.all);
        let finals = finals.map(|one| (one.study, set.study(&one.study.name).count() as u64));
        let unfinished: Vec<String> = searches
            .chain(finals)
            .filter(|&(study, done)| done < study.trials)
            .map(|(study, done)| {
                format!("not complete: study {} has {done} of {} trials", study.name, study.trials)
            })
            .collect();
        let command = trial
            .map(|trial| as_run(trial, backend))
            .transpose()?
            .map(|arguments| arguments.vllm_serve_command(&backend.model));
        let complete = unfinished.is_empty();
        let mut notes = unfinished;
        notes.extend(unlike_loads(&set.manifest.workload));
        notes.extend(final_notes(analysis));
        notes.extend(front_notes(analysis));
        let fewer_changes = analysis.fewer_changes();
        notes.extend(fewer_changes.iter().map(|fewer| in_words(analysis, fewer)));
        let prices = analysis.prices();
        notes.extend(price_note(&analysis.verdict, &prices));
        if let Verdict::Change(Recommendation { default_misses, .. }) = &analysis.verdict
            && !default_misses.is_empty()
        {
            let missed: Vec<String> = default_misses.iter().map(miss).collect();
            notes.push(format!("vLLM's default misses {}", format::and(&missed)));
        }
        notes.extend(excluded_notes(analysis));
        match &analysis.verdict {
            Verdict::NoneFeasible(near) => notes.push(format!(
                "closest came {}, which misses {}",
                near.trial.name(),
                format::and(&near.misses().map(miss).collect::<Vec<_>>())
            )),
            Verdict::NothingMeasured if !set.trials.is_empty() => notes.push(
                "this set holds no measured trial of a search; `slotune analyse` asks all of its trials".to_owned(),
            ),
            Verdict::KeepDefault { best, .. } if !analysis.is_decided_by_finals => {
                notes.push(best_beside_default(analysis, best.as_ref()));
                notes.extend(capped(&set.manifest).map(str::to_owned));
            }
            Verdict::Change(Recommendation { change: Some(change), .. })
                if change.is_error_unknown() && !analysis.is_decided_by_finals =>
            {
                notes.push(
                    "nothing is known of how uncertain the difference to the default is; `slotune finals` would \
                     repeat both"
                        .to_owned(),
                );
            }
            _ => {}
        }
        Ok(Self {
            verdict,
            simulated,
            complete,
            study: trial.map(|trial| trial.study.clone()),
            trial: trial.map(|trial| trial.entry.trial.id.0),
            configuration: trial.map(|trial| trial.entry.trial.configuration.clone()),
            metrics: trial.and_then(|trial| trial.entry.measurement().cloned()),
            vllm_serve: command,
            fewer_changes,
            front: analysis.front.iter().filter_map(|trial| choice(trial)).collect(),
            prices,
            closest: closest(&analysis.verdict),
            finals: None,
            notes,
            summary: summary(analysis, verdict, trial, simulated),
        })
    }

    /// The same with the finals of the set, if it has any.
    #[must_use]
    pub fn with_finals(self, finals: FinalsReport) -> Self {
        Self { finals: (!finals.finals.is_empty()).then_some(finals), ..self }
    }
}

/// Why the best that a search found is not recommended.
fn best_beside_default(analysis: &Analysis<'_>, best: Option<&Recommendation<'_>>) -> String {
    let Some(found) = best else {
        return "nothing else that the search found meets every target".to_owned();
    };
    let metric = &analysis.objective().metric;
    let reached = format::quantity_or(metric, value(found.trial, metric));
    format!(
        "the best that the search found, {} with {reached}, is not better beyond noise: {}; `slotune finals` \
         would repeat both",
        found.trial.name(),
        change(metric, found.change)
    )
}

/// What the model expects of fewer changes.
fn in_words(analysis: &Analysis<'_>, fewer: &FewerChanges) -> String {
    let FewerChanges { changes, objective, .. } = fewer;
    let metric = &analysis.objective().metric;
    format!(
        "fewer changes may do: with {changes} alone the model expects {}, which was not measured",
        format::quantity(metric, *objective)
    )
}

/// What the advised configuration is worse in, in a line.
fn price_note(verdict: &Verdict<'_>, prices: &[Price]) -> Option<String> {
    let each = |Price { metric, value, before, is_error_known }: &Price| {
        let [value, before] = [*value, *before].map(|value| format::quantity(metric, value));
        let perhaps = if *is_error_known { "" } else { " (no error is known)" };
        format!("{} {value} against {before}{perhaps}", format::label(metric))
    };
    let mut all: Vec<String> = prices.iter().take(MOST_PRICES).map(each).collect();
    if let Some(more @ 1..) = prices.len().checked_sub(MOST_PRICES) {
        all.push(format!("and {more} more"));
    }
    let than = match verdict {
        Verdict::KeepDefault { .. } => "the baseline",
        _ => "vLLM's default",
    };
    (!all.is_empty()).then(|| format!("worse than {than}: {}", all.join("; ")))
}

/// What would win without one of the targets, each in a line.
fn excluded_notes(analysis: &Analysis<'_>) -> Vec<String> {
    let metric = &analysis.objective().metric;
    let each = analysis.costly_targets().map(|(target, trial, reached)| {
        format!(
            "without the target {}, {} would win with {}",
            format::bound(target),
            trial.name(),
            format::quantity(metric, reached)
        )
    });
    each.collect()
}

fn closest(verdict: &Verdict<'_>) -> Option<Closest> {
    let Verdict::NoneFeasible(near) = verdict else { return None };
    let misses = near.misses().map(|miss| miss.constraint.to_string()).collect();
    Some(Closest { trial: choice(near.trial)?, misses })
}

/// What became of each finalist, in a line.
fn final_notes(analysis: &Analysis<'_>) -> Vec<String> {
    let metric = &analysis.objective().metric;
    let finals = analysis.finals.iter().flat_map(|finals| &finals.all);
    let lines = finals.flat_map(|one| {
        let notes = one.out_of_reach.iter();
        let notes = notes.map(|target| format!("{}: {}", one.study.name, out_of_reach(target)));
        let judged = one.finalists.iter().map(|finalist| {
            let distance = finalist.paired.map_or("not measured".to_owned(), |paired| {
                format!("{} {}", format::label(metric), distance(metric, &paired))
            });
            let (name, judgement) = (finalist.name, finalist.judgement);
            format!("{}: {name} against the default: {judgement}, {distance}", one.study.name)
        });
        judged.chain(notes)
    });
    lines.collect()
}

/// The trials that two goals leave to choose, each in a line.
fn front_notes(analysis: &Analysis<'_>) -> Vec<String> {
    let objective = analysis.objective();
    let Some(second) = &objective.against else { return Vec::new() };
    let (first, second) = (&objective.metric, &second.metric);
    let quantity = |trial, metric| format::quantity_or(metric, value(trial, metric));
    let head =
        format!("no other trial that meets the targets is better in both {first} and {second}:");
    let lines = analysis.front.iter().map(|trial| {
        format!(
            "{:>16} {:>14}  {}/{}  {}",
            quantity(trial, first),
            quantity(trial, second),
            trial.study,
            trial.entry.trial.id,
            trial.entry.trial.configuration,
        )
    });
    if analysis.front.is_empty() {
        Vec::new()
    } else {
        std::iter::once(head).chain(lines).collect()
    }
}

fn choice(trial: &StoredTrial) -> Option<Choice> {
    Some(Choice {
        study: trial.study.clone(),
        trial: trial.entry.trial.id.0,
        configuration: trial.entry.trial.configuration.clone(),
        metrics: trial.entry.measurement()?.clone(),
    })
}

fn summary(
    analysis: &Analysis<'_>,
    verdict: &str,
    trial: Option<&StoredTrial>,
    simulated: bool,
) -> String {
    let metric = &analysis.objective().metric;
    let quantity = |trial| Some(format::quantity(metric, value(trial, metric)?));
    let advised = trial.and_then(|trial| {
        let (seen, id) = (quantity(trial)?, trial.entry.trial.id);
        Some(format!(": {metric} {seen} (study {}, trial {id})", trial.study))
    });
    let default =
        analysis.default.and_then(quantity).map(|seen| format!(", vLLM's default {seen}"));
    let kind = if simulated { ", simulated" } else { ", measured" };
    let is_measured = analysis.set.trials.iter().any(|trial| trial.entry.measurement().is_some());
    let said = match verdict {
        "nothing_measured" if is_measured => "no recommendation".to_owned(),
        other => other.replace('_', " "),
    };
    format!(
        "{said}{}{}{}",
        advised.unwrap_or_default(),
        default.unwrap_or_default(),
        if verdict == "nothing_measured" { "" } else { kind }
    )
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)?;
        for line in self.notes.iter().chain(&self.vllm_serve) {
            write!(f, "\n{line}")?;
        }
        Ok(())
    }
}
