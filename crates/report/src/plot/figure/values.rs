//! Values side by side, each written above its place with its standard error through it: as bars from zero, or
//! where they span too much for that, as dots on a log scale. The length of a bar on a log scale would say
//! nothing.

use plotters::style::{
    RGBColor,
    text_anchor::{HPos, VPos},
};
use slotune_core::Estimate;

use super::{
    Axis, Canvas, DrawError, Drawn, Entry, Mark, Panel, SMALL, Style, TINY, colour, mark,
    rectangle, style, text, whisker, width,
};
use crate::format::number;

/// Values that share a name below them.
#[derive(Clone, Debug)]
pub(in super::super) struct Group {
    pub(in super::super) name: String,
    pub(in super::super) values: Vec<Shown>,
}

/// One value, not negative; without one it reads `n/a`.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Shown {
    pub(in super::super) estimate: Option<Estimate>,
    pub(in super::super) colour: RGBColor,
}

/// Draws groups of values, and a dashed line at `target`, which its text explains. `legend` has a text for each
/// colour. The values are written as those of `metric` are.
pub(in super::super) fn side_by_side(
    canvas: &Canvas<'_>,
    heading: &str,
    metric: &str,
    axis: impl FnOnce(Vec<f64>) -> Axis,
    legend: &[(RGBColor, &str)],
    groups: &[Group],
    target: Option<(f64, &str)>,
) -> Drawn {
    let values = groups.iter().flat_map(|group| &group.values).filter_map(|value| value.estimate);
    let tops = values.map(|e| e.value + e.standard_error).chain(target.map(|(value, _)| value));
    let axis = axis(tops.collect());
    let is_log = axis.is_log();
    let kind = if is_log { Mark::Dot } else { Mark::Square };
    let mut entries: Vec<Entry> =
        legend.iter().map(|(colour, label)| Entry::new(kind, *colour, *label)).collect();
    entries.extend(target.map(|(_, label)| Entry::new(Mark::Dashes, colour::INK, label)));
    let names = Axis::names(groups.iter().map(|group| group.name.as_str()));
    let panel = Panel::new(canvas, heading, &entries, names, axis)?;
    let mut placed = Vec::new();
    let mut pitch = i32::MAX;
    for (i, group) in groups.iter().enumerate() {
        // A single bar takes half its place, many share four fifths.
        let share = if group.values.len() > 1 { 0.8 } else { 0.5 };
        let width = share / group.values.len().max(1) as f64;
        for (j, shown) in group.values.iter().enumerate() {
            let left = i as f64 + (1.0 - share) / 2.0 + j as f64 * width;
            let columns = panel.x(left)..panel.x(left + width) - 2;
            if let Some(Estimate { value, .. }) = shown.estimate.filter(|_| !is_log) {
                rectangle(canvas, columns.clone(), panel.y(value)..panel.floor(), shown.colour)?;
            }
            pitch = pitch.min(panel.x(left + width) - panel.x(left));
            placed.push((i32::midpoint(columns.start, columns.end), *shown));
        }
    }
    if let Some((value, _)) = target {
        panel.level(value, colour::INK)?;
    }
    // Last, so that neither bars nor the target's line cross a label.
    let values: Vec<f64> = placed.iter().filter_map(|(_, s)| s.estimate.map(|e| e.value)).collect();
    let writing = Writing::fitting(canvas, metric, &values, pitch)?;
    for (middle, shown) in placed {
        annotate(&panel, middle, shown, is_log, &writing)?;
    }
    if values.is_empty() {
        panel.remark("nothing was measured")?;
    }
    Ok(())
}

/// How the values are written.
struct Writing<'m> {
    metric: &'m str,
    size: u32,
    digits: i32,
}

impl<'m> Writing<'m> {
    /// The most legible writing in which no value is wider than its bar; else the smallest.
    fn fitting(
        canvas: &Canvas<'_>,
        metric: &'m str,
        values: &[f64],
        pitch: i32,
    ) -> Result<Self, DrawError> {
        let mut chosen = Self { metric, size: SMALL, digits: 3 };
        for (size, digits) in [(SMALL, 3), (TINY, 3), (TINY, 2)] {
            chosen = Self { metric, size, digits };
            let style = style(size, colour::INK);
            let mut widest = 0;
            for &value in values {
                widest = widest.max(width(canvas, &chosen.text(value), &style)?);
            }
            if widest < pitch {
                break;
            }
        }
        Ok(chosen)
    }

    fn text(&self, value: f64) -> String {
        number(self.metric, value, self.digits)
    }
}

/// Writes a value above its bar or its dot, which it draws, and its standard error.
fn annotate(
    panel: &Panel<'_, '_>,
    middle: i32,
    shown: Shown,
    is_dot: bool,
    writing: &Writing<'_>,
) -> Drawn {
    /// Half the height of a dot.
    const DOT: i32 = 5;
    let Some(Estimate { value, standard_error, .. }) = shown.estimate else {
        let style = style(writing.size, colour::GREY);
        return label(panel, "n/a", (middle, panel.floor() - 3), style);
    };
    let mut top = panel.y(value);
    if standard_error > 0.0 {
        let (high, low) = (panel.y(value + standard_error), panel.y(value - standard_error));
        whisker(panel.canvas, (middle, high), (middle, low))?;
        top = high;
    }
    // A log scale has no place for 0, which is written alone.
    if is_dot && value > 0.0 {
        mark(panel.canvas, Mark::Dot, (middle, panel.y(value)), shown.colour)?;
        top = top.min(panel.y(value) - DOT);
    }
    let style = style(writing.size, colour::INK);
    label(panel, &writing.text(value), (middle, top - 3), style)
}

/// A short text above a point, on white.
fn label(panel: &Panel<'_, '_>, label: &str, (x, y): (i32, i32), style: Style) -> Drawn {
    let style = style.at(HPos::Center, VPos::Bottom);
    let half = width(panel.canvas, label, &style)? / 2;
    rectangle(panel.canvas, x - half..x + half, y - 15..y - 1, colour::PAPER)?;
    text(panel.canvas, label, (x, y), &style)
}
