//! Bars side by side, each with its value above it and its standard error through its top.

use plotters::style::{
    RGBColor,
    text_anchor::{HPos, VPos},
};
use slotune_core::Estimate;

use super::{
    Axis, Canvas, DrawError, Drawn, Entry, Mark, Panel, SMALL, Style, TINY, colour, rectangle,
    style, text, whisker, width,
};
use crate::format::number;

/// Bars that share a name below them.
#[derive(Clone, Debug)]
pub(in super::super) struct Group {
    pub(in super::super) name: String,
    pub(in super::super) bars: Vec<Bar>,
}

/// One bar; without a value it reads `n/a`.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Bar {
    pub(in super::super) estimate: Option<Estimate>,
    pub(in super::super) colour: RGBColor,
}

/// Draws groups of bars, and a dashed line at `target`, which the legend explains. The values are
/// written as those of `metric` are.
pub(in super::super) fn bars(
    canvas: &Canvas<'_>,
    heading: &str,
    metric: &str,
    axis: impl FnOnce(Vec<f64>) -> Axis,
    legend: &[Entry],
    groups: &[Group],
    target: Option<(f64, &str)>,
) -> Drawn {
    let mut entries = legend.to_vec();
    entries.extend(target.map(|(_, label)| Entry::new(Mark::Dashes, colour::INK, label)));
    let values = groups.iter().flat_map(|group| &group.bars).filter_map(|bar| bar.estimate);
    let tops = values.map(|e| e.value + e.standard_error).chain(target.map(|(value, _)| value));
    let names = Axis::names(groups.iter().map(|group| group.name.as_str()));
    let panel = Panel::new(canvas, heading, &entries, names, axis(tops.collect()))?;
    let mut placed = Vec::new();
    let mut pitch = i32::MAX;
    for (i, group) in groups.iter().enumerate() {
        // A single bar takes half its place, many share four fifths.
        let share = if group.bars.len() > 1 { 0.8 } else { 0.5 };
        let width = share / group.bars.len().max(1) as f64;
        for (j, bar) in group.bars.iter().enumerate() {
            let left = i as f64 + (1.0 - share) / 2.0 + j as f64 * width;
            let columns = panel.x(left)..panel.x(left + width) - 2;
            if let Some(estimate) = bar.estimate {
                rectangle(
                    canvas,
                    columns.clone(),
                    panel.y(estimate.value)..panel.floor(),
                    bar.colour,
                )?;
            }
            pitch = pitch.min(panel.x(left + width) - panel.x(left));
            placed.push((i32::midpoint(columns.start, columns.end), bar.estimate));
        }
    }
    if let Some((value, _)) = target {
        panel.level(value, colour::INK)?;
    }
    // Last, so that neither bars nor the target's line cross a label.
    let values: Vec<f64> = placed.iter().filter_map(|(_, e)| e.map(|e| e.value)).collect();
    let writing = Writing::fitting(canvas, metric, &values, pitch)?;
    for (middle, estimate) in placed {
        annotate(&panel, middle, estimate, &writing)?;
    }
    if values.is_empty() {
        panel.remark("nothing was measured")?;
    }
    Ok(())
}

/// How the values above bars are written.
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

/// Writes a bar's value above it, and draws its standard error.
fn annotate(
    panel: &Panel<'_, '_>,
    middle: i32,
    estimate: Option<Estimate>,
    writing: &Writing<'_>,
) -> Drawn {
    let Some(Estimate { value, standard_error, .. }) = estimate else {
        let style = style(writing.size, colour::GREY);
        return label(panel, "n/a", (middle, panel.floor() - 3), style);
    };
    let mut top = panel.y(value);
    if standard_error > 0.0 {
        let (high, low) = (panel.y(value + standard_error), panel.y(value - standard_error));
        whisker(panel.canvas, (middle, high), (middle, low))?;
        top = high;
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
