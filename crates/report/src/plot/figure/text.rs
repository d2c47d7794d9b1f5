//! Text that is measured before it is placed.

use plotters::{
    prelude::Text,
    style::{
        Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{Canvas, DrawError, Drawn, FAMILY};

/// Text of a size and colour, placed by its upper left corner until told otherwise.
pub(in super::super) fn style(size: u32, colour: RGBColor) -> Style {
    Style { size, colour, bold: false, place: Pos::new(HPos::Left, VPos::Top), upwards: false }
}

/// How a text looks and which of its points is placed.
#[derive(Clone)]
pub(in super::super) struct Style {
    size: u32,
    colour: RGBColor,
    bold: bool,
    place: Pos,
    upwards: bool,
}

impl Style {
    pub(in super::super) fn bold(mut self) -> Self {
        self.bold = true;
        self
    }

    pub(in super::super) fn at(mut self, h: HPos, v: VPos) -> Self {
        self.place = Pos::new(h, v);
        self
    }

    /// Reads from the bottom to the top.
    pub(in super::super) fn upwards(mut self) -> Self {
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
pub(in super::super) fn text(
    canvas: &Canvas<'_>,
    text: &str,
    at: (i32, i32),
    style: &Style,
) -> Drawn {
    canvas.draw(&Text::new(text.to_owned(), at, style.plotters()))
}

/// Width of a text, pixels.
pub(in super::super) fn width(
    canvas: &Canvas<'_>,
    text: &str,
    style: &Style,
) -> Result<i32, DrawError> {
    let flat = Style { upwards: false, ..style.clone() };
    Ok(i32::try_from(canvas.estimate_text_size(text, &flat.plotters())?.0).unwrap_or(i32::MAX))
}

/// The text, cut with an ellipsis where it is wider than `most` pixels.
pub(in super::super) fn fit(
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
