//! Lines, marks, and the legend that explains them.

use std::ops::Range;

use plotters::{
    prelude::{Circle, PathElement, Polygon, Rectangle},
    style::{
        Color, RGBColor, ShapeStyle,
        text_anchor::{HPos, VPos},
    },
};

use super::{
    Canvas, DrawError, Drawn, GAP, SMALL,
    colour::{INK, PAPER},
    style, text, width,
};

/// A straight line.
pub(in super::super) fn line(
    canvas: &Canvas<'_>,
    from: (i32, i32),
    to: (i32, i32),
    style: ShapeStyle,
) -> Drawn {
    canvas.draw(&PathElement::new(vec![from, to], style))
}

/// A line of dashes, level or upright.
pub(in super::super) fn dashes(
    canvas: &Canvas<'_>,
    from: (i32, i32),
    to: (i32, i32),
    style: ShapeStyle,
) -> Drawn {
    const DASH: i32 = 6;
    let length = (to.0 - from.0).abs().max((to.1 - from.1).abs());
    let step =
        |at: i32| (from.0 + (to.0 - from.0).signum() * at, from.1 + (to.1 - from.1).signum() * at);
    for start in (0..length).step_by(2 * DASH as usize) {
        line(canvas, step(start), step((start + DASH).min(length)), style)?;
    }
    Ok(())
}

/// A line through points.
pub(in super::super) fn path(
    canvas: &Canvas<'_>,
    points: Vec<(i32, i32)>,
    style: ShapeStyle,
) -> Drawn {
    canvas.draw(&PathElement::new(points, style))
}

/// A filled rectangle.
pub(in super::super) fn rectangle(
    canvas: &Canvas<'_>,
    x: Range<i32>,
    y: Range<i32>,
    colour: RGBColor,
) -> Drawn {
    canvas.draw(&Rectangle::new([(x.start, y.start), (x.end, y.end)], colour.filled()))
}

/// A filled shape with straight sides.
pub(super) fn polygon(canvas: &Canvas<'_>, corners: Vec<(i32, i32)>, style: ShapeStyle) -> Drawn {
    canvas.draw(&Polygon::new(corners, style))
}

/// A thin line, level or upright, with a stroke across each end.
pub(super) fn whisker(canvas: &Canvas<'_>, from: (i32, i32), to: (i32, i32)) -> Drawn {
    let ink = INK.stroke_width(1);
    line(canvas, from, to, ink)?;
    let across = if from.1 == to.1 && from.0 != to.0 { (0, 4) } else { (4, 0) };
    [from, to].into_iter().try_for_each(|(x, y)| {
        line(canvas, (x - across.0, y - across.1), (x + across.0, y + across.1), ink)
    })
}

/// How a point or a legend entry is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Mark {
    Square,
    Dot,
    Ring,
    Diamond,
    Line,
    Dashes,
}

/// Draws a mark around a point.
pub(in super::super) fn mark(
    canvas: &Canvas<'_>,
    mark: Mark,
    (x, y): (i32, i32),
    colour: RGBColor,
) -> Drawn {
    match mark {
        Mark::Square => rectangle(canvas, x - 6..x + 6, y - 6..y + 6, colour),
        Mark::Dot => canvas.draw(&Circle::new((x, y), 5, colour.filled())),
        Mark::Ring => canvas.draw(&Circle::new((x, y), 4, colour.stroke_width(2))),
        Mark::Diamond => {
            let corners = |r: i32| vec![(x - r, y), (x, y - r), (x + r, y), (x, y + r)];
            canvas.draw(&Polygon::new(corners(10), PAPER.filled()))?;
            canvas.draw(&Polygon::new(corners(8), colour.filled()))
        }
        Mark::Line => line(canvas, (x - 9, y), (x + 9, y), colour.stroke_width(3)),
        Mark::Dashes => dashes(canvas, (x - 9, y), (x + 9, y), colour.stroke_width(2)),
    }
}

/// One entry of a legend.
#[derive(Clone, Debug)]
pub(in super::super) struct Entry {
    pub(in super::super) mark: Mark,
    pub(in super::super) colour: RGBColor,
    pub(in super::super) label: String,
}

impl Entry {
    pub(in super::super) fn new(mark: Mark, colour: RGBColor, label: impl Into<String>) -> Self {
        Self { mark, colour, label: label.into() }
    }
}

/// Draws a legend from `top` on, in as many rows as its width needs; returns where it ends.
pub(super) fn legend(
    canvas: &Canvas<'_>,
    entries: &[Entry],
    left: i32,
    top: i32,
) -> Result<i32, DrawError> {
    const ROW: i32 = 22;
    const MARK: i32 = 26;
    let style = style(SMALL, INK).at(HPos::Left, VPos::Center);
    let right = i32::try_from(canvas.dim_in_pixel().0).unwrap_or(i32::MAX);
    let (mut x, mut y) = (left, top + ROW / 2);
    for entry in entries {
        let needed = MARK + width(canvas, &entry.label, &style)?;
        if x > left && x + needed > right {
            (x, y) = (left, y + ROW);
        }
        mark(canvas, entry.mark, (x + 10, y), entry.colour)?;
        text(canvas, &entry.label, (x + MARK, y), &style)?;
        x += needed + GAP;
    }
    Ok(y + ROW / 2)
}
