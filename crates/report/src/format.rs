//! Numbers and metrics as a reader wants them: rounded, with units, never more digits than known.

use slotune_core::{Bound, Constraint, Direction, Estimate, Goal, Objective, Value};
use slotune_serving::metrics::Metric;

/// Digits of a number in running text.
const DIGITS: i32 = 3;

/// Most decimals of a number.
const DECIMALS: i32 = 4;

/// Most decimals of a percentage.
const PERCENT_DECIMALS: i32 = 2;

/// What stands behind a number of the metric: its unit; `%` for a share; nothing for a name that
/// the catalogue does not know.
pub(crate) fn unit(metric: &str) -> &'static str {
    match Metric::from_name(metric).map(Metric::unit) {
        Ok("") => "%",
        Ok(unit) => unit,
        Err(_) => "",
    }
}

/// The value in the unit in which it is written: shares in percent.
pub(crate) fn scaled(metric: &str, value: f64) -> f64 {
    if unit(metric) == "%" { value * 100.0 } else { value }
}

/// Whether a change in this direction is known to be for the worse.
pub(crate) fn is_worse(metric: &str, change: f64) -> bool {
    Metric::from_name(metric).is_ok_and(|metric| match metric.direction() {
        Direction::Minimise => change > 0.0,
        Direction::Maximise => change < 0.0,
    })
}

/// What a metric is called within a sentence, without its unit; by its bare name where the
/// catalogue does not know it.
pub(crate) fn label(metric: &str) -> String {
    Metric::from_name(metric).map_or_else(|_| metric.to_owned(), Metric::label)
}

/// The same over a column, at an axis, or at the start of a sentence.
pub(crate) fn heading(metric: &str) -> String {
    let Ok(metric) = Metric::from_name(metric) else { return metric.to_owned() };
    let label = metric.label();
    let first = label.chars().next().map_or(0, char::len_utf8);
    format!("{}{}", label[..first].to_uppercase(), &label[first..])
}

/// A value of a metric, in its own unit, as a reader wants it: rounded to three digits, with the unit, shares in
/// percent, such as `2.54 s` or `85.0%`. Of a name that the catalogue does not know, the number alone.
pub fn quantity(metric: &str, value: f64) -> String {
    with_unit(metric, &number(metric, scaled(metric, value), DIGITS))
}

/// The same, or `n/a` where there is none.
pub(crate) fn quantity_or(metric: &str, value: Option<f64>) -> String {
    value.map_or_else(|| "n/a".to_owned(), |value| quantity(metric, value))
}

/// A value of a metric with its unit and, where it is known and shows in the digits, its standard
/// error: `2.54 ± 0.08 s`. A lower bound is `≥ 2.54 s`.
pub(crate) fn estimate(metric: &str, estimate: Estimate) -> String {
    if estimate.is_lower_bound {
        return format!("≥ {}", quantity(metric, estimate.value));
    }
    let scaled =
        Estimate::new(scaled(metric, estimate.value), scaled(metric, estimate.standard_error));
    plus_minus(scaled)
        .map_or_else(|| quantity(metric, estimate.value), |text| with_unit(metric, &text))
}

/// A value and its standard error, `2.54 ± 0.08`; `None` where the error is 0 or too small to show.
pub(crate) fn plus_minus(estimate: Estimate) -> Option<String> {
    let Estimate { value, standard_error, .. } = estimate;
    // Two digits more than numbers otherwise have are enough for any error that matters.
    let most = decimals(value.abs().max(standard_error), DIGITS + 2, DECIMALS);
    let decimals = decimals(standard_error, 1, DECIMALS).min(most);
    let error = fixed(standard_error, decimals);
    let shows = error.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    shows.then(|| format!("{} ± {error}", fixed(value, decimals)))
}

/// A number of a metric, in the unit in which it is written, with so many significant digits.
pub(crate) fn number(metric: &str, scaled: f64, digits: i32) -> String {
    let most = if unit(metric) == "%" { PERCENT_DECIMALS } else { DECIMALS };
    to_digits(scaled, digits, most)
}

fn with_unit(metric: &str, number: &str) -> String {
    match unit(metric) {
        "" => number.to_owned(),
        "%" => format!("{number}%"),
        unit => format!("{number} {unit}"),
    }
}

/// A bound within a sentence: `output throughput ≥ 1,200 tok/s`.
pub(crate) fn bound(constraint: &Constraint) -> String {
    format!("{} {}", label(&constraint.metric), bound_value(constraint))
}

/// The side and place of a bound: `≥ 1,200 tok/s`.
pub(crate) fn bound_value(constraint: &Constraint) -> String {
    let sign = match constraint.bound {
        Bound::AtLeast(_) => '≥',
        Bound::AtMost(_) => '≤',
    };
    let metric = &constraint.metric;
    // A bound is a number someone chose: write it as it was chosen, without padding zeros.
    let padded = number(metric, scaled(metric, constraint.bound.value()), DIGITS);
    format!("{sign} {}", with_unit(metric, unpadded(&padded)))
}

/// The number without the zeros that end its decimals.
pub(crate) fn unpadded(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// The objective in words: `minimize P95 E2E latency`; of two goals, `… and maximize …`.
pub(crate) fn objective(objective: &Objective) -> String {
    let goal = |Goal { metric, direction, .. }: &Goal| {
        let verb = match direction {
            Direction::Minimise => "minimize",
            Direction::Maximise => "maximize",
        };
        format!("{verb} {}", label(metric))
    };
    let second = objective.against.as_ref().map(|second| format!(" and {}", goal(second)));
    goal(&objective.goal()) + &second.unwrap_or_default()
}

/// A share in percent with one digit more than whole numbers: `12.5%`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent.abs() < 9.995 {
        format!("{}%", fixed(percent, 1))
    } else {
        format!("{}%", fixed(percent, 0))
    }
}

/// A value of a parameter as it stands in a table.
pub(crate) fn setting(value: Option<&Value>) -> String {
    match value {
        None => "not set".to_owned(),
        Some(Value::Boolean(true)) => "on".to_owned(),
        Some(Value::Boolean(false)) => "off".to_owned(),
        // Integers are names of settings: no commas, so that they can be copied.
        Some(Value::Float(number)) => unpadded(&fixed(*number, 4)).to_owned(),
        Some(other) => other.to_string(),
    }
}

/// A share and its standard error in percent: `71 ± 6%`.
pub(crate) fn plus_minus_percent(share: Estimate) -> String {
    let percent = Estimate::new(share.value * 100.0, share.standard_error * 100.0);
    // Whole percents are what such shares are known to.
    format!("{} ± {}%", fixed(percent.value, 0), fixed(percent.standard_error.ceil(), 0))
}

/// A number of things: `1 trial`, `3 trials`, `2 studies`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    match thing.strip_suffix('y') {
        _ if number == 1 => format!("1 {thing}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {thing}s"),
    }
}

/// Rising numbers, three and more in a row as their ends: `0, 2 to 5, 9`.
pub(crate) fn numbers(rising: &[u64]) -> String {
    let runs = rising.chunk_by(|one, next| one + 1 == *next).flat_map(|run| match run {
        [first, _, .., last] => vec![format!("{first} to {last}")],
        few => few.iter().map(u64::to_string).collect(),
    });
    runs.collect::<Vec<_>>().join(", ")
}

/// Items in a sentence: `a, b and c`.
pub(crate) fn and(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// A span of time from seconds: `45 s`, `12 min`, `3.5 h`.
pub(crate) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{} s", significant(s)),
        s if s < 2.0 * 3600.0 => format!("{} min", fixed(s / 60.0, 0)),
        s => format!("{} h", fixed(s / 3600.0, 1)),
    }
}

/// A number with three significant digits, or all digits before the point: `2.54`, `12,346`.
pub(crate) fn significant(value: f64) -> String {
    to_digits(value, DIGITS, DECIMALS)
}

/// A part of a total and the rest, with the decimals of the total: `0.67 + 4.50`.
pub(crate) fn parts(part: f64, total: f64) -> String {
    let decimals = decimals(total, DIGITS, DECIMALS);
    format!("{} + {}", fixed(part, decimals), fixed(total - part, decimals))
}

/// A number with so many significant digits, but at most `most` decimals.
fn to_digits(value: f64, digits: i32, most: i32) -> String {
    let smallest = 10_f64.powi(-most);
    match value.abs() {
        tiny if tiny > 0.0 && tiny < smallest / 2.0 => {
            format!("<{}", fixed(smallest, most.unsigned_abs() as usize))
        }
        _ => fixed(value, decimals(value, digits, most)),
    }
}

/// Decimals, at most `most`, that show this many significant digits of a value.
fn decimals(value: f64, digits: i32, most: i32) -> usize {
    if value == 0.0 || !value.is_finite() {
        return 0;
    }
    let places = |magnitude: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "the exponent of an f64 is small")]
        let exponent = magnitude.log10().floor() as i32;
        (digits - 1 - exponent).clamp(0, most)
    };
    // Rounding may add a digit before the point: 9.996 becomes 10.0, not 10.00.
    let unit = 10_f64.powi(places(value.abs()));
    let rounded = (value.abs() * unit).round() / unit;
    let places = if rounded > 0.0 { places(rounded) } else { most };
    places.unsigned_abs() as usize
}

/// A number with that many decimals and commas between thousands.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "n/a".to_owned();
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) =
        text.split_once('.').map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
    let is_zero = text.bytes().all(|digit| matches!(digit, b'0' | b'.'));
    let mut grouped = String::from(if value < 0.0 && !is_zero { "−" } else { "" });
    for (position, digit) in whole.chars().enumerate() {
        if position > 0 && (whole.len() - position) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(fraction) = fraction {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits_and_group_thousands() {
        for (value, text) in [
            (0.0, "0"),
            (2.5436, "2.54"),
            (9.996, "10.0"),
            (0.001_234, "0.0012"),
            (85.04, "85.0"),
            (999.6, "1,000"),
            (1234.56, "1,235"),
            (-12_345_678.9, "−12,345,679"),
            (1e-9, "<0.0001"),
            (f64::NAN, "n/a"),
            (f64::INFINITY, "n/a"),
        ] {
            assert_eq!(significant(value), text, "{value}");
        }
    }

    #[test]
    fn parts_have_the_digits_of_their_total() {
        assert_eq!(parts(0.6693, 5.1699), "0.67 + 4.50");
        assert_eq!(parts(25.643, 29.243), "25.6 + 3.6");
        assert_eq!(parts(0.0, 5.93), "0.00 + 5.93");
    }

    #[test]
    fn percentages_have_two_decimals_at_most() {
        for (share, text) in [
            (0.85, "85.0%"),
            (0.0135, "1.35%"),
            (0.000_279, "0.03%"),
            (0.000_01, "<0.01%"),
            (0.0, "0%"),
        ] {
            assert_eq!(quantity("queue_share", share), text);
        }
    }

    #[test]
    fn estimates_show_the_digits_that_their_error_leaves() {
        let of =
            |value, standard_error| estimate("e2e_p95_s", Estimate::new(value, standard_error));
        assert_eq!(of(2.5436, 0.0), "2.54 s");
        assert_eq!(of(2.5436, 0.081), "2.54 ± 0.08 s");
        assert_eq!(of(20.03, 1.9), "20 ± 2 s");
        assert_eq!(of(2.5436, 0.0007), "2.5436 ± 0.0007 s");
        assert_eq!(of(17.888_712, 2e-5), "17.9 s", "too small to show");
        let bound = Estimate { is_lower_bound: true, ..Estimate::new(2.544, 0.081) };
        assert_eq!(estimate("e2e_p95_s", bound), "≥ 2.54 s");
        let share = Estimate::new(0.1234, 0.021);
        assert_eq!(estimate("queue_share", share), "12 ± 2%");
        let small = Estimate::new(0.000_279, 0.000_040);
        assert_eq!(estimate("queue_share", small), "0.028 ± 0.004%");
    }

    #[test]
    fn metrics_are_named_and_carry_their_unit() {
        assert_eq!(label("e2e_p95_s"), "P95 E2E latency");
        assert_eq!(label("queue_share"), "queue share of E2E latency");
        assert_eq!(heading("queue_share"), "Queue share of E2E latency");
        assert_eq!(quantity("output_throughput_tok_per_s", 1234.6), "1,235 tok/s");
        assert_eq!(quantity("request_throughput_per_s", 4.6), "4.60 req/s");
        assert_eq!(quantity_or("e2e_p95_s", None), "n/a");
        assert!(is_worse("queue_share", 0.1) && !is_worse("queue_share", -0.1));
        assert!(is_worse("request_throughput_per_s", -0.1));
        // What the catalogue does not know goes by its bare name, and nothing is said of it.
        assert_eq!((label("heat_w"), heading("heat_w")), ("heat_w".into(), "heat_w".into()));
        assert_eq!(quantity("heat_w", 650.0), "650");
        assert!(!is_worse("heat_w", 1.0) && !is_worse("heat_w", -1.0));
    }

    #[test]
    fn bounds_are_written_as_they_were_chosen() {
        assert_eq!(
            bound(&Constraint::at_least("output_throughput_tok_per_s", 1200.0)),
            "output throughput ≥ 1,200 tok/s"
        );
        assert_eq!(bound_value(&Constraint::at_most("queue_share", 0.5)), "≤ 50%");
        assert_eq!(bound_value(&Constraint::at_most("e2e_p95_very_long_s", 2.75)), "≤ 2.75 s");
        assert_eq!(bound_value(&Constraint::at_most("x", 0.0)), "≤ 0");
    }

    #[test]
    fn spans_and_shares_are_short() {
        assert_eq!(span(45.0), "45.0 s");
        assert_eq!(span(770.0), "13 min");
        assert_eq!(span(12_600.0), "3.5 h");
        assert_eq!(percent(0.0512), "5.1%");
        assert_eq!(percent(-0.42), "−42%");
        assert_eq!([count(1, "study"), count(2, "study")], ["1 study", "2 studies"]);
        assert_eq!(count(0, "trial"), "0 trials");
    }

    #[test]
    fn settings_are_short_and_can_be_copied() {
        assert_eq!(setting(Some(&Value::Float(0.900_000_000_1))), "0.9");
        assert_eq!(setting(Some(&Value::Integer(16_384))), "16384");
        assert_eq!(setting(None), "not set");
    }

    #[test]
    fn numbers_in_a_row_are_told_by_their_ends() {
        assert_eq!(numbers(&[0, 2, 3, 4, 5, 9, 10]), "0, 2 to 5, 9, 10");
        assert_eq!([numbers(&[]), numbers(&[7]), numbers(&[1, 2, 3])], ["", "7", "1 to 3"]);
    }

    #[test]
    fn items_read_as_in_a_sentence() {
        let of = |items: &[&str]| and(&items.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!([of(&[]), of(&["a"]), of(&["a", "b", "c"])], ["", "a", "a, b and c"]);
    }
}
