//! The overview: how the searches went, what they saw, and what it gives each kind of request.

use plotters::style::{
    RGBColor,
    text_anchor::{HPos, VPos},
};
use slotune_core::TrialId;
use slotune_results::StudyRole;

use super::{
    Scene,
    figure::{
        Axis, Canvas, DrawError, Drawn, Entry, GAP, Mark, Panel, SMALL, colour, columns, page,
        side_by_side, style, text,
    },
    latency_percentiles, queue_time,
};
use crate::{
    analysis::{Curve, Verdict, value},
    asked::beside,
    format::{self, heading, label, scaled, unit},
    latency::Latency,
};

pub(super) fn draw(scene: &Scene<'_>) -> Result<String, DrawError> {
    let title = format!("Optimization summary: {}", format::objective(scene.analysis.objective()));
    page(&title, &scene.source, (1400, 1060), |canvas| {
        let rows = canvas.split_evenly((2, 1));
        let upper = columns(&rows[0].margin(0, GAP, 0, 0), 2);
        let lower = columns(&rows[1].margin(GAP, 0, 0, 0), 2);
        incumbents(scene, &upper[0])?;
        trials(scene, &upper[1])?;
        goal(scene, &lower[0])?;
        queue_time::split(scene, &lower[1])
    })
}

/// What the search gained in the metric of the first goal: of E2E latency, for each kind of request; of another
/// latency, its percentiles.
fn goal(scene: &Scene<'_>, canvas: &Canvas<'_>) -> Drawn {
    let metric = scene.analysis.objective().metric.as_str();
    match Latency::of(metric) {
        Some(Latency::E2e) => {
            let classes = [
                ("tiny", "e2e_p95_tiny_s"),
                ("short", "e2e_p95_short_s"),
                ("medium", "e2e_p95_medium_s"),
                ("long", "e2e_p95_long_s"),
                ("very long", "e2e_p95_very_long_s"),
            ];
            let (heading, groups) =
                ("P95 E2E latency by length of output", scene.by_metric(&classes));
            let axis = |tops| Axis::for_values("seconds", tops);
            side_by_side(canvas, heading, "e2e_p95_s", axis, &scene.colours(), &groups, None)
        }
        Some(other) => latency_percentiles::percentiles(scene, other, canvas),
        None => {
            let axis = |tops| Axis::from_zero(unit(metric), tops);
            let groups = scene.by_server(metric);
            side_by_side(canvas, &heading(metric), metric, axis, &[], &groups, None)
        }
    }
}

/// The colour of a study: the search first, then the comparisons as they come.
fn study_colour(scene: &Scene<'_>, study: &str) -> RGBColor {
    const COMPARISONS: [RGBColor; 3] = [colour::ORANGE, colour::PURPLE, colour::SKY];
    let is_search = |curve: &&Curve<'_>| curve.study.role == StudyRole::Search;
    if scene.analysis.curves.iter().filter(is_search).any(|curve| curve.study.name == study) {
        return colour::BLUE;
    }
    let mut comparisons = scene.analysis.curves.iter().filter(|curve| !is_search(curve));
    let position = comparisons.position(|curve| curve.study.name == study).unwrap_or(0);
    COMPARISONS[position % COMPARISONS.len()]
}

/// The metric's name and unit for an axis.
fn axis_title(metric: &str) -> String {
    match unit(metric) {
        "" => heading(metric),
        unit => format!("{}, {unit}", heading(metric)),
    }
}

/// Best objective so far against trials, one line for each study.
fn incumbents(scene: &Scene<'_>, canvas: &Canvas<'_>) -> Drawn {
    let objective = scene.analysis.objective();
    let curves = &scene.analysis.curves;
    let default = scene
        .analysis
        .default
        .and_then(|trial| value(trial, &objective.metric))
        .map(|default| scaled(&objective.metric, default));
    let mut entries: Vec<Entry> = curves
        .iter()
        .map(|curve| {
            Entry::new(Mark::Line, study_colour(scene, &curve.study.name), &curve.study.name)
        })
        .collect();
    entries.extend(default.map(|_| Entry::new(Mark::Dashes, colour::GREY, "vLLM default")));
    let lengths = || curves.iter().map(|curve| curve.points.len());
    let (shortest, longest) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
    let incumbents =
        curves.iter().flat_map(|curve| &curve.points).filter_map(|point| point.incumbent);
    let values = incumbents.map(|value| scaled(&objective.metric, value)).chain(default);
    // A long grid would push the others into a corner.
    let x = if shortest > 0 && longest > 3 * shortest {
        Axis::counting_log("trials", longest)
    } else {
        Axis::counting("trials", 1, longest)
    };
    let y = Axis::for_points(&axis_title(&objective.metric), values);
    let title = format!("Best {} that meets all targets, so far", label(&objective.metric));
    let panel = Panel::new(canvas, &title, &entries, x, y)?;
    if let Some(default) = default {
        panel.level(default, colour::GREY)?;
    }
    let mut drawn = false;
    // The comparisons on top and thinner, so that equal curves show both colours.
    let is_search = |curve: &&Curve<'_>| curve.study.role == StudyRole::Search;
    let searches = curves.iter().filter(is_search);
    for curve in searches.chain(curves.iter().filter(|curve| !is_search(curve))) {
        let points: Vec<(f64, f64)> = curve
            .points
            .iter()
            .enumerate()
            .filter_map(|(i, point)| {
                Some(((i + 1) as f64, scaled(&objective.metric, point.incumbent?)))
            })
            .collect();
        let colour = study_colour(scene, &curve.study.name);
        if let Some(&(x, y)) = points.last() {
            panel.path(&points, true, colour, if is_search(&curve) { 5 } else { 2 })?;
            panel.mark(Mark::Dot, x, y, colour)?;
            drawn = true;
        }
    }
    if drawn { Ok(()) } else { panel.remark("no trial meets all targets") }
}

/// A measured trial in the plane of the objective and the metric beside it.
#[derive(Clone, Copy)]
struct Point {
    id: TrialId,
    beside: f64,
    objective: f64,
    feasible: bool,
    colour: RGBColor,
}

/// The measured trials: the metric beside the objective against the objective.
fn trials(scene: &Scene<'_>, canvas: &Canvas<'_>) -> Drawn {
    let objective = scene.analysis.objective();
    let (metric, beside) = (&objective.metric, beside(objective));
    let place = |trial, value_of_goal| {
        Some((scaled(beside, value(trial, beside)?), scaled(metric, value_of_goal)))
    };
    let points = scene.analysis.curves.iter().flat_map(|curve| {
        let colour = study_colour(scene, &curve.study.name);
        curve.points.iter().filter_map(move |point| {
            let (beside, objective) = place(point.trial, point.value?)?;
            let id = point.trial.entry.trial.id;
            Some(Point { id, beside, objective, feasible: point.feasible, colour })
        })
    });
    let points: Vec<Point> = points.collect();
    let target = scene.target(beside);
    let bound = target.as_ref().map(|(value, _)| *value);
    let x = |points: &[Point]| {
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
    let misses = match left_out {
        0 => "misses a target".to_owned(),
        _ => format!("misses a target, {left_out} more on the left"),
    };
    let meets = match scene.analysis.curves.as_slice() {
        [only] => study_colour(scene, &only.study.name),
        _ => colour::GREY,
    };
    let mut entries = vec![
        Entry::new(Mark::Dot, meets, "meets all targets"),
        Entry::new(Mark::Ring, colour::GREY, misses),
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
    let (good, missed): (Vec<&Point>, Vec<&Point>) = points.iter().partition(|p| p.feasible);
    for point in &missed {
        panel.mark(Mark::Ring, point.beside, point.objective, colour::GREY)?;
    }
    if let [only] = missed.as_slice() {
        name(&panel, canvas, only)?;
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

/// Writes a trial's number beside its point, on the side that has room: one alone outside of the targets draws
/// the eye, and asks who it is.
fn name(panel: &Panel<'_, '_>, canvas: &Canvas<'_>, point: &Point) -> Drawn {
    let (x, y) = (panel.x(point.beside), panel.y(point.objective));
    let is_right = x > i32::try_from(canvas.dim_in_pixel().0 / 2).unwrap_or(i32::MAX);
    let (side, x) = if is_right { (HPos::Right, x - 9) } else { (HPos::Left, x + 9) };
    let style = style(SMALL, colour::GREY).at(side, VPos::Center);
    text(canvas, &format!("trial {}", point.id), (x, y), &style)
}

/// The trials without those whose throughput is far below that of any feasible one, where showing them
/// would press those into a corner.
fn without_distant(points: &[Point]) -> Vec<Point> {
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
