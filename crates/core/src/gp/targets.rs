//! What a Gaussian process is fitted to, and the one place where targets are standardised.

use ndarray::Array2;

use super::GpError;

/// Points and what was measured there.
#[derive(Clone, Debug)]
pub struct Observations {
    /// n × d.
    pub(super) x: Array2<f64>,
    /// n.
    pub(super) y: Vec<f64>,
    /// n, in the squared unit of the targets.
    pub(super) noise_variances: Vec<f64>,
}

impl Observations {
    /// Points `x`, one a row, and their targets `y`. Their noise is not known beforehand.
    ///
    /// # Errors
    /// When there is no row, when there are not as many targets as rows, or when a number is not
    /// finite; the error names the row.
    pub fn new(x: Array2<f64>, y: Vec<f64>) -> Result<Self, GpError> {
        let noise_variances = vec![0.0; y.len()];
        Self::with_noise(x, y, noise_variances)
    }

    /// The same where the variance of each target's own noise is known (0 where it is not), in the
    /// squared unit of the targets. The learned noise variance is added to it.
    ///
    /// # Errors
    /// As for [`new`](Self::new), and when a variance is negative or not finite.
    pub fn with_noise(
        x: Array2<f64>,
        y: Vec<f64>,
        noise_variances: Vec<f64>,
    ) -> Result<Self, GpError> {
        let n = x.nrows();
        if n == 0 || x.ncols() == 0 {
            return Err(GpError::Empty);
        }
        for (field, got) in [("targets", y.len()), ("noise variances", noise_variances.len())] {
            if got != n {
                return Err(GpError::Length { field, expected: n, got });
            }
        }
        for (row, point) in x.rows().into_iter().enumerate() {
            if let Some(&value) = point.iter().find(|value| !value.is_finite()) {
                return Err(GpError::NotFinite { field: "coordinate", row, value });
            }
        }
        if let Some((row, &value)) = y.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(GpError::NotFinite { field: "target", row, value });
        }
        let unusable = |variance: &f64| !(variance.is_finite() && *variance >= 0.0);
        let mut variances = noise_variances.iter().enumerate();
        if let Some((row, &value)) = variances.find(|(_, variance)| unusable(variance)) {
            return Err(GpError::NotFinite { field: "noise variance", row, value });
        }
        // Standard layout, so that a row is a slice.
        let x = if x.is_standard_layout() { x } else { x.as_standard_layout().into_owned() };
        Ok(Self { x, y, noise_variances })
    }
}

/// y = centre + scale × standardised y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standardisation {
    pub(super) centre: f64,
    pub(super) scale: f64,
}

impl Standardisation {
    /// Mean 0 and standard deviation 1 (with n − 1); targets that are all equal keep their scale.
    pub(super) fn of(y: &[f64]) -> Self {
        let n = y.len() as f64;
        let centre = y.iter().sum::<f64>() / n;
        let squares = y.iter().map(|y| (y - centre).powi(2)).sum::<f64>();
        let deviation = (squares / (n - 1.0).max(1.0)).sqrt();
        // A spread at the level of rounding is none.
        let negligible = 8.0 * f64::EPSILON * centre.abs();
        Self { centre, scale: if deviation > negligible { deviation } else { 1.0 } }
    }

    pub(super) fn forward(self, y: f64) -> f64 {
        (y - self.centre) / self.scale
    }

    pub(super) fn backward(self, y: f64) -> f64 {
        self.centre + self.scale * y
    }
}
