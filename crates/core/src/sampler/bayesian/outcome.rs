//! From what trials measured of one metric to a Gaussian process of it.

use super::surrogate::matrix;
use crate::{
    Bound, Column,
    acquisition::log_feasibility,
    gp::{Gp, GpError, GpSpec, Observations, Posterior},
};

/// A constrained metric keeps its differences within this share of its standard deviation from its
/// bound, and ever less further away.
const RESOLVED: f64 = 0.3;

/// What one trial says of a metric, on the scale it is modelled on.
#[derive(Clone, Debug)]
pub(super) struct Reading<'a> {
    pub(super) point: &'a [f64],
    pub(super) value: f64,
    pub(super) standard_error: f64,
    /// Whether the true value is known only to be this or larger.
    pub(super) is_lower_bound: bool,
}

/// The most likely Gaussian process of readings.
pub(super) fn fit(readings: &[Reading<'_>], columns: &[Column]) -> Result<Gp, GpError> {
    GpSpec::new(columns.to_vec()).fit(&observations(readings, columns)?)
}

/// Gaussian processes of readings, each as likely as the others.
pub(super) fn sample(readings: &[Reading<'_>], columns: &[Column]) -> Result<Vec<Gp>, GpError> {
    GpSpec::new(columns.to_vec()).sample(&observations(readings, columns)?)
}

/// What readings say.
///
/// A reading that is a lower bound b enters as the mean of what lies beyond it: a process is fitted
/// to the bounds themselves, and each is replaced by `E[Y | Y > b]`, Y being what that process
/// predicts there from all other readings. One such step of expectation and maximisation is enough:
/// what matters is that an overloaded configuration is known to be no better than its bound.
fn observations(readings: &[Reading<'_>], columns: &[Column]) -> Result<Observations, GpError> {
    let points: Vec<Vec<f64>> = readings.iter().map(|reading| reading.point.to_vec()).collect();
    let variances = || readings.iter().map(|reading| reading.standard_error.powi(2)).collect();
    let with = |values: Vec<f64>| {
        Observations::with_noise(matrix(&points, columns.len()), values, variances())
    };
    let seen = with(readings.iter().map(|reading| reading.value).collect())?;
    if readings.iter().all(|reading| !reading.is_lower_bound) {
        return Ok(seen);
    }
    let beyond = |(reading, predicted): (&Reading<'_>, Posterior)| {
        if !reading.is_lower_bound {
            return reading.value;
        }
        let above = Bound::AtLeast(reading.value);
        // d log P(Y > b) / d mean is the hazard at b in units of the deviation.
        let hazard = log_feasibility(predicted.mean, predicted.variance.sqrt(), above).d_mean;
        let mean = predicted.mean + predicted.variance * hazard;
        if mean.is_finite() { mean.max(reading.value) } else { reading.value }
    };
    let process = GpSpec::new(columns.to_vec()).fit(&seen)?;
    with(readings.iter().zip(process.leave_one_out()).map(beyond).collect())
}

/// A standard error on the scale that a value is seen on, to first order.
pub(super) fn seen_error(seen: &dyn Fn(f64) -> f64, value: f64, standard_error: f64) -> f64 {
    let both_sides = (seen(value + standard_error) - seen(value - standard_error)).abs() / 2.0;
    // The logarithm of a value less its error may not exist.
    let one_side = (seen(value + standard_error) - seen(value)).abs();
    if both_sides.is_finite() { both_sides } else { one_side }
}

/// The standard deviation of values, taken as all there are; 0 where there is none.
pub(super) fn deviation(values: &[f64]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt()
}

/// Enlarges what is near a bound: bound + w asinh((value − bound) / w), which leaves the bound and
/// the order of values alone. A smooth form of the bilog transform of constraints (Eriksson and
/// Poloczek 2021, arXiv:2002.08526).
#[derive(Clone, Copy, Debug)]
pub(super) struct Lens {
    bound: f64,
    /// Zero where all values are equal: then there is nothing to enlarge.
    width: f64,
}

impl Lens {
    pub(super) fn new(bound: Bound, values: &[f64]) -> Self {
        Self { bound: bound.value(), width: RESOLVED * deviation(values) }
    }

    pub(super) fn forward(self, value: f64) -> f64 {
        let seen = self.bound + self.width * ((value - self.bound) / self.width).asinh();
        if seen.is_finite() { seen } else { value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lens_keeps_the_bound_and_the_order_and_enlarges_what_is_near() {
        let values = [-5.0, -1.0, 1.9, 2.0, 2.1, 8.0];
        let lens = Lens::new(Bound::AtLeast(2.0), &values);
        let seen = values.map(|value| lens.forward(value));
        assert!(seen.is_sorted());
        assert!((seen[3] - 2.0).abs() < 1e-15);
        assert!((seen[4] - 2.1).abs() < 1e-3, "near the bound nothing changes: {seen:?}");
        assert!(seen[5] < 7.0, "far away differences shrink: {seen:?}");
        let flat = Lens::new(Bound::AtLeast(2.0), &[3.0, 3.0]);
        assert!((flat.forward(3.0) - 3.0).abs() < 1e-15);
    }

    #[test]
    fn a_lower_bound_is_believed_to_be_exceeded_where_its_neighbours_say_so() {
        let points: Vec<Vec<f64>> = (0..9).map(|i| vec![f64::from(i) / 8.0]).collect();
        let process = |is_lower_bound: bool| {
            // A slope of which one reading was cut off far below.
            let readings: Vec<Reading<'_>> = points
                .iter()
                .enumerate()
                .map(|(i, point)| Reading {
                    point,
                    value: if i == 6 { 2.0 } else { i as f64 },
                    standard_error: 0.0,
                    is_lower_bound: i == 6 && is_lower_bound,
                })
                .collect();
            fit(&readings, &[Column::Ordered]).unwrap()
        };
        let mean = |is_lower_bound| process(is_lower_bound).posterior_at(&[0.75]).mean;
        assert!(mean(true) > 5.0, "{}", mean(true));
        assert!(mean(false) < 5.0, "{}", mean(false));
    }
}
