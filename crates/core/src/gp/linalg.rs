//! Cholesky factors. The one file that names faer.
//!
//! Below [`PLAIN_BELOW`] rows plain loops are faster than a call into faer; above it faer's
//! blocked algorithms are.

use faer::{
    Mat, MatMut, Par, Side,
    dyn_stack::{MemBuffer, MemStack},
    linalg::{
        cholesky::llt::inverse::{inverse, inverse_scratch},
        solvers::Llt,
    },
};
use ndarray::Array2;

/// Matrices with fewer rows than this are handled by plain loops.
const PLAIN_BELOW: usize = 64;

/// Added to the diagonal in turn, relative to its mean, until the factorisation succeeds.
const JITTERS: [f64; 5] = [0.0, 1e-10, 1e-8, 1e-6, 1e-4];

/// L of a symmetric positive definite matrix A + jitter × I = L Lᵀ.
#[derive(Clone, Debug)]
pub(super) struct Cholesky {
    /// n × n, zero above the diagonal, by rows.
    lower: Array2<f64>,
    jitter: f64,
}

/// The matrix is not positive definite, whatever the jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NotPositiveDefinite {
    /// The row whose pivot vanished when the largest jitter was tried.
    pub(super) row: usize,
    /// The largest jitter tried, in the matrix's unit.
    pub(super) jitter: f64,
}

impl Cholesky {
    /// Factors a symmetric matrix of which only the lower triangle is read.
    pub(super) fn new(matrix: &Array2<f64>) -> Result<Self, NotPositiveDefinite> {
        let n = matrix.nrows();
        let mean_diagonal = matrix.diag().sum() / n.max(1) as f64;
        let mut failure = NotPositiveDefinite { row: 0, jitter: 0.0 };
        for relative in JITTERS {
            let jitter = relative * mean_diagonal;
            let mut lower = matrix.clone();
            lower.diag_mut().iter_mut().for_each(|pivot| *pivot += jitter);
            let factored =
                if n < PLAIN_BELOW { factor(&mut lower) } else { factor_blocked(&mut lower) };
            match factored {
                Ok(()) => return Ok(Self { lower, jitter }),
                Err(row) => failure = NotPositiveDefinite { row, jitter },
            }
        }
        Err(failure)
    }

    /// The factor of A with one more row and column: `covariances` (n) left of and above `diagonal`.
    /// `None` where the jitter so far does not make that positive definite.
    pub(super) fn extended(&self, mut covariances: Vec<f64>, diagonal: f64) -> Option<Self> {
        let n = self.lower.nrows();
        self.half_solve(&mut covariances);
        let diagonal = diagonal + self.jitter;
        let pivot = diagonal - dot(&covariances, &covariances);
        if has_vanished(pivot, vanishing_pivot(n + 1, diagonal)) {
            return None;
        }
        covariances.push(pivot.sqrt());
        let lower = Array2::from_shape_fn((n + 1, n + 1), |(i, j)| {
            if i == n {
                covariances[j]
            } else if j <= i {
                self.lower[(i, j)]
            } else {
                0.0
            }
        });
        Some(Self { lower, jitter: self.jitter })
    }

    /// What was added to the diagonal, in the matrix's unit.
    pub(super) fn jitter(&self) -> f64 {
        self.jitter
    }

    /// log |A|.
    pub(super) fn log_determinant(&self) -> f64 {
        2.0 * self.lower.diag().iter().map(|pivot| pivot.ln()).sum::<f64>()
    }

    /// L⁻¹ b, in place.
    pub(super) fn half_solve(&self, b: &mut [f64]) {
        for i in 0..b.len() {
            let row = self.row(i);
            b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
        }
    }

    /// A⁻¹ b, in place.
    pub(super) fn solve(&self, b: &mut [f64]) {
        self.half_solve(b);
        for i in (0..b.len()).rev() {
            let row = self.row(i);
            b[i] /= row[i];
            let solved = b[i];
            add_scaled(&mut b[..i], -solved, row);
        }
    }

    /// Entry i of L z: independent normal numbers z become correlated ones.
    pub(super) fn correlate(&self, i: usize, z: &[f64]) -> f64 {
        dot(&self.row(i)[..=i], &z[..=i])
    }

    /// L⁻¹ B in place, for a matrix B (n × t) of t columns.
    pub(super) fn half_solve_columns(&self, columns: &mut Array2<f64>) {
        let t = columns.ncols();
        let entries = columns.as_slice_mut().expect("a standard array is contiguous");
        if self.lower.nrows() < PLAIN_BELOW {
            self.half_solve_columns_by_loops(entries, t);
        } else {
            let columns = MatMut::from_row_major_slice_mut(entries, self.lower.nrows(), t);
            self.as_faer().solve_lower_triangular_in_place(columns);
        }
    }

    /// Each row of B less multiples of those above, four at a time, so that an entry is written once for
    /// four products, and a strip of columns at a time, which stays in the cache.
    fn half_solve_columns_by_loops(&self, entries: &mut [f64], t: usize) {
        const STRIP: usize = 128;
        const TOGETHER: usize = 4;
        for first in (0..t).step_by(STRIP) {
            let strip = first..(first + STRIP).min(t);
            for i in 0..self.lower.nrows() {
                let (above, rest) = entries.split_at_mut(i * t);
                let (factors, current) = (self.row(i), &mut rest[strip.clone()]);
                let of_row = |j: usize| &above[j * t..][strip.clone()];
                let (fours, rest) = factors[..i].as_chunks::<TOGETHER>();
                for (position, four) in fours.iter().enumerate() {
                    let [a, b, c, d] = [0, 1, 2, 3].map(|k| of_row(position * TOGETHER + k));
                    for (k, entry) in current.iter_mut().enumerate() {
                        *entry -=
                            (four[0] * a[k] + four[1] * b[k]) + (four[2] * c[k] + four[3] * d[k]);
                    }
                }
                for (j, factor) in (i - rest.len()..i).zip(rest) {
                    add_scaled(current, -factor, of_row(j));
                }
                for entry in current {
                    *entry /= factors[i];
                }
            }
        }
    }

    /// A⁻¹, of which only the lower triangle is filled.
    pub(super) fn inverse(&self) -> Array2<f64> {
        let n = self.lower.nrows();
        if n < PLAIN_BELOW {
            return self.inverse_by_loops();
        }
        let mut buffer = MemBuffer::new(inverse_scratch::<f64>(n, Par::Seq));
        let mut result = Mat::zeros(n, n);
        inverse(result.as_mut(), self.as_faer().as_ref(), Par::Seq, MemStack::new(&mut buffer));
        Array2::from_shape_fn((n, n), |(i, j)| if j <= i { result[(i, j)] } else { 0.0 })
    }

    /// L⁻¹ row by row, then A⁻¹ = L⁻ᵀ L⁻¹ as a sum over its rows.
    fn inverse_by_loops(&self) -> Array2<f64> {
        let n = self.lower.nrows();
        let mut half = vec![0.0; n * n];
        let mut result = vec![0.0; n * n];
        for i in 0..n {
            let (above, current) = half.split_at_mut(i * n);
            let current = &mut current[..=i];
            let row = self.row(i);
            current[i] = 1.0;
            for k in 0..i {
                add_scaled(&mut current[..=k], -row[k], &above[k * n..=k * n + k]);
            }
            for entry in current.iter_mut() {
                *entry /= row[i];
            }
            for j in 0..=i {
                add_scaled(&mut result[j * n..=j * n + j], current[j], current);
            }
        }
        Array2::from_shape_vec((n, n), result).expect("n² entries")
    }

    fn row(&self, i: usize) -> &[f64] {
        let n = self.lower.ncols();
        &self.lower.as_slice().expect("a standard array is contiguous")[i * n..(i + 1) * n]
    }

    fn as_faer(&self) -> Mat<f64> {
        let n = self.lower.nrows();
        Mat::from_fn(n, n, |i, j| self.lower[(i, j)])
    }
}

/// Overwrites a matrix by its factor; an error names the row whose pivot vanished.
fn factor(matrix: &mut Array2<f64>) -> Result<(), usize> {
    let n = matrix.nrows();
    let vanishing = vanishing_pivots(matrix);
    let entries = matrix.as_slice_mut().expect("a standard array is contiguous");
    for i in 0..n {
        let (above, row) = entries.split_at_mut(i * n);
        let row = &mut row[..n];
        for j in 0..i {
            let other = &above[j * n..=j * n + j];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let pivot = row[i] - dot(&row[..i], &row[..i]);
        if has_vanished(pivot, vanishing[i]) {
            return Err(i);
        }
        row[i] = pivot.sqrt();
        row[i + 1..].fill(0.0);
    }
    Ok(())
}

/// The same by faer's blocked algorithm.
fn factor_blocked(matrix: &mut Array2<f64>) -> Result<(), usize> {
    let n = matrix.nrows();
    let vanishing = vanishing_pivots(matrix);
    let copy = Mat::from_fn(n, n, |i, j| matrix[(i, j)]);
    let faer::linalg::solvers::LltError::NonPositivePivot { index } =
        match Llt::new(copy.as_ref(), Side::Lower) {
            Err(error) => error,
            Ok(factored) => {
                let lower = factored.L();
                *matrix = Array2::from_shape_fn((n, n), |(i, j)| lower[(i, j)]);
                let vanished = (0..n).find(|&i| has_vanished(matrix[(i, i)].powi(2), vanishing[i]));
                return vanished.map_or(Ok(()), Err);
            }
        };
    Err(index)
}

fn vanishing_pivots(matrix: &Array2<f64>) -> Vec<f64> {
    matrix.diag().iter().map(|&entry| vanishing_pivot(matrix.nrows(), entry)).collect()
}

/// Pivots no larger than this are rounding error of a singular n × n matrix.
fn vanishing_pivot(n: usize, diagonal: f64) -> f64 {
    n as f64 * f64::EPSILON * diagonal
}

/// NaN has vanished too.
fn has_vanished(pivot: f64, vanishing: f64) -> bool {
    pivot.is_nan() || pivot <= vanishing
}

/// The inner product, in four sums so that they run in parallel.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (&a[..a.len().min(b.len())], &b[..a.len().min(b.len())]);
    let mut sums = [0.0; 4];
    let (mut left, mut right) = (a.chunks_exact(4), b.chunks_exact(4));
    for (a, b) in left.by_ref().zip(right.by_ref()) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = left.remainder().iter().zip(right.remainder()).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// a += scale × b.
fn add_scaled(a: &mut [f64], scale: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += scale * b);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loops and faer meet at the size where one takes over from the other.
    #[test]
    fn both_paths_agree() {
        for n in [PLAIN_BELOW - 1, PLAIN_BELOW, PLAIN_BELOW + 37] {
            let matrix = Array2::from_shape_fn((n, n), |(i, j)| {
                let distance = (i as f64 - j as f64).abs();
                (-distance / 5.0).exp() + if i == j { 0.1 } else { 0.0 }
            });
            let (mut plain, mut blocked) = (matrix.clone(), matrix.clone());
            factor(&mut plain).unwrap();
            factor_blocked(&mut blocked).unwrap();
            assert!((&plain - &blocked).iter().all(|difference| difference.abs() < 1e-13));

            let cholesky = Cholesky::new(&matrix).unwrap();
            assert!(cholesky.jitter() <= 0.0);
            let difference = cholesky.inverse() - cholesky.inverse_by_loops();
            assert!(difference.iter().all(|difference| difference.abs() < 1e-12));
            let mut solution: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
            let right = solution.clone();
            cholesky.solve(&mut solution);
            for i in 0..n {
                let product: f64 = (0..n).map(|j| matrix[(i, j)] * solution[j]).sum();
                assert!((product - right[i]).abs() < 1e-12);
            }
            let leading = Array2::from_shape_fn((n - 1, n - 1), |pair| matrix[pair]);
            let covariances = matrix.row(n - 1).iter().take(n - 1).copied().collect();
            let extended = Cholesky::new(&leading).unwrap().extended(covariances, 1.1).unwrap();
            let difference = &extended.lower - &cholesky.lower;
            assert!(difference.iter().all(|difference| difference.abs() < 1e-13));
            let mut columns =
                Array2::from_shape_fn((n, 131), |(i, t)| ((i * 131 + t) as f64).cos());
            let each = columns.columns().into_iter().map(|column| {
                let mut half = column.to_vec();
                cholesky.half_solve(&mut half);
                half
            });
            let expected: Vec<Vec<f64>> = each.collect();
            cholesky.half_solve_columns(&mut columns);
            for (column, expected) in columns.columns().into_iter().zip(&expected) {
                assert!(column.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12));
            }
        }
    }

    #[test]
    fn a_singular_matrix_gets_jitter_and_an_indefinite_one_an_error() {
        for n in [3, PLAIN_BELOW + 1] {
            let singular = Array2::from_elem((n, n), 2.0);
            let jittered = Cholesky::new(&singular).unwrap();
            assert!((jittered.jitter() - 2e-10).abs() < 1e-20);
            assert!(jittered.extended(vec![2.0; n], 1.0).is_none());
            let mut indefinite = Array2::eye(n);
            indefinite[(1, 1)] = -1.0;
            let failure = Cholesky::new(&indefinite).unwrap_err();
            assert_eq!(failure.row, 1);
        }
    }
}
