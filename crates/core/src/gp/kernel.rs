//! The covariance function: Matérn-5/2 over ordered columns times a Hamming kernel over
//! categorical ones. Conditional columns lie on an arc.

use std::f64::consts::FRAC_2_PI;

use ndarray::Array2;

use super::{exponential::exp_non_positive, linalg::dot};
use crate::Column;

/// √5, which scales distance in the Matérn-5/2 kernel.
const SQRT_5: f64 = 2.236_067_977_499_79;

/// Radius of the quarter of a circle, of length 1, on which the values of a conditional parameter lie; a
/// point without the parameter lies in its centre.
const RADIUS: f64 = FRAC_2_PI;

/// `k(a, b) = s (1 + √5 r + 5 r²/3) exp(−√5 r) exp(−Σ_c [a_c ≠ b_c] / l_c)`, where
/// `r² = Σ_j (δ_j / l_j)²` runs over the ordered columns j and the sum in the last factor
/// over the categorical columns c (Rasmussen and Williams 2006, equation 4.17; Hutter, Hoos and
/// Leyton-Brown 2011 for the categorical factor).
///
/// `δ_j = a_j − b_j`, but of a conditional column, with R = 2/π: `2 R sin((a_j − b_j) / 2 R)` where both points
/// have the parameter, R where one has it, and 0 where none has it (Swersky, Duvenaud, Snoek, Hutter and
/// Osborne 2014, arXiv:1409.4011).
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    columns: Vec<Column>,
    /// 1 / l, of every column.
    inverse_lengthscales: Vec<f64>,
    /// s, a variance.
    outputscale: f64,
}

/// Points to compare others with, column by column, so that one point is compared with all of
/// them in loops without branches.
#[derive(Clone, Debug)]
pub(super) struct ByColumns {
    n: usize,
    columns: Vec<Vec<f64>>,
}

impl ByColumns {
    /// Of points (n × d), one a row.
    pub(super) fn new(points: &Array2<f64>) -> Self {
        let columns = points.columns().into_iter().map(|column| column.to_vec()).collect();
        Self { n: points.nrows(), columns }
    }

    /// The same with one more point.
    pub(super) fn with(mut self, point: &[f64]) -> Self {
        self.n += 1;
        self.columns.iter_mut().zip(point).for_each(|(column, &value)| column.push(value));
        self
    }
}

impl Kernel {
    pub(super) fn new(columns: &[Column], lengthscales: &[f64], outputscale: f64) -> Self {
        let inverse_lengthscales = lengthscales.iter().map(|l| 1.0 / l).collect();
        Self { columns: columns.to_vec(), inverse_lengthscales, outputscale }
    }

    /// k(a, a).
    pub(super) fn variance(&self) -> f64 {
        self.outputscale
    }

    /// k(a, b) for each of the first `values.len()` points b.
    pub(super) fn values(&self, a: &[f64], others: &ByColumns, values: &mut [f64]) {
        let mismatches = self.distances(a, others, values);
        for_each(values, &mismatches, |value, mismatch| {
            let t = SQRT_5 * value.sqrt();
            let decay = self.outputscale * exp_non_positive(-(t + mismatch));
            *value = (1.0 + t + t * t / 3.0) * decay;
        });
    }

    /// k(a, b), and its slope −(1/r) dk/dr = s (5/3) (1 + √5 r) exp(−√5 r) × the Hamming factor,
    /// from which all derivatives follow without a division by r.
    pub(super) fn values_and_slopes(
        &self,
        a: &[f64],
        others: &ByColumns,
        values: &mut [f64],
        slopes: &mut [f64],
    ) {
        let mismatches = self.distances(a, others, values);
        for value in values.iter_mut() {
            *value = SQRT_5 * value.sqrt();
        }
        slopes.copy_from_slice(values);
        for_each(slopes, &mismatches, |slope, mismatch| {
            *slope = self.outputscale * exp_non_positive(-(*slope + mismatch));
        });
        for (value, slope) in values.iter_mut().zip(slopes) {
            let (t, decay) = (*value, *slope);
            *value = (1.0 + t + t * t / 3.0) * decay;
            *slope = 5.0 / 3.0 * (1.0 + t) * decay;
        }
    }

    /// r² for each of the first points b, and `Σ_c [a_c ≠ b_c] / l_c`, which is empty where no
    /// column is categorical.
    fn distances(&self, a: &[f64], others: &ByColumns, squared: &mut [f64]) -> Vec<f64> {
        debug_assert!(squared.len() <= others.n, "no more points than there are");
        squared.fill(0.0);
        let mut mismatches = Vec::new();
        for (j, column) in self.columns.iter().enumerate() {
            let (here, inverse) = (a[j], self.inverse_lengthscales[j]);
            match column {
                Column::Ordered => {
                    for (sum, &there) in squared.iter_mut().zip(&others.columns[j]) {
                        let difference = (here - there) * inverse;
                        *sum += difference * difference;
                    }
                }
                Column::OrderedIf { .. } => {
                    for (sum, difference) in squared.iter_mut().zip(self.on_arc(j, a, others)) {
                        *sum += difference.squared() * inverse * inverse;
                    }
                }
                Column::Categorical => {
                    mismatches.resize(squared.len(), 0.0);
                    for (sum, &there) in mismatches.iter_mut().zip(&others.columns[j]) {
                        *sum += if differs(here, there) { inverse } else { 0.0 };
                    }
                }
            }
        }
        mismatches
    }

    /// Adds `Σ_b w_b dk(a, b)/d log l_j` to `gradient[j]`, over the first points b; `by_slope` are
    /// the weights w times the slopes, `by_value` w times the values.
    pub(super) fn add_lengthscale_gradient(
        &self,
        a: &[f64],
        others: &ByColumns,
        by_slope: &[f64],
        by_value: &[f64],
        gradient: &mut [f64],
    ) {
        let mut differences = vec![0.0; by_slope.len()];
        for (j, column) in self.columns.iter().enumerate() {
            let (here, inverse) = (a[j], self.inverse_lengthscales[j]);
            let pairs = differences.iter_mut().zip(&others.columns[j]);
            gradient[j] += match column {
                Column::Ordered => {
                    pairs.for_each(|(d, &there)| *d = ((here - there) * inverse).powi(2));
                    dot(by_slope, &differences)
                }
                Column::OrderedIf { .. } => {
                    for (d, difference) in differences.iter_mut().zip(self.on_arc(j, a, others)) {
                        *d = difference.squared() * inverse * inverse;
                    }
                    dot(by_slope, &differences)
                }
                Column::Categorical => {
                    pairs.for_each(|(d, &there)| {
                        *d = if differs(here, there) { inverse } else { 0.0 }
                    });
                    dot(by_value, &differences)
                }
            };
        }
    }

    /// Adds `Σ_b w_b dk(a, b)/da_j` to `gradient[j]`; `by_slope` are the weights w times the slopes.
    /// Along categorical columns there is no derivative and nothing is added.
    pub(super) fn add_point_gradient(
        &self,
        a: &[f64],
        others: &ByColumns,
        by_slope: &[f64],
        gradient: &mut [f64],
    ) {
        for (j, column) in self.columns.iter().enumerate() {
            let terms = by_slope.iter().zip(&others.columns[j]);
            let sum: f64 = match column {
                Column::Ordered => terms.map(|(weight, there)| weight * (a[j] - there)).sum(),
                Column::OrderedIf { .. } => {
                    let pairs = by_slope.iter().zip(self.on_arc(j, a, others));
                    pairs.map(|(weight, difference)| weight * difference.half_slope()).sum()
                }
                Column::Categorical => continue,
            };
            gradient[j] -= sum * self.inverse_lengthscales[j].powi(2);
        }
    }

    /// How a point lies to each other one on the arc of conditional column j.
    fn on_arc(&self, j: usize, a: &[f64], others: &ByColumns) -> impl Iterator<Item = Difference> {
        let has = self.has(j, &|k| a[k]);
        (0..others.n).map(move |i| match (has, self.has(j, &|k| others.columns[k][i])) {
            (true, true) => Difference::BothHave(a[j] - others.columns[j][i]),
            (false, false) => Difference::NoneHas,
            _ => Difference::OneHas,
        })
    }

    /// Whether a point has the parameter of a column, by its coordinates.
    fn has(&self, column: usize, coordinate: &dyn Fn(usize) -> f64) -> bool {
        match self.columns[column] {
            Column::OrderedIf { parent, at } => {
                !differs(coordinate(parent), at) && self.has(parent, coordinate)
            }
            Column::Ordered | Column::Categorical => true,
        }
    }
}

/// Where two points lie to each other on the arc of a conditional parameter.
enum Difference {
    BothHave(f64),
    OneHas,
    NoneHas,
}

impl Difference {
    /// δ².
    fn squared(&self) -> f64 {
        match self {
            Self::BothHave(difference) => {
                (2.0 * RADIUS * (difference / (2.0 * RADIUS)).sin()).powi(2)
            }
            Self::OneHas => RADIUS.powi(2),
            Self::NoneHas => 0.0,
        }
    }

    /// ½ dδ²/da.
    fn half_slope(&self) -> f64 {
        match self {
            Self::BothHave(difference) => RADIUS * (difference / RADIUS).sin(),
            Self::OneHas | Self::NoneHas => 0.0,
        }
    }
}

/// Calls f for each value with its mismatch, 0 where there are none.
#[inline]
fn for_each(values: &mut [f64], mismatches: &[f64], f: impl Fn(&mut f64, f64)) {
    if mismatches.is_empty() {
        for value in values {
            f(value, 0.0);
        }
    } else {
        values.iter_mut().zip(mismatches).for_each(|(value, &mismatch)| f(value, mismatch));
    }
}

/// Whether two coordinates name different categories. Categories are encoded exactly, so there is
/// no tolerance.
fn differs(a: f64, b: f64) -> bool {
    a.to_bits() != b.to_bits()
}
