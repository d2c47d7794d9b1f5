//! The measured trials in a plane: what the objective is, and what stands beside it.

use plotters::style::RGBColor;
use slotune_core::Objective;
use slotune_results::StoredTrial;

use super::{
    Scene, axis_title,
    figure::{Axis, Canvas, Drawn, Entry, Mark, Panel, colour},
};
use crate::{
    analysis::{Verdict, misses, value},
    asked::beside,
    format::{and, label, scaled, unit},
};

/// A measured trial in the plane of the objective and the metric beside it.
#[derive(Clone, Copy)]
struct Point<'a> {
    trial: &'a StoredTrial,
    beside: f64,
    objective: f64,
    feasible: bool,
    colour: RGBColor,
}

/// The metric beside the objective against the objective; studies have the colours of `colour_of`.
pub(super) fn draw(
    scene: &Scene<'_>,
    canvas: &Canvas<'_>,
    colour_of: impl Fn(&str) -> RGBColor,
) -> Drawn {
    let objective = scene.analysis.objective();
    let (metric, beside) = (&objective.metric, &beside(objective).metric);
    let place = |trial, value_of_goal| {
        Some((scaled(beside, value(trial, beside)?), scaled(metric, value_of_goal)))
    };
    let points = scene.analysis.curves.iter().flat_map(|curve| {
        let colour = colour_of(&curve.study.name);
        curve.points.iter().filter_map(move |point| {
            let (beside, objective) = place(point.trial, point.value?)?;
            let trial = point.trial;
            Some(Point { trial, beside, objective, feasible: point.feasible, colour })
        })
    });
    let points: Vec<Point<'_>> = points.collect();
    let target = scene.target(beside);
    let bound = target.as_ref().map(|(value, _)| *value);
    let x = |points: &[Point<'_>]| {
        let seen = points.iter().map(|point| point.beside);
        Axis::for_points(&axis_title(beside), seen.chain(bound))
    };
    let near = without_distant(&points);
    // Where the others stand so close that their axis begins at zero, nothing is won by leaving any out.
    let is_throughput = ["tok/s", "req/s"].contains(&unit(beside));
    let is_clearer = is_throughput && !x(&near).is_from_zero();
    let left_out = if is_clearer { points.len() - near.len() } else { 0 };
    let points = if is_clearer { near } else { points };
    let chosen = scene.analysis.verdict.trial();
    let chosen = chosen.and_then(|trial| place(trial, value(trial, metric)?));
    let chosen_label = match scene.analysis.verdict {
        Verdict::Change(_) => "recommended",
        Verdict::KeepDefault { .. } => "best found",
        Verdict::NoneFeasible(_) | Verdict::NothingMeasured => "closest to the targets",
    };
    // Of two goals: what they leave to choose.
    let front = scene.analysis.front.iter();
    let front: Vec<(f64, f64)> =
        front.filter_map(|trial| place(trial, value(trial, metric)?)).collect();
    let outside = match left_out {
        0 => "misses a target".to_owned(),
        _ => format!("misses a target, {left_out} more on the left"),
    };
    let meets = match scene.analysis.curves.as_slice() {
        [only] => colour_of(&only.study.name),
        _ => colour::GREY,
    };
    let mut entries = vec![
        Entry::new(Mark::Dot, meets, "meets all targets"),
        Entry::new(Mark::Ring, colour::GREY, outside),
    ];
    entries.extend(chosen.map(|_| Entry::new(Mark::Diamond, colour::INK, chosen_label)));
    if !front.is_empty() {
        entries.push(Entry::new(Mark::Line, colour::GREY, "none beats these in both"));
    }
    entries.extend(target.as_ref().map(|(_, label)| Entry::new(Mark::Dashes, colour::INK, label)));
    let y = Axis::for_points(&axis_title(metric), points.iter().map(|point| point.objective));
    let panel =
        Panel::new(canvas, "Measured trials, colors as on the left", &entries, x(&points), y)?;
    if let Some(bound) = bound {
        panel.upright(bound, colour::INK)?;
    }
    // What nobody would run stands back: grey, below the others.
    let (good, missed): (Vec<&Point<'_>>, Vec<&Point<'_>>) =
        points.iter().partition(|p| p.feasible);
    for point in &missed {
        panel.mark(Mark::Ring, point.beside, point.objective, colour::GREY)?;
    }
    if let Some(asked) = asks_who(objective, &good, &missed) {
        panel.two_lines(asked.beside, asked.objective, &who(scene, asked), colour::GREY, bound)?;
    }
    if !front.is_empty() {
        panel.path(&front, false, colour::GREY, 1)?;
    }
    for point in good.iter().rev() {
        panel.mark(Mark::Dot, point.beside, point.objective, point.colour)?;
    }
    if let Some((x, y)) = chosen {
        panel.mark(Mark::Diamond, x, y, colour::INK)?;
    }
    if points.is_empty() { panel.remark("no trial was measured") } else { Ok(()) }
}

/// The point outside of the targets that draws the eye, and asks who it is: one alone, or the best of several
/// where it is better than all that meet the targets.
fn asks_who<'p, 'a>(
    objective: &Objective,
    good: &[&Point<'a>],
    missed: &[&'p Point<'a>],
) -> Option<&'p Point<'a>> {
    let is_better = |a: &Point<'_>, b: &Point<'_>| objective.is_better(a.objective, b.objective);
    let best = *missed.iter().reduce(|a, b| if is_better(b, a) { b } else { a })?;
    let beats_all = !good.is_empty() && good.iter().all(|good| is_better(best, good));
    (missed.len() == 1 || beats_all).then_some(best)
}

/// Which trial a point is, and what it misses.
fn who(scene: &Scene<'_>, point: &Point<'_>) -> [String; 2] {
    let missed = point.trial.entry.measurement();
    let missed = missed.map_or_else(Vec::new, |m| misses(scene.analysis.objective(), m));
    let missed: Vec<String> = missed.iter().map(|miss| label(&miss.constraint.metric)).collect();
    let name = format!("trial {} of {}", point.trial.entry.trial.id, point.trial.study);
    [name, format!("misses {}", and(&missed))]
}

/// The trials without those whose throughput is far below that of any feasible one, where showing them
/// would press those into a corner.
fn without_distant<'a>(points: &[Point<'a>]) -> Vec<Point<'a>> {
    /// Throughput below that of the slowest feasible trial that is still shown, as a share of it.
    const MARGIN: f64 = 0.05;
    /// Least share of the panel's width that feasible trials should have.
    const ROOM: f64 = 0.25;
    let ends = |only_feasible: bool| {
        let throughputs = points.iter().filter(|p| p.feasible || !only_feasible);
        throughputs.map(|p| (p.beside, p.beside)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    };
    match (ends(true), ends(false)) {
        (Some((slowest, fastest)), Some((low, high)))
            if fastest - slowest < ROOM * (high - low) =>
        {
            points.iter().filter(|p| p.beside >= slowest * (1.0 - MARGIN)).copied().collect()
        }
        _ => points.to_vec(),
    }
}
