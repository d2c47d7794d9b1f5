//! Numbers and metrics as a reader wants them: rounded, with units, never more digits than known.

use slotune_core::{Bound, Constraint, Direction, Estimate, Objective};

/// Digits of a number in running text.
const DIGITS: i32 = 3;

/// What kind of number a metric is, read off its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    TokensPerSecond,
    RequestsPerSecond,
    Share,
    None,
}

impl Unit {
    /// The unit that a metric's name ends with.
    pub(crate) fn of(metric: &str) -> Self {
        if metric.ends_with("_tok_per_s") {
            Self::TokensPerSecond
        } else if metric.ends_with("_per_s") {
            Self::RequestsPerSecond
        } else if metric.ends_with("_s") {
            Self::Seconds
        } else if metric.ends_with("_share") {
            Self::Share
        } else {
            Self::None
        }
    }

    /// The sign that follows a number; shares are written in percent.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Seconds => " s",
            Self::TokensPerSecond => " tok/s",
            Self::RequestsPerSecond => " req/s",
            Self::Share => "%",
            Self::None => "",
        }
    }

    /// The number as it is written: shares in percent.
    pub(crate) fn scale(self, value: f64) -> f64 {
        if self == Self::Share { value * 100.0 } else { value }
    }
}

/// Whether less of the metric is better: of all but rates and the share of completed requests.
pub(crate) fn less_is_better(metric: &str) -> bool {
    metric != "completed_share"
        && !matches!(Unit::of(metric), Unit::TokensPerSecond | Unit::RequestsPerSecond)
}

/// What a metric is called over a column or at an axis, without its unit.
pub(crate) fn label(metric: &str) -> String {
    const TIMES: [(&str, &str); 5] = [
        ("e2e_", "latency"),
        ("ttft_", "TTFT"),
        ("tpot_", "TPOT"),
        ("itl_", "ITL"),
        ("queue_time_", "queue time"),
    ];
    match metric {
        "queue_share" => return "Queue time share".to_owned(),
        "output_throughput_tok_per_s" => return "Output throughput".to_owned(),
        "request_throughput_per_s" => return "Request throughput".to_owned(),
        _ => {}
    }
    let time = TIMES.iter().find_map(|(prefix, noun)| {
        let rest = metric.strip_prefix(prefix)?.strip_suffix("_s")?;
        let (statistic, class) = rest.split_once('_').unwrap_or((rest, ""));
        let statistic = match statistic.strip_prefix('p') {
            Some(percentile) => format!("P{percentile}"),
            None if statistic == "mean" => "Mean".to_owned(),
            None => return None,
        };
        let class = if class.is_empty() {
            String::new()
        } else {
            format!(", {} requests", class.replace('_', " "))
        };
        Some(format!("{statistic} {noun}{class}"))
    });
    time.unwrap_or_else(|| metric.replace('_', " "))
}

/// The same within a sentence: `queue time share`, but `P95 latency`.
pub(crate) fn phrase(metric: &str) -> String {
    let label = label(metric);
    let mut letters = label.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            format!("{}{}", first.to_lowercase(), &label[first.len_utf8()..])
        }
        _ => label,
    }
}

/// A value of a metric with its unit, such as `2.54 s` or `85.0%`.
pub(crate) fn quantity(metric: &str, value: f64) -> String {
    let unit = Unit::of(metric);
    format!("{}{}", significant(unit.scale(value)), unit.sign())
}

/// The same, or `n/a` where there is none.
pub(crate) fn quantity_or(metric: &str, value: Option<f64>) -> String {
    value.map_or_else(|| "n/a".to_owned(), |value| quantity(metric, value))
}

/// A value of a metric with its unit and, where it is known, its standard error: `2.54 ± 0.08 s`.
pub(crate) fn estimate(metric: &str, estimate: Estimate) -> String {
    let unit = Unit::of(metric);
    let (value, error) = (unit.scale(estimate.value), unit.scale(estimate.standard_error));
    if error > 0.0 {
        let decimals = decimals(value, DIGITS).max(decimals(error, 1));
        format!("{} ± {}{}", fixed(value, decimals), fixed(error, decimals), unit.sign())
    } else {
        quantity(metric, estimate.value)
    }
}

/// A bound within a sentence: `output throughput ≥ 1,200 tok/s`.
pub(crate) fn bound(constraint: &Constraint) -> String {
    format!("{} {}", phrase(&constraint.metric), bound_value(constraint))
}

/// The side and place of a bound: `≥ 1,200 tok/s`.
pub(crate) fn bound_value(constraint: &Constraint) -> String {
    let sign = match constraint.bound {
        Bound::AtLeast(_) => '≥',
        Bound::AtMost(_) => '≤',
    };
    let unit = Unit::of(&constraint.metric);
    let value = unit.scale(constraint.bound.value());
    // A bound is a number someone chose: write it as it was chosen, without padding zeros.
    let padded = fixed(value, decimals(value, DIGITS));
    let chosen = if padded.contains('.') {
        padded.trim_end_matches('0').trim_end_matches('.')
    } else {
        &padded
    };
    format!("{sign} {chosen}{}", unit.sign())
}

/// The objective in words: `minimize P95 latency`.
pub(crate) fn objective(objective: &Objective) -> String {
    let verb = match objective.direction {
        Direction::Minimise => "minimize",
        Direction::Maximise => "maximize",
    };
    format!("{verb} {}", phrase(&objective.metric))
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

/// A number of things: `1 trial`, `3 trials`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
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
    to_digits(value, DIGITS)
}

/// A number with so many significant digits, but at most four decimals.
pub(crate) fn to_digits(value: f64, digits: i32) -> String {
    match value.abs() {
        tiny if tiny > 0.0 && tiny < 0.000_05 => "<0.0001".to_owned(),
        _ => fixed(value, decimals(value, digits)),
    }
}

/// Decimals that show this many significant digits of a value.
fn decimals(value: f64, digits: i32) -> usize {
    /// No table is helped by more.
    const MOST: i32 = 4;
    if value == 0.0 || !value.is_finite() {
        return 0;
    }
    let places = |magnitude: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "the exponent of an f64 is small")]
        let exponent = magnitude.log10().floor() as i32;
        (digits - 1 - exponent).clamp(0, MOST)
    };
    // Rounding may add a digit before the point: 9.996 becomes 10.0, not 10.00.
    let unit = 10_f64.powi(places(value.abs()));
    let rounded = (value.abs() * unit).round() / unit;
    let places = if rounded > 0.0 { places(rounded) } else { MOST };
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
    fn estimates_show_as_many_digits_as_their_error_needs() {
        let of = |value, standard_error| estimate("e2e_p95_s", Estimate { value, standard_error });
        assert_eq!(of(2.5436, 0.0), "2.54 s");
        assert_eq!(of(2.5436, 0.081), "2.54 ± 0.08 s");
        assert_eq!(of(2.5436, 0.0007), "2.5436 ± 0.0007 s");
        let share = Estimate { value: 0.1234, standard_error: 0.021 };
        assert_eq!(estimate("queue_share", share), "12.3 ± 2.1%");
    }

    #[test]
    fn metrics_are_named_and_carry_their_unit() {
        assert_eq!(label("e2e_p95_s"), "P95 latency");
        assert_eq!(label("e2e_p95_very_long_s"), "P95 latency, very long requests");
        assert_eq!(label("ttft_p95_s"), "P95 TTFT");
        assert_eq!(label("e2e_mean_s"), "Mean latency");
        assert_eq!(label("queue_time_p50_s"), "P50 queue time");
        assert_eq!(label("e2e__s"), "e2e  s");
        assert_eq!(phrase("queue_share"), "queue time share");
        assert_eq!(phrase("e2e_p95_s"), "P95 latency");
        assert_eq!(label("something_else"), "something else");
        assert_eq!(quantity("output_throughput_tok_per_s", 1234.6), "1,235 tok/s");
        assert_eq!(quantity("request_throughput_per_s", 4.6), "4.60 req/s");
        assert_eq!(quantity("queue_share", 0.85), "85.0%");
        assert_eq!(quantity_or("e2e_p95_s", None), "n/a");
        assert!(less_is_better("queue_share") && !less_is_better("request_throughput_per_s"));
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
        assert_eq!(count(1, "trial"), "1 trial");
    }
}
