//! The relative change between two measured values.

use slotune_core::Estimate;

/// Standard errors beyond which a difference counts as more than noise: 95 % of a normal law.
pub(crate) const BEYOND_NOISE: f64 = 1.96;

/// An error of a smaller share of its value is none that was seen: where requests arrive at their times, that of
/// a throughput says nothing of how repeats would differ.
const LEAST_ERROR: f64 = 1e-4;

/// Whether two values differ by more than noise: as a ratio, or where that says nothing, as a difference.
pub(crate) fn differ(before: Estimate, after: Estimate) -> bool {
    Change::between(before, after).map_or_else(
        || {
            let noise = before.standard_error.hypot(after.standard_error);
            (before.value - after.value).abs() > BEYOND_NOISE * noise
        },
        |change| change.is_beyond_noise(),
    )
}

/// Whether anything is known of how uncertain the difference of two values is.
pub(crate) fn is_error_known(before: Estimate, after: Estimate) -> bool {
    [before, after].iter().any(|one| one.standard_error > LEAST_ERROR * one.value.abs())
}

/// The relative change from one measured value to another, and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// `after / before − 1`: −0.25 is a quarter less.
    pub relative: f64,
    /// Standard error of `relative`; 0 where those of the values are exact or unknown.
    pub standard_error: f64,
}

impl Change {
    /// The change from `before` to `after`, in any one unit; `None` where `before` is not positive
    /// or a value not finite, for then a ratio says nothing.
    ///
    /// The standard error is that of a ratio of independent values to first order (delta method),
    /// `(a/b) √((σₐ/a)² + (σ_b/b)²)`, written so that `a` may be 0. Trials that serve the same
    /// requests share a part of their errors, so it is rather too large than too small.
    pub fn between(before: Estimate, after: Estimate) -> Option<Self> {
        if !(before.value.is_finite() && before.value > 0.0 && after.value.is_finite()) {
            return None;
        }
        let ratio = after.value / before.value;
        let standard_error = (after.standard_error / before.value)
            .hypot(ratio * before.standard_error / before.value);
        Some(Self { relative: ratio - 1.0, standard_error })
    }

    /// Whether nothing is known of how uncertain the change is. What falls to nothing has no error left in
    /// proportion, whatever was known of it.
    pub(crate) fn is_error_unknown(&self) -> bool {
        !self.is_error_seen() && self.relative > -1.0
    }

    /// Whether its error is more than that of arithmetic.
    fn is_error_seen(&self) -> bool {
        self.standard_error > LEAST_ERROR * (1.0 + self.relative)
    }

    /// The 95 % interval of the change; `None` where nothing is known of its error.
    pub(crate) fn interval(&self) -> Option<[f64; 2]> {
        let half = BEYOND_NOISE * self.standard_error;
        self.is_error_seen().then_some([self.relative - half, self.relative + half])
    }

    /// Whether the change is more than noise: beyond 1.96 standard errors, and not nothing. Where nothing is
    /// known of the error, that is any change.
    pub fn is_beyond_noise(&self) -> bool {
        self.relative.abs() > BEYOND_NOISE * self.standard_error
    }
}
