//! What the pictures share: one page, one style, text that is measured before it is placed.
//!
//! Pictures are drawn as SVG by plotters, and the PNG is that SVG rendered, so both show the same.
//! The text is set in `DejaVu Sans`, of which `assets/` holds a subset and the licence: no font of
//! the machine is looked at.

mod axis;
mod bars;
mod panel;

use std::{ops::Range, sync::Arc};

use plotters::{
    coord::Shift,
    drawing::DrawingAreaErrorKind,
    prelude::{
        Circle, DrawingArea, IntoDrawingArea, PathElement, Polygon, Rectangle, SVGBackend, Text,
    },
    style::{
        Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle, TextStyle,
        register_font,
        text_anchor::{HPos, Pos, VPos},
    },
};
use resvg::{tiny_skia, usvg};

pub(super) use axis::Axis;
pub(super) use bars::{Bar, Group, bars};
pub(super) use panel::Panel;

/// A part of the page, in pixels from its own corner.
pub(super) type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// What drawing may fail with; the page is a string, so only a missing font can be the cause.
pub(super) type DrawError = DrawingAreaErrorKind<std::io::Error>;
/// What drawing returns.
pub(super) type Drawn = Result<(), DrawError>;

/// Colours that remain apart for colour-blind eyes (Okabe and Ito, 2008).
pub(super) mod colour {
    use plotters::style::RGBColor;

    pub(in super::super) const ORANGE: RGBColor = RGBColor(230, 159, 0);
    pub(in super::super) const SKY: RGBColor = RGBColor(86, 180, 233);
    pub(in super::super) const GREEN: RGBColor = RGBColor(0, 158, 115);
    pub(in super::super) const BLUE: RGBColor = RGBColor(0, 114, 178);
    pub(in super::super) const VERMILION: RGBColor = RGBColor(213, 94, 0);
    pub(in super::super) const PURPLE: RGBColor = RGBColor(204, 121, 167);
    pub(in super::super) const PAPER: RGBColor = RGBColor(255, 255, 255);
    pub(in super::super) const INK: RGBColor = RGBColor(34, 34, 34);
    pub(in super::super) const GREY: RGBColor = RGBColor(110, 110, 110);
    pub(in super::super) const RULE: RGBColor = RGBColor(225, 225, 225);
}

use colour::{GREY, INK, PAPER};

/// Sizes of text, pixels.
pub(super) const TINY: u32 = 11;
pub(super) const SMALL: u32 = 13;
const TITLE: u32 = 22;
const HEADING: u32 = 16;
/// Free space around and between parts, pixels.
pub(super) const GAP: i32 = 16;

/// Names after the first are for viewers of the SVG without `DejaVu Sans`; Verdana has its widths.
const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";
const REGULAR: &[u8] = include_bytes!("../../../assets/DejaVuSans.subset.ttf");
const BOLD: &[u8] = include_bytes!("../../../assets/DejaVuSans-Bold.subset.ttf");

/// Draws a page with a title, a line below it that says where the numbers come from, and what
/// `draw` puts on the rest; returns it as SVG.
pub(super) fn page(
    title: &str,
    note: &str,
    size: (u32, u32),
    draw: impl FnOnce(&Canvas<'_>) -> Drawn,
) -> Result<String, DrawError> {
    // The fonts are part of this crate and parse; were they not to, the first text would fail.
    let _ = register_font(FAMILY, FontStyle::Normal, REGULAR);
    let _ = register_font(FAMILY, FontStyle::Bold, BOLD);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&PAPER)?;
        text(&root, title, (GAP, GAP), &style(TITLE, INK).bold())?;
        let note_style = style(SMALL, GREY);
        let width = root.dim_in_pixel().0.saturating_sub(2 * GAP.unsigned_abs());
        text(&root, &fit(&root, note, &note_style, width)?, (GAP, GAP + 32), &note_style)?;
        draw(&root.margin(82, GAP, GAP, GAP))?;
        root.present()?;
    }
    Ok(svg)
}

/// Renders an SVG made by [`page`] as PNG, one pixel a pixel; says what is wrong where it cannot.
pub(super) fn png(svg: &str) -> Result<Vec<u8>, String> {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(BOLD.to_vec());
    let options = usvg::Options { fontdb: Arc::new(fonts), ..usvg::Options::default() };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let size = tree.size().to_int_size();
    let mut pixels =
        tiny_skia::Pixmap::new(size.width(), size.height()).ok_or("the picture is empty")?;
    resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| error.to_string())
}

/// Text of a size and colour, placed by its upper left corner until told otherwise.
pub(super) fn style(size: u32, colour: RGBColor) -> Style {
    Style { size, colour, bold: false, place: Pos::new(HPos::Left, VPos::Top), upwards: false }
}

/// How a text looks and which of its points is placed.
#[derive(Clone)]
pub(super) struct Style {
    size: u32,
    colour: RGBColor,
    bold: bool,
    place: Pos,
    upwards: bool,
}

impl Style {
    pub(super) fn bold(mut self) -> Self {
        self.bold = true;
        self
    }

    pub(super) fn at(mut self, h: HPos, v: VPos) -> Self {
        self.place = Pos::new(h, v);
        self
    }

    /// Reads from the bottom to the top.
    pub(super) fn upwards(mut self) -> Self {
        self.upwards = true;
        self
    }

    fn plotters(&self) -> TextStyle<'static> {
        /// plotters divides the size by this when it writes SVG.
        const SVG_SIZE: f64 = 1.24;
        let weight = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        let font = FontDesc::new(FontFamily::Name(FAMILY), f64::from(self.size) * SVG_SIZE, weight);
        let turn = if self.upwards { FontTransform::Rotate270 } else { FontTransform::None };
        TextStyle {
            font: font.transform(turn),
            color: self.colour.to_backend_color(),
            pos: self.place,
        }
    }
}

/// Writes a text.
pub(super) fn text(canvas: &Canvas<'_>, text: &str, at: (i32, i32), style: &Style) -> Drawn {
    canvas.draw(&Text::new(text.to_owned(), at, style.plotters()))
}

/// Width of a text, pixels.
pub(super) fn width(canvas: &Canvas<'_>, text: &str, style: &Style) -> Result<i32, DrawError> {
    let flat = Style { upwards: false, ..style.clone() };
    Ok(i32::try_from(canvas.estimate_text_size(text, &flat.plotters())?.0).unwrap_or(i32::MAX))
}

/// The text, cut with an ellipsis where it is wider than `most` pixels.
pub(super) fn fit(
    canvas: &Canvas<'_>,
    text: &str,
    style: &Style,
    most: u32,
) -> Result<String, DrawError> {
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    let mut fitting = text.to_owned();
    while width(canvas, &fitting, style)? > most {
        let Some((last, _)) = fitting.trim_end_matches('…').char_indices().next_back() else {
            break;
        };
        fitting.truncate(last);
        fitting.push('…');
    }
    Ok(fitting)
}

/// A straight line.
pub(super) fn line(
    canvas: &Canvas<'_>,
    from: (i32, i32),
    to: (i32, i32),
    style: ShapeStyle,
) -> Drawn {
    canvas.draw(&PathElement::new(vec![from, to], style))
}

/// A line of dashes, level or upright.
pub(super) fn dashes(
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
pub(super) fn path(canvas: &Canvas<'_>, points: Vec<(i32, i32)>, style: ShapeStyle) -> Drawn {
    canvas.draw(&PathElement::new(points, style))
}

/// A filled rectangle.
pub(super) fn rectangle(
    canvas: &Canvas<'_>,
    x: Range<i32>,
    y: Range<i32>,
    colour: RGBColor,
) -> Drawn {
    canvas.draw(&Rectangle::new([(x.start, y.start), (x.end, y.end)], colour.filled()))
}

/// How a point or a legend entry is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Square,
    Dot,
    Ring,
    Diamond,
    Line,
    Dashes,
}

/// Draws a mark around a point.
pub(super) fn mark(canvas: &Canvas<'_>, mark: Mark, (x, y): (i32, i32), colour: RGBColor) -> Drawn {
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
pub(super) struct Entry {
    pub(super) mark: Mark,
    pub(super) colour: RGBColor,
    pub(super) label: String,
}

impl Entry {
    pub(super) fn new(mark: Mark, colour: RGBColor, label: impl Into<String>) -> Self {
        Self { mark, colour, label: label.into() }
    }
}

/// Draws a legend from `top` on, in as many rows as its width needs; returns where it ends.
fn legend(canvas: &Canvas<'_>, entries: &[Entry], left: i32, top: i32) -> Result<i32, DrawError> {
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

/// Splits a canvas into columns of equal width with a gap between them.
pub(super) fn columns<'a>(canvas: &Canvas<'a>, count: usize) -> Vec<Canvas<'a>> {
    let parts = canvas.split_evenly((1, count));
    parts
        .iter()
        .enumerate()
        .map(|(i, part)| part.margin(0, 0, if i == 0 { 0 } else { GAP }, 0))
        .collect()
}
