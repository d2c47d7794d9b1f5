//! The covariance function: Matérn-5/2 over ordered columns times a Hamming kernel over
//! categorical ones.

use crate::Column;

/// √5, which scales distance in the Matérn-5/2 kernel.
const SQRT_5: f64 = 2.236_067_977_499_79;

/// `k(a, b) = s (1 + √5 r + 5 r²/3) exp(−√5 r) exp(−Σ_c [a_c ≠ b_c] / l_c)`, where
/// `r² = Σ_j ((a_j − b_j) / l_j)²` runs over the ordered columns j and the sum in the last factor
/// over the categorical columns c (Rasmussen and Williams 2006, equation 4.17; Hutter, Hoos and
/// Leyton-Brown 2011 for the categorical factor).
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    columns: Vec<Column>,
    /// 1 / l, of every column.
    inverse_lengthscales: Vec<f64>,
    /// s, a variance.
    outputscale: f64,
}

impl Kernel {
    pub(super) fn new(columns: &[Column], lengthscales: &[f64], outputscale: f64) -> Self {
        let inverse_lengthscales = lengthscales.iter().map(|l| 1.0 / l).collect();
        Self { columns: columns.to_vec(), inverse_lengthscales, outputscale }
    }

    /// k(a, b).
    pub(super) fn value(&self, a: &[f64], b: &[f64]) -> f64 {
        self.value_and_slope(a, b).0
    }

    /// k(a, a).
    pub(super) fn variance(&self) -> f64 {
        self.outputscale
    }

    /// k(a, b) and its slope −(1/r) dk/dr = s (5/3) (1 + √5 r) exp(−√5 r) × the Hamming factor,
    /// from which all derivatives follow without a division by r.
    pub(super) fn value_and_slope(&self, a: &[f64], b: &[f64]) -> (f64, f64) {
        let (mut squared_distance, mut mismatch) = (0.0, 0.0);
        for (((&a, &b), &inverse), column) in
            a.iter().zip(b).zip(&self.inverse_lengthscales).zip(&self.columns)
        {
            match column {
                Column::Ordered => squared_distance += ((a - b) * inverse).powi(2),
                Column::Categorical => mismatch += if differs(a, b) { inverse } else { 0.0 },
            }
        }
        let t = SQRT_5 * squared_distance.sqrt();
        let decay = self.outputscale * (-(t + mismatch)).exp();
        ((1.0 + t + t * t / 3.0) * decay, 5.0 / 3.0 * (1.0 + t) * decay)
    }

    /// Adds `weight` × `dk(a, b)/d log l_j` to `gradient[j]`, given k(a, b) and its slope.
    pub(super) fn add_lengthscale_gradient(
        &self,
        (a, b): (&[f64], &[f64]),
        (value, slope): (f64, f64),
        weight: f64,
        gradient: &mut [f64],
    ) {
        for (j, column) in self.columns.iter().enumerate() {
            let inverse = self.inverse_lengthscales[j];
            gradient[j] += match column {
                Column::Ordered => weight * slope * ((a[j] - b[j]) * inverse).powi(2),
                Column::Categorical if differs(a[j], b[j]) => weight * value * inverse,
                Column::Categorical => 0.0,
            };
        }
    }

    /// Adds `weight` × `dk(a, b)/da_j` to `gradient[j]`, given the slope; along categorical columns
    /// there is no derivative and nothing is added.
    pub(super) fn add_point_gradient(
        &self,
        (a, b): (&[f64], &[f64]),
        slope: f64,
        weight: f64,
        gradient: &mut [f64],
    ) {
        for (j, column) in self.columns.iter().enumerate() {
            if *column == Column::Ordered {
                gradient[j] -=
                    weight * slope * (a[j] - b[j]) * self.inverse_lengthscales[j].powi(2);
            }
        }
    }
}

/// Whether two coordinates name different categories. Categories are encoded exactly, so there is
/// no tolerance.
fn differs(a: f64, b: f64) -> bool {
    a.to_bits() != b.to_bits()
}
