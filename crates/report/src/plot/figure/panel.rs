//! One coordinate system: heading, legend above the plot, axes, and a map from values to pixels.

use plotters::style::{
    Color, RGBColor,
    text_anchor::{HPos, VPos},
};

use super::{
    Axis, Canvas, DrawError, Drawn, Entry, GAP, HEADING, Mark, SMALL, colour, dashes, fit, legend,
    line, mark, path, polygon, style, text, whisker, width,
};

/// How much of its colour a band has.
const BAND: f64 = 0.25;

/// Where values become pixels.
pub(in super::super) struct Panel<'c, 'a> {
    pub(super) canvas: &'c Canvas<'a>,
    x: Axis,
    y: Axis,
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl<'c, 'a> Panel<'c, 'a> {
    /// Draws heading, legend and axes.
    pub(in super::super) fn new(
        canvas: &'c Canvas<'a>,
        heading: &str,
        entries: &[Entry],
        x: Axis,
        y: Axis,
    ) -> Result<Self, DrawError> {
        let (columns, rows) = canvas.dim_in_pixel();
        let (right_edge, bottom_edge) = (pixels(columns), pixels(rows));
        let tick_style = style(SMALL, colour::INK);
        let heading_style = style(HEADING, colour::INK).bold();
        text(canvas, &fit(canvas, heading, &heading_style, columns)?, (0, 0), &heading_style)?;
        let top = legend(canvas, entries, 0, 26)? + 8;

        let mut widest = 0;
        for (_, label) in &y.ticks {
            widest = widest.max(width(canvas, label, &tick_style)?);
        }
        let title_room = |title: &str| if title.is_empty() { 0 } else { 22 };
        let last_tick = x.ticks.last().filter(|_| x.grid).map_or("", |(_, label)| label.as_str());
        let left = title_room(&y.title) + widest + 8;
        let right = right_edge - (width(canvas, last_tick, &tick_style)? / 2).max(4);
        let bottom = bottom_edge - 24 - title_room(&x.title);
        let panel = Self {
            canvas,
            x,
            y,
            left,
            right: right.max(left + 1),
            top,
            bottom: bottom.max(top + 1),
        };
        panel.axes()?;
        Ok(panel)
    }

    fn axes(&self) -> Drawn {
        let centred = style(SMALL, colour::INK);
        for (at, label) in &self.x.ticks {
            let x = self.x(*at);
            if self.x.grid {
                line(self.canvas, (x, self.top), (x, self.bottom), colour::RULE.stroke_width(1))?;
            }
            text(
                self.canvas,
                label,
                (x, self.bottom + 6),
                &centred.clone().at(HPos::Center, VPos::Top),
            )?;
        }
        for (at, label) in &self.y.ticks {
            let y = self.y(*at);
            if self.y.grid {
                line(self.canvas, (self.left, y), (self.right, y), colour::RULE.stroke_width(1))?;
            }
            text(
                self.canvas,
                label,
                (self.left - 6, y),
                &centred.clone().at(HPos::Right, VPos::Center),
            )?;
        }
        let axis = colour::GREY.stroke_width(1);
        line(self.canvas, (self.left, self.bottom), (self.right, self.bottom), axis)?;
        line(self.canvas, (self.left, self.top), (self.left, self.bottom), axis)?;
        let title = style(SMALL, colour::GREY);
        let middle = (i32::midpoint(self.left, self.right), i32::midpoint(self.top, self.bottom));
        if !self.x.title.is_empty() {
            let below = title.clone().at(HPos::Center, VPos::Top);
            text(self.canvas, &self.x.title, (middle.0, self.bottom + 26), &below)?;
        }
        if !self.y.title.is_empty() {
            let beside = title.at(HPos::Center, VPos::Top).upwards();
            text(self.canvas, &self.y.title, (0, middle.1), &beside)?;
        }
        Ok(())
    }

    /// The pixel column of a value.
    #[expect(clippy::cast_possible_truncation, reason = "positions are within the canvas")]
    pub(in super::super) fn x(&self, value: f64) -> i32 {
        self.left + (self.x.position(value) * f64::from(self.right - self.left)).round() as i32
    }

    /// The pixel row of a value.
    #[expect(clippy::cast_possible_truncation, reason = "positions are within the canvas")]
    pub(in super::super) fn y(&self, value: f64) -> i32 {
        self.bottom - (self.y.position(value) * f64::from(self.bottom - self.top)).round() as i32
    }

    /// The pixel row where bars stand.
    pub(super) fn floor(&self) -> i32 {
        self.bottom
    }

    /// A mark at a point.
    pub(in super::super) fn mark(&self, kind: Mark, x: f64, y: f64, colour: RGBColor) -> Drawn {
        mark(self.canvas, kind, (self.x(x), self.y(y)), colour)
    }

    /// A line through points; with `steps`, level until the next point.
    pub(in super::super) fn path(
        &self,
        points: &[(f64, f64)],
        steps: bool,
        colour: RGBColor,
        width: u32,
    ) -> Drawn {
        let mut pixels: Vec<(i32, i32)> = Vec::with_capacity(2 * points.len());
        for &(x, y) in points {
            let next = (self.x(x), self.y(y));
            if let Some(&(_, level)) = pixels.last().filter(|_| steps) {
                pixels.push((next.0, level));
            }
            pixels.push(next);
        }
        path(self.canvas, pixels, colour.stroke_width(width))
    }

    /// A filled band between a lower and an upper line: x, low and high of each point.
    pub(in super::super) fn band(&self, points: &[(f64, f64, f64)], colour: RGBColor) -> Drawn {
        let upper = points.iter().map(|&(x, _, high)| (self.x(x), self.y(high)));
        let lower = points.iter().rev().map(|&(x, low, _)| (self.x(x), self.y(low)));
        polygon(self.canvas, upper.chain(lower).collect(), colour.mix(BAND).filled())
    }

    /// A level or upright line with ends from one point to another: how well a value is known.
    pub(in super::super) fn whisker(&self, from: (f64, f64), to: (f64, f64)) -> Drawn {
        let pixel = |(x, y): (f64, f64)| (self.x(x), self.y(y));
        whisker(self.canvas, pixel(from), pixel(to))
    }

    /// A dashed level line across the panel.
    pub(in super::super) fn level(&self, y: f64, colour: RGBColor) -> Drawn {
        dashes(self.canvas, (self.left, self.y(y)), (self.right, self.y(y)), colour.stroke_width(2))
    }

    /// A dashed upright line across the panel.
    pub(in super::super) fn upright(&self, x: f64, colour: RGBColor) -> Drawn {
        dashes(self.canvas, (self.x(x), self.top), (self.x(x), self.bottom), colour.stroke_width(2))
    }

    /// Two lines beside a point: on the side that has more room before the dashed line at `line`, or, where
    /// neither has enough, before the end of the panel.
    pub(in super::super) fn two_lines(
        &self,
        x: f64,
        y: f64,
        lines: &[String; 2],
        colour: RGBColor,
        line: Option<f64>,
    ) -> Drawn {
        const AWAY: i32 = 9;
        let (x, y) = (self.x(x), self.y(y));
        let roomier = |line: Option<i32>| {
            let left = x - AWAY - line.filter(|line| *line < x).unwrap_or(self.left);
            let right = line.filter(|line| *line >= x).unwrap_or(self.right) - x - AWAY;
            if left > right { (HPos::Right, x - AWAY, left) } else { (HPos::Left, x + AWAY, right) }
        };
        let plain = style(SMALL, colour);
        let mut needed = 0;
        for words in lines {
            needed = needed.max(width(self.canvas, words, &plain)?);
        }
        let before = roomier(line.map(|line| self.x(line)));
        let (side, x, room) = if before.2 >= needed { before } else { roomier(None) };
        for (words, place) in lines.iter().zip([VPos::Bottom, VPos::Top]) {
            let style = plain.clone().at(side, place);
            let words = fit(self.canvas, words, &style, room.unsigned_abs())?;
            text(self.canvas, &words, (x, y), &style)?;
        }
        Ok(())
    }

    /// A remark in the middle of an otherwise empty panel.
    pub(in super::super) fn remark(&self, remark: &str) -> Drawn {
        let style = style(HEADING, colour::GREY).at(HPos::Center, VPos::Center);
        let room = (self.right - self.left - GAP).unsigned_abs();
        let middle = (i32::midpoint(self.left, self.right), i32::midpoint(self.top, self.bottom));
        text(self.canvas, &fit(self.canvas, remark, &style, room)?, middle, &style)
    }
}

fn pixels(size: u32) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}
