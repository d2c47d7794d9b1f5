//! The answers as text.

use std::fmt;

use slotune_core::{Objective, importance::Importance};

use super::{Doubt, Found, Inquiry};
use crate::{analysis::Effects, asked::beside, format};

/// Most lines of a list; JSON has all.
const LINES: usize = 12;

impl fmt::Display for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = &self.objective.metric;
        for set in &self.sets {
            let gpu = set.gpu.as_deref().unwrap_or("GPU not recorded");
            let trials = format::count(set.trials, "trial");
            writeln!(
                f,
                "set:   {}, {trials}, {}, vLLM {}, {gpu}",
                set.set, set.created, set.vllm_version
            )?;
        }
        writeln!(f, "asked: {}", format::objective(&self.objective))?;
        for constraint in &self.objective.constraints {
            writeln!(f, "       {}", format::bound(constraint))?;
        }
        writeln!(f, "{} of {} measured trials meet every target", self.feasible, self.trials)?;
        for caveat in &self.caveats {
            writeln!(f, "note: {caveat}")?;
        }
        if let Some(best) = &self.best {
            writeln!(f, "\nbest:    {}", line(&self.objective, best))?;
        }
        if let Some(closest) = &self.closest {
            writeln!(f, "\nclosest: {}", line(&self.objective, closest))?;
        }
        let second = beside(&self.objective).metric;
        let aside = if self.objective.constraints.is_empty() { "" } else { ", targets left aside" };
        writeln!(f, "\nno other trial is better in both {metric} and {second}{aside}:")?;
        list(f, self.front.iter().map(|found| line(&self.objective, found)))?;
        if !self.drift.is_empty() {
            writeln!(f, "\nmeasured in more than one set ({metric}):")?;
            list(
                f,
                self.drift.iter().map(|drift| {
                    let ((before, old), (after, new)) = (&drift.before, &drift.after);
                    format!(
                        "{:8} {} in {before}, {} in {after}  {}",
                        drift.judgement,
                        format::estimate(metric, *old),
                        format::estimate(metric, *new),
                        drift.configuration,
                    )
                }),
            )?;
        }
        for shift in &self.shifts {
            writeln!(
                f,
                "  {:8} over {} from {} to {}: {metric} {:+.1} ± {:.1} %",
                shift.judgement,
                format::count(shift.configurations, "configuration"),
                shift.before,
                shift.after,
                shift.change * 100.0,
                shift.standard_error * 100.0,
            )?;
        }
        effects(f, &self.effects)?;
        if !self.doubts.is_empty() {
            writeln!(f, "\nto trust less:")?;
            list(f, doubts(&self.doubts).into_iter())?;
        }
        Ok(())
    }
}

/// One line for each reason, with the trials that have it.
fn doubts(doubts: &[Doubt]) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&Doubt>)> = Vec::new();
    for doubt in doubts {
        match reasons.iter_mut().find(|(reason, _)| *reason == doubt.reason) {
            Some((_, trials)) => trials.push(doubt),
            None => reasons.push((&doubt.reason, vec![doubt])),
        }
    }
    let line = |(reason, trials): (&str, Vec<&Doubt>)| {
        let places = trials.chunk_by(|a, b| a.set == b.set).map(|of_set| {
            let studies = of_set.chunk_by(|a, b| a.study == b.study).map(|of_study| {
                let ids: Vec<u64> = of_study.iter().map(|doubt| doubt.trial).collect();
                format!("{}/{}", of_study[0].study, format::numbers(&ids))
            });
            format!("{}:{}", of_set[0].set, studies.collect::<Vec<_>>().join("; "))
        });
        let places = places.collect::<Vec<_>>().join("; ");
        match trials.len() {
            1 => format!("{places}  {reason}"),
            many => format!("{}  {reason}: {places}", format::count(many, "trial")),
        }
    };
    reasons.into_iter().map(line).collect()
}

/// What the parameters do.
fn effects(f: &mut fmt::Formatter<'_>, effects: &Effects) -> fmt::Result {
    let metric = &effects.metric;
    match &effects.importance {
        Err(unknown) => writeln!(f, "\nwhat moves {metric} cannot be told: {unknown}")?,
        Ok(importance) => {
            writeln!(
                f,
                "\nwhat moves {metric}: share of the variance of a forest on {}, which predicts {} of that of others",
                format::count(importance.configurations, "configuration"),
                format::percent(importance.predicted),
            )?;
            shares(f, importance)?;
            if let Some(pair) = &importance.pair {
                writeln!(
                    f,
                    "  {} and {} together {}, of it {} only together",
                    pair.first,
                    pair.second,
                    format::plus_minus_percent(pair.share),
                    format::plus_minus_percent(pair.interaction),
                )?;
            }
        }
    }
    match &effects.start {
        None => Ok(()),
        Some(Err(unknown)) => {
            writeln!(f, "\nwhat decides whether a server can run cannot be told: {unknown}")
        }
        Some(Ok(importance)) => {
            writeln!(f, "\nwhat decides whether a server can run, in the same way:")?;
            shares(f, importance)
        }
    }
}

fn shares(f: &mut fmt::Formatter<'_>, importance: &Importance) -> fmt::Result {
    let chance = format::plus_minus_percent(importance.chance);
    for parameter in &importance.parameters {
        let remark = if parameter.is_told {
            String::new()
        } else {
            format!("  not told from chance, {chance}")
        };
        writeln!(
            f,
            "  {:>10} {}, by itself {}{remark}",
            format::plus_minus_percent(parameter.share),
            parameter.parameter,
            format::plus_minus_percent(parameter.alone),
        )?;
    }
    Ok(())
}

fn line(objective: &Objective, found: &Found) -> String {
    let label = found.label.as_ref().map_or(String::new(), |label| format!(" ({label})"));
    let missed = match found.misses_in_words.as_slice() {
        [] => String::new(),
        missed => format!("  misses {}", format::and(missed)),
    };
    format!(
        "{:>16} {:>14}  {}:{}/{}{label}  {}{missed}",
        format::estimate(&objective.metric, found.value),
        format::quantity_or(&beside(objective).metric, found.against),
        found.set,
        found.study,
        found.trial,
        found.configuration,
    )
}

fn list(f: &mut fmt::Formatter<'_>, lines: impl ExactSizeIterator<Item = String>) -> fmt::Result {
    let more = lines.len().saturating_sub(LINES);
    for line in lines.take(LINES) {
        writeln!(f, "  {line}")?;
    }
    if more > 0 {
        writeln!(f, "  and {more} more, which --json lists")?;
    }
    Ok(())
}
