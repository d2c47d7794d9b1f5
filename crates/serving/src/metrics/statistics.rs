//! Percentiles and confidence intervals.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The percentile of sorted values, `percent` from 0 to 100, by linear interpolation: type 7 of
/// Hyndman and Fan, "Sample quantiles in statistical packages", 1996, as in R and `NumPy`.
///
/// `None` for no values, for a percentage outside 0 to 100, and where it falls on NaN or halfway
/// between opposite infinities.
///
/// ```
/// use slotune_serving::metrics::percentile;
/// assert_eq!(percentile(&[1.0, 4.0, 5.0], 75.0), Some(4.5));
/// ```
pub fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let rank = Rank::of(percent, sorted.len() as u64)?;
    let at = |position: u64| sorted.get(usize::try_from(position).ok()?).copied();
    Some(rank.interpolate(at(rank.below)?, at(rank.above)?)).filter(|value| !value.is_nan())
}

/// Where a percentile lies among n sorted values: between two of them, which may be one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rank {
    /// Position of the value below, from 0.
    pub(super) below: u64,
    /// Position of the value above.
    pub(super) above: u64,
    fraction: f64,
}

impl Rank {
    pub(super) fn of(percent: f64, n: u64) -> Option<Self> {
        let last = n.checked_sub(1).filter(|_| (0.0..=100.0).contains(&percent))?;
        let position = last as f64 * percent / 100.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to last"
        )]
        let below = (position.floor() as u64).min(last);
        Some(Self { below, above: (below + 1).min(last), fraction: position - below as f64 })
    }

    /// The value that far from the one below to the one above, which is not less.
    pub(super) fn interpolate(self, below: f64, above: f64) -> f64 {
        // Also for equal infinities, whose difference is NaN.
        if self.fraction <= 0.0 || below >= above {
            return below;
        }
        let between = below + self.fraction * (above - below);
        // Rounding must not carry it past the end; NaN stays.
        if between > above { above } else { between }
    }
}

/// Two numbers that enclose a statistic, in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The percentile bootstrap interval from replicates of a statistic (Efron, "Bootstrap methods:
/// another look at the jackknife", 1979): the percentiles that leave out (1 − `confidence`) / 2 on
/// each side.
///
/// `None` for no replicates, for any that is NaN, and for a confidence not between 0 and 1.
pub fn confidence_interval(replicates: &[f64], confidence: f64) -> Option<Interval> {
    if !is_confidence(confidence) || replicates.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mut sorted = replicates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let tail = 100.0 * (1.0 - confidence) / 2.0;
    Some(Interval { low: percentile(&sorted, tail)?, high: percentile(&sorted, 100.0 - tail)? })
}

/// Student's interval for the mean of independent values (Student, "The probable error of a
/// mean", 1908): mean ± t · sd / √n with n − 1 degrees of freedom. For repeats of one trial.
///
/// `None` for fewer than two values, for any that is not finite, and for a confidence not between
/// 0 and 1.
pub fn mean_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    if !is_confidence(confidence)
        || values.len() < 2
        || values.iter().any(|value| !value.is_finite())
    {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let half_width = student_t(confidence, n - 1.0)? * standard_deviation(values) / n.sqrt();
    Some(Interval { low: mean - half_width, high: mean + half_width })
}

/// The number of standard errors that hold `confidence` on both sides together.
pub(super) fn student_t(confidence: f64, degrees_of_freedom: f64) -> Option<f64> {
    let law = StudentsT::new(0.0, 1.0, degrees_of_freedom).ok()?;
    Some(law.inverse_cdf(f64::midpoint(1.0, confidence)))
}

/// The sample standard deviation, with n − 1; 0 for fewer than two values.
pub(super) fn standard_deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

fn is_confidence(confidence: f64) -> bool {
    confidence > 0.0 && confidence < 1.0
}
