//! Axes: range, round ticks, and their labels.

use crate::format::fixed;

/// Largest over smallest value from which dots on a log axis tell more than bars on a linear one, whose
/// lengths compare.
const LOG_RATIO: f64 = 12.0;

/// The same for points, which only need to be told apart.
const LOG_RATIO_OF_POINTS: f64 = 5.0;

/// A range of values, drawn from low to high.
#[derive(Clone, Debug)]
pub(in super::super) struct Axis {
    pub(super) title: String,
    pub(super) ticks: Vec<(f64, String)>,
    /// Whether the axis has lines through its ticks.
    pub(super) grid: bool,
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    /// From 0 to a little above the largest of the values; values are not negative.
    pub(in super::super) fn from_zero(title: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let largest = values.into_iter().fold(0.0, f64::max);
        let high = if largest > 0.0 { largest * HEADROOM } else { 1.0 };
        Self { ticks: linear_ticks(0.0, high), ..Self::new(title, 0.0, high) }
    }

    /// For values side by side: from 0, for bars, or on a log scale where the values span much.
    pub(in super::super) fn for_values(title: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (smallest, largest, axis) = Self::with_range(title, values);
        if largest / smallest >= LOG_RATIO { Self::log(title, smallest, largest) } else { axis }
    }

    /// For points and lines, which need no common ground: a little wider than the values, on a log
    /// scale where they span much.
    pub(in super::super) fn for_points(title: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (smallest, largest, axis) = Self::with_range(title, values);
        if largest / smallest >= LOG_RATIO_OF_POINTS {
            return Self::log(title, smallest, largest);
        }
        let room = (largest - smallest) * 0.1;
        // Nearly equal values are shown as such, not spread over the panel.
        if room.is_finite() && room > largest * 0.005 {
            let (low, high) = ((smallest - room).max(0.0), largest + room);
            return Self { ticks: linear_ticks(low, high), ..Self::new(title, low, high) };
        }
        axis
    }

    /// The smallest and the largest positive value, and the axis from 0.
    fn with_range(title: &str, values: impl IntoIterator<Item = f64>) -> (f64, f64, Self) {
        let positive: Vec<f64> = values.into_iter().filter(|&value| value > 0.0).collect();
        let smallest = positive.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = positive.iter().copied().fold(0.0, f64::max);
        (smallest, largest, Self::from_zero(title, positive))
    }

    /// On a log scale, a little wider than from `smallest` to `largest`; both are positive.
    pub(in super::super) fn log(title: &str, smallest: f64, largest: f64) -> Self {
        // As much room on the scale as HEADROOM is on a linear one.
        let room = (largest / smallest).powf(HEADROOM - 1.0).max(1.2);
        let (low, high) = (smallest / room.sqrt(), largest * room);
        let title = format!("{title}, log scale");
        Self { ticks: log_ticks(low, high), log: true, ..Self::new(&title, low, high) }
    }

    /// From `low` to `high`, neither negative, without room beyond; as many labels as a small panel
    /// has room for.
    pub(in super::super) fn within(title: &str, low: f64, high: f64, log: bool) -> Self {
        /// Labels of five digits that stand side by side in a third of a page.
        const LABELS: usize = 5;
        let mut ticks = if log { log_ticks(low, high) } else { linear_ticks(low, high) };
        let every = ticks.len().div_ceil(LABELS).max(1);
        for (_, label) in ticks.iter_mut().enumerate().filter(|(i, _)| i % every > 0).map(|t| t.1) {
            label.clear();
        }
        Self { ticks, log, ..Self::new(title, low, high) }
    }

    /// From 0 to 100 percent.
    pub(in super::super) fn percent(title: &str) -> Self {
        Self { ticks: linear_ticks(0.0, 100.0), ..Self::new(title, 0.0, 100.0) }
    }

    /// Whole numbers from `first` to `last`.
    pub(in super::super) fn counting(title: &str, first: usize, last: usize) -> Self {
        let (low, high) = (first as f64, last.max(first + 1) as f64);
        let mut ticks = linear_ticks(0.0, high);
        ticks.retain(|&(at, _)| at > low && at.fract() == 0.0);
        ticks.insert(0, (low, String::new()));
        for (at, label) in &mut ticks {
            *label = fixed(*at, 0);
        }
        Self { ticks, ..Self::new(title, low, high) }
    }

    /// Whole numbers from 1 to `last`, at least 2, on a log scale.
    pub(in super::super) fn counting_log(title: &str, last: usize) -> Self {
        let (low, high) = (1.0, last.max(2) as f64);
        let title = format!("{title}, log scale");
        Self { ticks: log_ticks(low, high), log: true, ..Self::new(&title, low, high) }
    }

    /// A place for each name, at 0.5, 1.5, …
    pub(in super::super) fn names<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let ticks: Vec<(f64, String)> = names
            .into_iter()
            .enumerate()
            .map(|(i, name)| (i as f64 + 0.5, name.to_owned()))
            .collect();
        let high = ticks.len().max(1) as f64;
        Self { ticks, grid: false, ..Self::new("", 0.0, high) }
    }

    /// The same with a title.
    pub(in super::super) fn titled(self, title: &str) -> Self {
        Self { title: title.to_owned(), ..self }
    }

    fn new(title: &str, low: f64, high: f64) -> Self {
        Self { title: title.to_owned(), ticks: Vec::new(), grid: true, low, high, log: false }
    }

    /// Whether it begins at zero.
    pub(in super::super) fn is_from_zero(&self) -> bool {
        !self.log && self.low <= 0.0
    }

    /// Whether equal distances are equal ratios.
    pub(super) fn is_log(&self) -> bool {
        self.log
    }

    /// Where a value lies between the ends of the axis, 0 to 1; values beyond lie at the ends.
    pub(super) fn position(&self, value: f64) -> f64 {
        let on_scale =
            |number: f64| if self.log { number.max(f64::MIN_POSITIVE).ln() } else { number };
        let (low, high) = (on_scale(self.low), on_scale(self.high));
        ((on_scale(value) - low) / (high - low)).clamp(0.0, 1.0)
    }
}

/// Top of an axis over its largest value: room for a label above the highest bar.
const HEADROOM: f64 = 1.15;

/// More than the rounding error of a division.
const NUDGE: f64 = 1e-9;

/// Round numbers, eight at most.
fn linear_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let rough = (high - low) / 7.0;
    let decade = 10_f64.powf(rough.log10().floor());
    let step = decade
        * [1.0, 2.0, 5.0, 10.0].into_iter().find(|round| round * decade >= rough).unwrap_or(10.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a handful of ticks"
    )]
    // The nudges keep an end that is a tick.
    let (first, last) = ((low / step - NUDGE).ceil() as u32, (high / step + NUDGE).floor() as u32);
    let decimals = decimals_of(step);
    (first..=last).map(|i| f64::from(i) * step).map(|at| (at, fixed(at, decimals))).collect()
}

/// Powers of ten, with round numbers between them where few powers fit.
fn log_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let decades = (high / low).log10();
    let within: &[f64] = match decades {
        d if d < 1.2 => &[1.0, 2.0, 3.0, 5.0, 7.0],
        d if d < 3.0 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "exponents of numbers that are drawn are small"
    )]
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let ticks =
        (first..=last).flat_map(|exponent| within.iter().map(move |m| m * 10_f64.powi(exponent)));
    ticks
        .filter(|at| (low..=high).contains(at))
        .map(|at| (at, fixed(at, decimals_of(at))))
        .collect()
}

/// Decimals that a number with one significant digit needs.
fn decimals_of(number: f64) -> usize {
    // The nudge keeps 0.1 from falling below its own decade.
    let exponent = (number * (1.0 + NUDGE)).log10().floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative and small"
    )]
    let decimals = (-exponent).clamp(0.0, 9.0) as usize;
    decimals
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[(f64, String)]) -> Vec<&str> {
        ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers_written_without_noise() {
        assert_eq!(labels(&linear_ticks(0.0, 0.92)), ["0.0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(labels(&linear_ticks(0.0, 1600.0)), ["0", "500", "1,000", "1,500"]);
        assert_eq!(labels(&linear_ticks(0.0, 0.5)), ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(labels(&linear_ticks(10.8, 21.5)), ["12", "14", "16", "18", "20"]);
        assert_eq!(
            labels(&log_ticks(0.08, 30.0)),
            ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20"]
        );
        assert_eq!(labels(&log_ticks(0.001, 100.0)), ["0.001", "0.01", "0.1", "1", "10", "100"]);
        assert_eq!(
            labels(&Axis::counting("trials", 1, 30).ticks),
            ["1", "5", "10", "15", "20", "25", "30"]
        );
        assert_eq!(labels(&Axis::counting("trials", 1, 1).ticks), ["1", "2"]);
        assert_eq!(
            labels(&Axis::counting_log("trials", 174).ticks),
            ["1", "2", "5", "10", "20", "50", "100"]
        );
    }

    #[test]
    fn axes_hold_what_they_are_made_for() {
        for values in [vec![], vec![0.0], vec![3.0], vec![0.001, 900.0], vec![0.0, 1e-9, 5.0]] {
            let axis = Axis::for_values("x", values.clone());
            for value in values {
                assert!((0.0..=1.0).contains(&axis.position(value)), "{value}");
            }
            assert!(!axis.ticks.is_empty());
        }
    }
}
