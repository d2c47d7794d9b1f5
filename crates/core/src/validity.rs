//! Which configurations give a measurement at all: a Gaussian process on started and not started.

use ndarray::Array2;

use crate::{
    Bound, Column,
    acquisition::log_feasibility,
    gp::{Gp, GpError, GpSpec, Observations},
};

/// P(valid) of points of the unit cube.
///
/// A process is fitted to 1 where a configuration gave a measurement and 0 where it could not, and
/// P(valid) is the probability that the process exceeds ½: least-squares classification (Rasmussen
/// and Williams 2006, section 6.5). It is exact, as quick as the other models, and draws a smooth
/// border through any direction.
pub(crate) struct Validity {
    /// `None` while nothing, or everything, was infeasible: then there is nothing to tell apart.
    gp: Option<Gp>,
    floor: f64,
}

impl Validity {
    /// Learns from points (n × d, one a row, at least one column) and whether each was valid.
    ///
    /// # Errors
    /// When the numerics fail.
    pub(crate) fn fit(
        points: Array2<f64>,
        valid: &[bool],
        columns: &[Column],
    ) -> Result<Self, GpError> {
        let infeasible = valid.iter().filter(|&&valid| !valid).count();
        // One crash says little about its surroundings: as many crashes as it takes to believe in
        // a region that does not work, as few as leaves chances for one that does.
        let floor = 1.0 / (1 + infeasible) as f64;
        if infeasible == 0 || infeasible == valid.len() {
            return Ok(Self { gp: None, floor });
        }
        let labels = valid.iter().map(|&valid| if valid { 1.0 } else { 0.0 }).collect();
        let gp = GpSpec::new(columns.to_vec()).fit(&Observations::new(points, labels)?)?;
        Ok(Self { gp: Some(gp), floor })
    }

    /// The probability that a configuration gives a measurement, for each row of `points` (t × d),
    /// between a floor and 1.
    pub(crate) fn probabilities(&self, points: &Array2<f64>) -> Vec<f64> {
        /// Below this, a standard deviation is taken for it, so that a division by it is defined.
        const SMALLEST_DEVIATION: f64 = 1e-100;
        let Some(gp) = &self.gp else { return vec![1.0; points.nrows()] };
        let probability = |posterior: crate::gp::Posterior| {
            let deviation = posterior.variance.sqrt().max(SMALLEST_DEVIATION);
            let log = log_feasibility(posterior.mean, deviation, Bound::AtLeast(0.5)).value;
            log.exp().max(self.floor)
        };
        gp.posterior(points).into_iter().map(probability).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validity(points: Array2<f64>, valid: &[bool]) -> Validity {
        Validity::fit(points, valid, &[Column::Ordered; 2]).unwrap()
    }

    fn probability(validity: &Validity, point: [f64; 2]) -> f64 {
        validity.probabilities(&ndarray::array![point])[0]
    }

    fn line(n: usize) -> Array2<f64> {
        Array2::from_shape_fn((n, 2), |(i, j)| if j == 0 { i as f64 / (n - 1) as f64 } else { 0.5 })
    }

    #[test]
    fn learns_the_side_that_crashes() {
        let valid: Vec<bool> = (0..20).map(|i| i < 14).collect();
        let validity = validity(line(20), &valid);
        assert!(probability(&validity, [0.1, 0.5]) > 0.9);
        let crashing = probability(&validity, [0.95, 0.5]);
        assert!((1.0 / 7.0..0.5).contains(&crashing), "{crashing}");
    }

    #[test]
    fn one_crash_walls_off_nothing_and_no_crash_says_nothing() {
        let mut valid = [true; 10];
        assert!(probability(&validity(line(10), &valid), [0.4, 0.5]) >= 1.0);
        valid[9] = false;
        assert!(probability(&validity(line(10), &valid), [1.0, 0.5]) >= 0.5);
        assert!(probability(&validity(line(2), &[false; 2]), [1.0, 0.5]) >= 1.0);
    }

    #[test]
    fn contradictory_repeats_are_no_obstacle() {
        let point = Array2::from_elem((4, 2), 0.5);
        let undecided = validity(point, &[true, false, true, false]);
        assert!((probability(&undecided, [0.5, 0.5]) - 0.5).abs() < 0.1);
    }
}
