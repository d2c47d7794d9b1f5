//! Phrases that several parts of the page use.

use slotune_core::{Configuration, Estimate};
use slotune_serving::{BackendInfo, Provenance};

use crate::{
    analysis::{Change, Level, Miss},
    format::{bound, fixed, is_worse, plus_minus, quantity_or, setting, significant},
};

/// Where the numbers come from, in a line; what matters most comes first, as the end may be cut.
pub(super) fn source(backend: &BackendInfo) -> String {
    let BackendInfo { name, vllm_version, model, .. } = backend;
    let origin = match &backend.provenance {
        Provenance::Measured => "Measured".to_owned(),
        Provenance::Simulated(calibration) => {
            format!("Simulated, not measured (calibration {})", calibration.preset)
        }
    };
    format!("{origin}: vLLM {vllm_version}, backend {name}, {model}")
}

/// `simulated` or `measured`.
pub(super) fn kind(backend: &BackendInfo) -> &'static str {
    match backend.provenance {
        Provenance::Measured => "measured",
        Provenance::Simulated(_) => "simulated",
    }
}

/// A change of a metric: `42.0% lower ± 1.5 pp`; says so where it is a change for the worse, within
/// the noise, or too small to show, and where nothing is known of its error, for then it may be noise.
pub(crate) fn change(metric: &str, change: Option<Change>) -> String {
    let Some(change) = change else { return "n/a".to_owned() };
    if change.relative.abs() < 0.0005 && change.standard_error < 0.0005 {
        return "unchanged".to_owned();
    }
    let error = change.standard_error;
    let decimals = usize::from(change.relative.abs() < 0.0995 || (error > 0.0 && error < 0.0995));
    let percent = |share: f64| format!("{}%", fixed(share * 100.0, decimals));
    let known = match error * 100.0 {
        points if points >= 0.05 => format!(" ± {} pp", fixed(points, decimals)),
        _ => String::new(),
    };
    if !change.is_beyond_noise() {
        let sign = if change.relative >= 0.0005 { "+" } else { "" };
        return format!("within noise ({sign}{}{known})", percent(change.relative));
    }
    let size = match change.relative {
        r if r > 2.0 => {
            let times = Estimate::new(1.0 + r, error);
            let times = plus_minus(times).unwrap_or_else(|| significant(times.value));
            format!("{times} times as high")
        }
        r if r > 0.0 => format!("{} higher{known}", percent(r)),
        // Never "100% lower" of what is not nothing.
        r if r > -1.0 && r < -0.999 => format!("more than 99.9% lower{known}"),
        r if r < -0.99 && r > -1.0 => format!("{}% lower{known}", fixed(-r * 100.0, 1)),
        r => format!("{} lower{known}", percent(-r)),
    };
    let remark = match change {
        change if change.is_error_unknown() => " (uncertainty unknown)",
        change if is_worse(metric, change.relative) => " (worse)",
        _ => "",
    };
    format!("{size}{remark}")
}

/// A missed target: `queue time share ≤ 50%, reached 62.0%`.
pub(crate) fn miss(miss: &Miss<'_>) -> String {
    match miss.value {
        Some(value) => format!(
            "{} (reached {})",
            bound(miss.constraint),
            quantity_or(&miss.constraint.metric, Some(value))
        ),
        None => format!("{} (not measured)", bound(miss.constraint)),
    }
}

/// The value of a level, or its range: `8 to 20`.
pub(super) fn values(level: &Level<'_>) -> String {
    match level.to {
        None => setting(level.value),
        to => format!("{} to {}", setting(level.value), setting(to)),
    }
}

/// A time in RFC 3339 to the second: `2026-11-24 20:00:00 UTC`; any other text as it is.
pub(super) fn date(created: &str) -> String {
    let utc = || {
        let (day, time) = created.strip_suffix('Z')?.split_once('T')?;
        Some(format!("{day} {} UTC", time.split('.').next()?))
    };
    utc().unwrap_or_else(|| created.to_owned())
}

/// A configuration on one line: `max_num_seqs=512 …`; `None` where it sets nothing.
pub(super) fn settings(configuration: &Configuration) -> Option<String> {
    let settings: Vec<String> = configuration
        .iter()
        .map(|(name, value)| format!("{name}={}", setting(Some(value))))
        .collect();
    (!settings.is_empty()).then(|| settings.join(" "))
}

/// What a configuration that sets nothing is.
pub(super) const DEFAULTS: &str = "vLLM's defaults";

/// A configuration on one line, as code in Markdown.
pub(super) fn configuration(configuration: &Configuration) -> String {
    settings(configuration).map_or_else(|| DEFAULTS.to_owned(), |settings| format!("`{settings}`"))
}

/// The beginning of a reported text, with an ellipsis where it goes on; logs can be long.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 160;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Items as a Markdown list.
pub(super) fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("- {item}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_say_direction_noise_and_whether_they_help() {
        let of = |metric, relative, standard_error| {
            change(metric, Some(Change { relative, standard_error }))
        };
        assert_eq!(of("e2e_p95_s", -0.42, 0.0), "42% lower (uncertainty unknown)");
        assert_eq!(of("e2e_p95_s", -0.42, 0.015), "42.0% lower ± 1.5 pp");
        assert_eq!(of("e2e_p95_s", -0.42, 0.0002), "42.0% lower");
        assert_eq!(of("e2e_p95_s", 0.05, 0.0), "5.0% higher (uncertainty unknown)");
        assert_eq!(
            of("output_throughput_tok_per_s", 0.264, 0.0),
            "26% higher (uncertainty unknown)"
        );
        assert_eq!(
            of("output_throughput_tok_per_s", 3.0, 0.0),
            "4.00 times as high (uncertainty unknown)"
        );
        assert_eq!(of("output_throughput_tok_per_s", -0.1, 0.01), "10.0% lower ± 1.0 pp (worse)");
        assert_eq!(of("queue_share", -0.9996, 1e-5), "more than 99.9% lower");
        assert_eq!(of("queue_share", -0.995, 1e-5), "99.5% lower");
        assert_eq!(of("queue_share", -1.0, 0.0), "100% lower");
        assert_eq!(of("e2e_p95_s", -0.02, 0.02), "within noise (−2.0% ± 2.0 pp)");
        assert_eq!(of("queue_share", 531.0, 78.0), "532 ± 78 times as high (worse)");
        assert_eq!(of("request_throughput_per_s", -0.000_02, 1e-6), "unchanged");
        assert_eq!(of("e2e_p95_s", 0.0, 0.0), "unchanged");
        assert_eq!(of("e2e_p95_s", 0.0, 0.02), "within noise (0.0% ± 2.0 pp)");
        assert_eq!(change("e2e_p95_s", None), "n/a");
    }

    #[test]
    fn dates_are_to_the_second() {
        assert_eq!(date("2026-11-24T23:05:07.696214343Z"), "2026-11-24 23:05:07 UTC");
        assert_eq!(date("2026-11-24T20:00:00Z"), "2026-11-24 20:00:00 UTC");
        assert_eq!(date("yesterday"), "yesterday");
    }
}
