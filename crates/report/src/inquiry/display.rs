//! The answers as text.

use std::fmt;

use super::{Found, Inquiry};
use crate::format;

/// Most lines of a list; JSON has all.
const LINES: usize = 12;

impl fmt::Display for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = &self.objective.metric;
        writeln!(f, "asked: {}", format::objective(&self.objective))?;
        for constraint in &self.objective.constraints {
            writeln!(f, "       {constraint}")?;
        }
        writeln!(f, "{} of {} measured trials meet every target", self.feasible, self.trials)?;
        for caveat in &self.caveats {
            writeln!(f, "note: {caveat}")?;
        }
        if let Some(best) = &self.best {
            writeln!(f, "\nbest:    {}", line(metric, best))?;
        }
        if let Some(closest) = &self.closest {
            writeln!(f, "\nclosest: {}", line(metric, closest))?;
            writeln!(f, "         misses {}", closest.misses.join("; "))?;
        }
        writeln!(f, "\nno other trial is better in both {metric} and output throughput:")?;
        list(f, self.front.iter().map(|found| line(metric, found)))?;
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
        if !self.doubts.is_empty() {
            writeln!(f, "\nto trust less:")?;
            list(
                f,
                self.doubts.iter().map(|doubt| {
                    format!("{}:{}/{}  {}", doubt.set, doubt.study, doubt.trial, doubt.reason)
                }),
            )?;
        }
        Ok(())
    }
}

fn line(metric: &str, found: &Found) -> String {
    let throughput = found.output_throughput_tok_per_s;
    format!(
        "{:>16} {:>14}  {}:{}/{}  {}",
        format::estimate(metric, found.value),
        format::quantity_or("output_throughput_tok_per_s", throughput),
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
