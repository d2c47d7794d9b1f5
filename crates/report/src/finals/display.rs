//! The finals as text for a terminal, and the phrases that the page shares.

use std::fmt;

use slotune_core::Scale;
use slotune_serving::metrics::Slo;

use super::{ContenderReport, FinalReport, FinalsReport, ServiceLevel};
use crate::{
    analysis::{OutOfReach, Paired},
    format::{bound, estimate, fixed, label, quantity, significant},
};

/// How far from the default, and the interval: `−18.0% (−19.9% to −16.1%)`.
pub(crate) fn distance(metric: &str, paired: &Paired) -> String {
    let one = |effect: f64| match paired.scale {
        Scale::Log => {
            let percent = (effect - 1.0) * 100.0;
            // An interval from few rounds may reach far.
            if percent > 999.5 {
                format!("{} times", significant(effect))
            } else {
                signed(percent, "%")
            }
        }
        Scale::Linear => {
            let sign = if effect > 0.0 { "+" } else { "" };
            format!("{sign}{}", quantity(metric, effect))
        }
    };
    let [low, high] = paired.interval;
    format!("{} ({} to {})", one(paired.effect), one(low), one(high))
}

fn signed(number: f64, unit: &str) -> String {
    let decimals = usize::from(number.abs() < 99.95);
    let text = fixed(number, decimals);
    let sign = if number > 0.0 && text.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) {
        "+"
    } else {
        ""
    };
    format!("{sign}{text}{unit}")
}

/// The limits of a good request: `TTFT ≤ 2 s, TPOT ≤ 0.1 s`; `None` where there are none.
pub(crate) fn limits(slo: &Slo) -> Option<String> {
    let limits = [("TTFT", slo.ttft_s), ("TPOT", slo.tpot_s), ("E2E", slo.e2e_s)];
    let limits: Vec<String> = limits
        .into_iter()
        .filter_map(|(name, limit)| Some(format!("{name} ≤ {} s", limit?)))
        .collect();
    (!limits.is_empty()).then(|| limits.join(", "))
}

/// What became of a target that is out of reach, as a clause.
pub(crate) fn out_of_reach(target: &OutOfReach<'_>) -> String {
    let OutOfReach { constraint, most } = target;
    format!(
        "{} is out of reach under these requests, which let nobody have more than {}; it is judged by those of the study",
        bound(constraint),
        quantity(&constraint.metric, *most)
    )
}

/// What the workload of a final is to the search, in words.
pub(crate) fn kind(one: &FinalReport) -> &'static str {
    if one.is_own { "the workload of the search" } else { "another workload" }
}

impl fmt::Display for FinalsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in &self.finals {
            writeln!(
                f,
                "{}, {} rounds, redraws of {}: {}",
                one.study,
                one.rounds(),
                kind(one),
                one.workload
            )?;
            writeln!(
                f,
                "{:18} {:>20}  {:34} verdict",
                "",
                label(&self.metric),
                "against the default (95% interval)"
            )?;
            for contender in &one.contenders {
                self.verdict(f, contender)?;
            }
            for target in &one.out_of_reach {
                writeln!(f, "note: {}", target.text)?;
            }
            self.service(f, one)?;
            writeln!(f)?;
        }
        Ok(())
    }
}

impl FinalsReport {
    fn verdict(&self, f: &mut fmt::Formatter<'_>, contender: &ContenderReport) -> fmt::Result {
        let ContenderReport { name, objective, against_default, judgement, .. } = contender;
        let objective = objective.map_or("not measured".to_owned(), |e| estimate(&self.metric, e));
        let distance = against_default.map_or(String::new(), |p| distance(&self.metric, &p));
        let judgement = judgement.map(|judgement| judgement.to_string());
        let missed =
            contender.misses_in_words.iter().flatten().map(|missed| format!("misses {missed}"));
        let reason = contender.cannot_run.as_ref();
        let reason = reason.map(|reason| format!("could not run ({reason})"));
        let verdict: Vec<String> = judgement.into_iter().chain(missed).chain(reason).collect();
        writeln!(f, "{name:18} {objective:>20}  {distance:34} {}", verdict.join(", "))
    }

    fn service(&self, f: &mut fmt::Formatter<'_>, one: &FinalReport) -> fmt::Result {
        for ContenderReport { name, service, .. } in &one.contenders {
            let ServiceLevel { requests, within_slo, goodput_per_s, latencies, .. } = service;
            if latencies.is_empty() {
                continue;
            }
            write!(f, "\n{name:42} {:>9} {:>10} {:>10} {:>10}", "requests", "P50", "P95", "P99")?;
            for latency in latencies.iter().filter(|latency| latency.requests > 0) {
                write!(f, "\n  {:40} {:>9}", latency.heading(), latency.requests)?;
                for value in latency.percentiles_s() {
                    let value = value.map_or("-".to_owned(), |s| format!("{} s", significant(s)));
                    write!(f, " {value:>10}")?;
                }
            }
            if let (Some(limits), Some(share)) = (limits(&self.slo), within_slo) {
                let share = quantity("completed_share", *share);
                write!(f, "\n  within {limits}: {share} of {requests} requests")?;
            }
            if let Some(goodput) = goodput_per_s {
                write!(f, ", goodput {}", estimate("goodput_per_s", *goodput))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
