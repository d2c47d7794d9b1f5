//! Latencies bounded in milliseconds, where metrics are in seconds.

use slotune_serving::metrics::{Metric, Slo, Statistic};

/// A bound that no server could be meant to have: seconds that are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "is in seconds, and nobody waits {bound} s for it; {bound} ms are {}",
    bound / MILLISECONDS_PER_SECOND
)]
pub struct NotSeconds {
    /// The bound seen, in seconds.
    pub bound: f64,
}

const MILLISECONDS_PER_SECOND: f64 = 1000.0;

/// Checks that a bound of a metric can be meant in seconds. Milliseconds would pass silently: every server
/// meets them. E2E latencies are left alone, since the answer to a long request may take an hour.
///
/// # Errors
/// [`NotSeconds`] where a time between tokens is above 10 s, or a time until the first above 600 s.
pub fn check_seconds(metric: Metric, bound: f64) -> Result<(), NotSeconds> {
    let longest_s = match metric {
        Metric::Tpot(_) | Metric::Itl(_) => 10.0,
        Metric::Ttft(_) | Metric::QueueTime(_) => 600.0,
        _ => f64::INFINITY,
    };
    if bound > longest_s { Err(NotSeconds { bound }) } else { Ok(()) }
}

/// The same of the limits of a good request; the name of the limit stands beside the error.
///
/// # Errors
/// As [`check_seconds`].
pub fn check_limits(slo: &Slo) -> Result<(), (&'static str, NotSeconds)> {
    let limits = [
        ("ttft_s", Metric::Ttft(Statistic::Mean), slo.ttft_s),
        ("tpot_s", Metric::Tpot(Statistic::Mean), slo.tpot_s),
    ];
    for (name, metric, limit) in limits {
        check_seconds(metric, limit.unwrap_or_default()).map_err(|error| (name, error))?;
    }
    Ok(())
}
