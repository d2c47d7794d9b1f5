//! Bounds in another unit than that of their metric: latencies in milliseconds, shares in percent.

use slotune_serving::metrics::{Metric, Slo, Statistic};

/// A bound that nobody could mean in the unit of its metric. Every server meets it, so it would pass in silence.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum WrongUnit {
    /// Seconds that are milliseconds.
    #[error("is in seconds, and nobody waits {bound} s for it; {bound} ms are {}", bound / 1000.0)]
    Milliseconds {
        /// The bound seen.
        bound: f64,
    },
    /// A share that is a percentage.
    #[error("is a share, from 0 to 1, and not {bound}; {bound} % are {}", bound / 100.0)]
    Percent {
        /// The bound seen.
        bound: f64,
    },
}

/// Checks that a bound of a metric can be meant in its unit. E2E latencies are left alone, since the answer to a
/// long request may take an hour.
///
/// # Errors
/// [`WrongUnit`] where a time between tokens is above 10 s, a time until the first above 300 s, or a share above
/// 1.
pub fn check_unit(metric: Metric, bound: f64) -> Result<(), WrongUnit> {
    match metric {
        Metric::Tpot(_) | Metric::Itl(_) if bound > 10.0 => Err(WrongUnit::Milliseconds { bound }),
        Metric::Ttft(_) | Metric::QueueTime(_) if bound > 300.0 => {
            Err(WrongUnit::Milliseconds { bound })
        }
        Metric::QueueShare | Metric::CompletedShare if bound > 1.0 => {
            Err(WrongUnit::Percent { bound })
        }
        _ => Ok(()),
    }
}

/// The same of the limits of a good request; the name of the limit stands beside the error.
///
/// # Errors
/// As [`check_unit`].
pub fn check_limits(slo: &Slo) -> Result<(), (&'static str, WrongUnit)> {
    let limits = [
        ("ttft_s", Metric::Ttft(Statistic::Mean), slo.ttft_s),
        ("tpot_s", Metric::Tpot(Statistic::Mean), slo.tpot_s),
    ];
    for (name, metric, limit) in limits {
        check_unit(metric, limit.unwrap_or_default()).map_err(|error| (name, error))?;
    }
    Ok(())
}
