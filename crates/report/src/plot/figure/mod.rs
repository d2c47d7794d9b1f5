//! What the pictures share: one page, one style, text that is measured before it is placed.
//!
//! Pictures are drawn as SVG by plotters, and the PNG is that SVG rendered, so both show the same.
//! The text is set in `DejaVu Sans`, of which `assets/` holds a subset and the licence: no font of
//! the machine is looked at.

mod axis;
pub(super) mod colour;
mod panel;
mod shapes;
mod text;
mod values;

use std::sync::Arc;

use plotters::{
    coord::Shift,
    drawing::DrawingAreaErrorKind,
    prelude::{DrawingArea, IntoDrawingArea, SVGBackend},
    style::{FontStyle, register_font},
};
use resvg::{tiny_skia, usvg};

pub(super) use axis::Axis;
pub(super) use panel::Panel;
pub(super) use shapes::{Entry, Mark, rectangle};
use shapes::{dashes, legend, line, mark, path, polygon, whisker};
use text::{Style, width};
pub(super) use text::{fit, style, text};
pub(super) use values::{Group, Shown, side_by_side};

/// A part of the page, in pixels from its own corner.
pub(super) type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// What drawing may fail with; the page is a string, so only a missing font can be the cause.
pub(super) type DrawError = DrawingAreaErrorKind<std::io::Error>;
/// What drawing returns.
pub(super) type Drawn = Result<(), DrawError>;

use colour::{GREY, INK, PAPER};

/// Sizes of text, pixels.
const TINY: u32 = 11;
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

/// Splits a canvas into columns of equal width with a gap between them.
pub(super) fn columns<'a>(canvas: &Canvas<'a>, count: usize) -> Vec<Canvas<'a>> {
    let parts = canvas.split_evenly((1, count));
    parts
        .iter()
        .enumerate()
        .map(|(i, part)| part.margin(0, 0, if i == 0 { 0 } else { GAP }, 0))
        .collect()
}

/// Splits a column of that width, pixels, off the right of a canvas: room for what is written beside a panel
/// whose axis ends with its values.
pub(super) fn with_margin<'a>(canvas: &Canvas<'a>, width: u32) -> (Canvas<'a>, Canvas<'a>) {
    canvas.split_horizontally(canvas.dim_in_pixel().0.saturating_sub(width))
}
