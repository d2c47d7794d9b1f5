//! The objective over the values of each parameter, with the band in which its mean lies.

use slotune_core::{
    Domain, Parameter, Scale, Value,
    importance::{EffectPoint, Importance, ParameterImportance},
};

use super::{
    Scene, axis_title,
    figure::{Axis, Canvas, DrawError, Drawn, Entry, Mark, Panel, colour, columns, page},
    importance::labels,
};
use crate::format::{heading, plus_minus_percent, scaled};

/// Panels in a row.
const ROW: usize = 3;

/// Most panels.
const PANELS: usize = 12;

/// Height of a row, pixels.
const HEIGHT: u32 = 290;

pub(super) fn draw(scene: &Scene<'_>, importance: &Importance) -> Result<String, DrawError> {
    let shown = &importance.parameters[..importance.parameters.len().min(PANELS)];
    let rows = shown.len().div_ceil(ROW).max(1);
    let height = 100 + HEIGHT * u32::try_from(rows).unwrap_or(1);
    let metric = &scene.effects.metric;
    let title = format!("{} over each parameter, mean over the others", heading(metric));
    page(&title, &scene.source, (1200, height), |canvas| {
        let values = shown.iter().flat_map(|parameter| &parameter.effect);
        let ends = values.flat_map(|p| [p.low, p.high]).map(|end| scaled(metric, end));
        // One axis for all, so that panels compare.
        let y = Axis::for_points(&axis_title(metric), ends);
        let bands = canvas.split_evenly((rows, 1));
        for (band, parameters) in bands.iter().zip(shown.chunks(ROW)) {
            let cells = columns(&band.margin(0, 12, 0, 0), ROW);
            for (cell, parameter) in cells.iter().zip(parameters) {
                effect(scene, parameter, cell, y.clone())?;
            }
        }
        Ok(())
    })
}

/// One parameter: a line in its band where it runs over numbers, else a dot for each value.
fn effect(
    scene: &Scene<'_>,
    parameter: &ParameterImportance,
    canvas: &Canvas<'_>,
    y: Axis,
) -> Drawn {
    let space = &scene.analysis.set.manifest.space;
    let domain = space.parameter(&parameter.parameter).map(Parameter::domain);
    let range = match domain {
        Some(Domain::Float { low, high, scale }) => Some((*low, *high, *scale)),
        Some(Domain::Integer { low, high, scale }) => Some((*low as f64, *high as f64, *scale)),
        _ => None,
    };
    let shows_all = domain.and_then(Domain::size) == Some(parameter.effect.len() as u128);
    let x = if let Some((low, high, scale)) = range.filter(|_| !shows_all) {
        let (title, is_log) = match scale {
            Scale::Linear => ("linear scale", false),
            Scale::Log => ("log scale", true),
        };
        Axis::within(title, low, high, is_log)
    } else {
        let values: Vec<Value> = parameter.effect.iter().map(|p| p.value.clone()).collect();
        Axis::names(labels(&values).iter().map(String::as_str)).titled("levels")
    };
    let is_line = range.is_some() && !shows_all;
    let (colour, remark) = if parameter.is_told {
        (colour::BLUE, " of the variance")
    } else {
        (colour::GREY, ", not told from chance")
    };
    let share = format!("{}{remark}", plus_minus_percent(parameter.share));
    let panel =
        Panel::new(canvas, &parameter.parameter, &[Entry::new(Mark::Line, colour, share)], x, y)?;
    let place = |i: usize, point: &EffectPoint| match point.value.number() {
        Some(number) if is_line => number,
        _ => i as f64 + 0.5,
    };
    let points: Vec<(f64, &EffectPoint)> =
        parameter.effect.iter().enumerate().map(|(i, point)| (place(i, point), point)).collect();
    let scaled = |value| scaled(&scene.effects.metric, value);
    let line: Vec<(f64, f64)> = points.iter().map(|(x, p)| (*x, scaled(p.mean))).collect();
    if is_line {
        let band: Vec<_> =
            points.iter().map(|(x, p)| (*x, scaled(p.low), scaled(p.high))).collect();
        panel.band(&band, colour)?;
        return panel.path(&line, false, colour, 3);
    }
    if domain.is_some_and(Domain::is_ordered) {
        panel.path(&line, false, colour, 2)?;
    }
    for (x, point) in points {
        panel.whisker((x, scaled(point.low)), (x, scaled(point.high)))?;
        panel.mark(Mark::Dot, x, scaled(point.mean), colour)?;
    }
    Ok(())
}
