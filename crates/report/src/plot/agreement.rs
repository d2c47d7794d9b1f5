//! Predicted against measured values: how far a model is from what it stands for.

use super::{
    Picture,
    figure::{self, Axis, Entry, Mark, Panel, colour, columns, page},
};

/// Values of one kind, in a panel of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement<'a> {
    /// What they are.
    pub heading: &'a str,
    /// Their unit.
    pub unit: &'a str,
    /// Measured and predicted value of each thing compared, both above 0, and the place of its group.
    pub points: Vec<(f64, f64, usize)>,
}

/// Draws `panels` side by side, the points of each group in a colour of its own; `name` is the picture's
/// file name without the ending, and `note` says where the numbers are from.
///
/// # Errors
/// What is wrong, where the picture cannot be drawn.
pub fn agreement(
    name: &'static str,
    (title, note): (&str, &str),
    groups: &[&str],
    panels: &[Agreement<'_>],
) -> Result<Picture, String> {
    const COLOURS: [plotters::style::RGBColor; 4] =
        [colour::BLUE, colour::ORANGE, colour::GREEN, colour::VERMILION];
    let colour_of = |group: usize| COLOURS[group % COLOURS.len()];
    let svg = page(title, note, super::ONE_ROW, |canvas| {
        for (canvas, panel) in columns(canvas, panels.len()).iter().zip(panels) {
            let values =
                || panel.points.iter().flat_map(|&(measured, predicted, _)| [measured, predicted]);
            let axis = |what: &str| Axis::for_points(&format!("{what}, {}", panel.unit), values());
            let entries: Vec<Entry> = groups
                .iter()
                .enumerate()
                .map(|(group, name)| Entry::new(Mark::Dot, colour_of(group), *name))
                .collect();
            let drawn =
                Panel::new(canvas, panel.heading, &entries, axis("measured"), axis("predicted"))?;
            let smallest = values().fold(f64::INFINITY, f64::min);
            let largest = values().fold(0.0, f64::max);
            drawn.path(&[(smallest, smallest), (largest, largest)], false, colour::GREY, 1)?;
            for &(measured, predicted, group) in &panel.points {
                drawn.mark(Mark::Dot, measured, predicted, colour_of(group))?;
            }
        }
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    let png = figure::png(&svg)?;
    Ok(Picture { name, svg, png })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_point_is_drawn_and_each_group_named() {
        let points = vec![(1.0, 1.1, 0), (2.0, 1.9, 1), (4.0, 4.0, 1)];
        let panel = Agreement { heading: "Mean E2E", unit: "s", points };
        let picture = agreement("test", ("A title", "A note"), &["one", "two"], &[panel])
            .expect("the fonts are part of the crate");
        for text in ["A title", "A note", "Mean E2E", "one", "two", "measured, s", "predicted, s"] {
            assert!(picture.svg.contains(text), "{text}");
        }
        // Three points, and an entry of the legend for each group.
        assert_eq!(picture.svg.matches("<circle").count(), 5);
        assert!(picture.png.starts_with(b"\x89PNG"));
    }
}
