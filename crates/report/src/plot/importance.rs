//! How much of the objective each parameter moves, and the two that move most together.

use plotters::style::{
    RGBColor,
    text_anchor::{HPos, VPos},
};
use slotune_core::{
    Estimate, Value,
    importance::{Importance, PairEffect},
};

use super::{
    BESIDE, Scene,
    figure::{
        Axis, Canvas, DrawError, Drawn, Entry, Mark, Panel, SMALL, colour, columns, page,
        rectangle, style, text, with_margin,
    },
};
use crate::format::{
    heading, label, number, plus_minus_percent, quantity, scaled, setting, significant, unpadded,
};

/// Most parameters that have a bar.
const BARS: usize = 14;

/// Room for a label such as `100 ± 23%`, pixels.
const LABELS: u32 = 92;

pub(super) fn draw(scene: &Scene<'_>, importance: &Importance) -> Result<String, DrawError> {
    let title = format!("What moves the {}", label(&scene.effects.metric));
    page(&title, &scene.source, super::ONE_ROW, |canvas| {
        let panels = columns(canvas, 2);
        shares(importance, &panels[0])?;
        match &importance.pair {
            Some(pair) => heat_map(&scene.effects.metric, pair, &panels[1]),
            None => Ok(()),
        }
    })
}

/// One level bar for each parameter, the most important on top; its number stands at the right, so that the
/// axis ends with the bars.
fn shares(importance: &Importance, canvas: &Canvas<'_>) -> Drawn {
    let shown = importance.parameters.len().min(BARS);
    let rows: Vec<_> = importance.parameters[..shown].iter().rev().collect();
    let chance = importance.chance.value * 100.0;
    let mut entries = vec![
        Entry::new(Mark::Square, colour::SKY, "with the others"),
        Entry::new(Mark::Square, colour::BLUE, "by itself"),
        Entry::new(Mark::Dashes, colour::GREY, "what chance gives"),
    ];
    if rows.iter().any(|row| !row.is_told) {
        entries.push(Entry::new(Mark::Square, colour::GREY, "not told from chance"));
    }
    // No share is below nothing or above all.
    let ends = |share: Estimate| {
        [share.value - share.standard_error, share.value + share.standard_error]
            .map(|end| end.clamp(0.0, 1.0) * 100.0)
    };
    let furthest = rows.iter().map(|row| ends(row.share)[1]).fold(chance, f64::max);
    let x = Axis::within("share of variance, %", 0.0, furthest.max(1.0), false);
    let y = Axis::names(rows.iter().map(|row| row.parameter.as_str()));
    let (plot, margin) = with_margin(canvas, LABELS);
    let panel = Panel::new(&plot, "Importance of each parameter", &entries, x, y)?;
    for (i, row) in rows.iter().enumerate() {
        let at = |share: f64| i as f64 + share;
        let bar = |share: f64, half: f64, colour| {
            let across = panel.x(0.0)..panel.x(share * 100.0);
            rectangle(&plot, across, panel.y(at(0.5 + half))..panel.y(at(0.5 - half)), colour)
        };
        let (total, ink) =
            if row.is_told { (colour::SKY, colour::INK) } else { (colour::GREY, colour::GREY) };
        bar(row.share.value, 0.3, total)?;
        if row.is_told {
            bar(row.alone.value.min(row.share.value), 0.15, colour::BLUE)?;
        }
        let [low, high] = ends(row.share);
        panel.whisker((low, at(0.5)), (high, at(0.5)))?;
        let style = style(SMALL, ink).at(HPos::Left, VPos::Center);
        text(&margin, &plus_minus_percent(row.share), (BESIDE, panel.y(at(0.5))), &style)?;
    }
    panel.upright(chance, colour::GREY)
}

/// The metric over the values of two parameters, darker where it is smaller.
fn heat_map(metric: &str, pair: &PairEffect, canvas: &Canvas<'_>) -> Drawn {
    let known = || pair.means.iter().flatten().flatten().copied();
    let (low, high) = known()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    // By ratio where there is one, so that a latency twice as long is one step everywhere.
    let on_scale = |value: f64| if low > 0.0 { value.ln() } else { value };
    let place = |value: f64| {
        let room = on_scale(high) - on_scale(low);
        if room > 0.0 { (on_scale(value) - on_scale(low)) / room } else { 0.5 }
    };
    let mut entries: Vec<Entry> = [0.0, 0.5, 1.0]
        .into_iter()
        .filter(|_| low.is_finite())
        .map(|share| {
            let at = on_scale(low) + share * (on_scale(high) - on_scale(low));
            let value = if low > 0.0 { at.exp() } else { at };
            Entry::new(Mark::Square, shade(share), quantity(metric, value))
        })
        .collect();
    if pair.means.iter().flatten().any(Option::is_none) {
        entries.push(Entry::new(Mark::Ring, colour::GREY, "no such configuration"));
    }
    let (columns, rows) = (labels(&pair.second_values), labels(&pair.first_values));
    let names = |labels: &[String]| Axis::names(labels.iter().map(String::as_str));
    let title = format!("{} by two together", heading(metric));
    let (x, y) = (names(&columns).titled(&pair.second), names(&rows).titled(&pair.first));
    let panel = Panel::new(canvas, &title, &entries, x, y)?;
    let writes = pair.first_values.len() <= 8 && pair.second_values.len() <= 8;
    for (row, means) in pair.means.iter().enumerate() {
        for (column, mean) in means.iter().enumerate() {
            let (left, bottom) = (column as f64, row as f64);
            let middle = (panel.x(left + 0.5), panel.y(bottom + 0.5));
            let Some(mean) = *mean else {
                panel.mark(Mark::Ring, left + 0.5, bottom + 0.5, colour::GREY)?;
                continue;
            };
            let colour = shade(place(mean));
            // One pixel between cells.
            let across = panel.x(left)..panel.x(left + 1.0) - 1;
            rectangle(canvas, across, panel.y(bottom + 1.0) + 1..panel.y(bottom), colour)?;
            if writes {
                let written = number(metric, scaled(metric, mean), 3);
                let style = style(SMALL, writing_on(colour)).at(HPos::Center, VPos::Center);
                text(canvas, &written, middle, &style)?;
            }
        }
    }
    Ok(())
}

/// Values as labels of an axis; of many, only every so many.
pub(super) fn labels(values: &[Value]) -> Vec<String> {
    const MOST: usize = 8;
    let every = values.len().div_ceil(MOST);
    let label = |(i, value): (usize, &Value)| {
        if i % every == 0 { short(value) } else { String::new() }
    };
    values.iter().enumerate().map(label).collect()
}

/// A value with three digits where it has a fraction.
fn short(value: &Value) -> String {
    match value {
        Value::Float(number) => unpadded(&significant(*number)).to_owned(),
        other => setting(Some(other)),
    }
}

/// The colour of a place between the smallest (0) and the largest (1): cividis, whose brightness rises
/// evenly for all eyes and in print (Nuñez, Anderton and Renslow, `PLoS ONE` 2018), without its darkest
/// part, which would be lost on a dark page.
fn shade(place: f64) -> RGBColor {
    const STOPS: [(u8, u8, u8); 5] =
        [(39, 59, 95), (65, 77, 107), (124, 123, 120), (188, 175, 111), (255, 234, 70)];
    let at = place.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the stops")]
    let stop = (at as usize).min(STOPS.len() - 2);
    let mix = |from: u8, to: u8| {
        let share = at - stop as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between the two"
        )]
        let mixed = (f64::from(from) * (1.0 - share) + f64::from(to) * share).round() as u8;
        mixed
    };
    let (a, b) = (STOPS[stop], STOPS[stop + 1]);
    RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// What can be read on a colour. Neither is a colour that the page turns over in the dark.
fn writing_on(RGBColor(red, green, blue): RGBColor) -> RGBColor {
    // Brightness as ITU-R BT.601 weighs it.
    let brightness = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
    if brightness > 120.0 { RGBColor(16, 16, 16) } else { RGBColor(250, 250, 250) }
}
