//! What the parameters do.

use slotune_core::importance::{EffectPoint, ParameterImportance};

use super::markdown::Table;
use crate::{
    analysis::{Analysis, Effects},
    format::{label, percent, plus_minus_percent, quantity, setting},
};

/// One row for each parameter: its share, and the values at which the objective is best and worst.
pub(in super::super) fn importance(analysis: &Analysis<'_>, effects: &Effects) -> Option<String> {
    let importance = effects.importance.as_ref().ok()?;
    let (metric, objective) = (&effects.metric, analysis.objective());
    let name = label(metric);
    let mut table = Table::new([
        "Parameter".to_owned(),
        "Share of variance".to_owned(),
        "By itself".to_owned(),
        "Told from chance".to_owned(),
        format!("Best mean {name}"),
        format!("Worst mean {name}"),
    ]);
    for parameter in &importance.parameters {
        let at = |point: Option<&EffectPoint>| {
            point.map_or_else(
                || "n/a".to_owned(),
                |p| format!("{} at {}", quantity(metric, p.mean), setting(Some(&p.value))),
            )
        };
        let of = |is_better: &dyn Fn(f64, f64) -> bool| {
            let points = parameter.effect.iter();
            at(points
                .reduce(|best, next| if is_better(next.mean, best.mean) { next } else { best }))
        };
        table.row([
            format!("`{}`", parameter.parameter),
            plus_minus_percent(parameter.share),
            plus_minus_percent(parameter.alone),
            if parameter.is_told { "yes" } else { "no" }.to_owned(),
            of(&|a, b| objective.is_better(a, b)),
            of(&|a, b| objective.is_better(b, a)),
        ]);
    }
    Some(table.to_string())
}

/// Which values of the parameters that decide it let a server run: one row for each.
pub(in super::super) fn start(effects: &Effects) -> Option<String> {
    let importance = effects.start.as_ref()?.as_ref().ok()?;
    let told = || importance.parameters.iter().filter(|parameter| parameter.is_told);
    let mut table = Table::new(["Parameter", "Share of variance", "Configurations that can run"]);
    for parameter in told() {
        table.row([
            format!("`{}`", parameter.parameter),
            plus_minus_percent(parameter.share),
            shares(parameter),
        ]);
    }
    told().next().is_some().then(|| table.to_string())
}

/// Share of configurations that can run at the values of a parameter; of many values, at some.
fn shares(parameter: &ParameterImportance) -> String {
    const MOST: usize = 6;
    let every = parameter.effect.len().div_ceil(MOST).max(1);
    let shown = parameter.effect.iter().step_by(every);
    let share = |p: &EffectPoint| {
        format!("{} at {}", percent(p.mean.clamp(0.0, 1.0)), setting(Some(&p.value)))
    };
    shown.map(share).collect::<Vec<_>>().join(", ")
}
