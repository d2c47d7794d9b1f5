//! The overview: how the searches went, what they saw, and what it gives each kind of request.

use plotters::style::RGBColor;
use slotune_results::StudyRole;

use super::{
    Scene, axis_title,
    figure::{
        Axis, Canvas, DrawError, Drawn, Entry, GAP, Mark, Panel, colour, columns, page,
        side_by_side,
    },
    latency_percentiles, queue_time, trials,
};
use crate::{
    analysis::{Curve, value},
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
        trials::draw(scene, &upper[1], |study| study_colour(scene, study))?;
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
