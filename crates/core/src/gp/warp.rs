//! Input warping: axes that are stretched here and compressed there.

use std::borrow::Cow;

use ndarray::Array2;

use crate::Column;

/// Where an axis ends, its slope may be infinite; coordinates nearer to its ends than this have the slope
/// that is found here.
const NEAREST: f64 = 1e-7;

/// w(x) = 1 − (1 − xᵃ)ᵇ along each ordered axis of the unit cube: the distribution function of Kumaraswamy
/// (1980, doi:10.1016/0022-1694(80)90036-0), which bends as that of the beta distribution does, with which
/// Snoek, Swersky, Zemel and Adams (2014, arXiv:1402.0929) warp. One lengthscale then may be short in one
/// part of an axis and long in another.
#[derive(Clone, Debug, Default)]
pub(super) struct Warp {
    /// (a, b) of each column, `None` where it is left alone; empty where all are.
    shapes: Vec<Option<(f64, f64)>>,
}

impl Warp {
    /// How many parameters one has: log a and log b of each column that is warped.
    pub(super) fn parameters(columns: &[Column]) -> usize {
        2 * (0..columns.len()).filter(|&j| is_warped(columns, j)).count()
    }

    /// From that many parameters, column by column.
    pub(super) fn new(columns: &[Column], parameters: &[f64]) -> Self {
        let mut each = parameters.chunks_exact(2);
        let mut shape = |j: usize| {
            if !is_warped(columns, j) {
                return None;
            }
            each.next().map(|shape| (shape[0].exp(), shape[1].exp()))
        };
        Self { shapes: (0..columns.len()).map(&mut shape).collect() }
    }

    /// A point where it is compared with others.
    pub(super) fn point<'a>(&self, point: &'a [f64]) -> Cow<'a, [f64]> {
        if self.shapes.is_empty() {
            return Cow::Borrowed(point);
        }
        let pairs = point.iter().zip(&self.shapes);
        Cow::Owned(pairs.map(|(&x, shape)| shape.map_or(x, |shape| warped(x, shape))).collect())
    }

    /// The same for every row of `points` (t × d).
    pub(super) fn points<'a>(&self, points: &'a Array2<f64>) -> Cow<'a, Array2<f64>> {
        if self.shapes.is_empty() {
            return Cow::Borrowed(points);
        }
        let mut moved = points.clone();
        for (mut column, shape) in moved.columns_mut().into_iter().zip(&self.shapes) {
            let Some(shape) = *shape else { continue };
            // Levels repeat, and powers are dear.
            let mut seen: Vec<(f64, f64)> = Vec::new();
            for x in &mut column {
                let from = *x;
                let known = seen.iter().find(|(known, _)| known.to_bits() == from.to_bits());
                *x = known.map_or_else(|| warped(from, shape), |(_, to)| *to);
                if known.is_none() {
                    seen.push((from, *x));
                }
            }
        }
        Cow::Owned(moved)
    }

    /// From slopes along the warped axes at a point to those along the axes.
    pub(super) fn pull_back(&self, point: &[f64], slopes: &mut [f64]) {
        for ((slope, &x), shape) in slopes.iter_mut().zip(point).zip(&self.shapes) {
            *slope *= shape.map_or(1.0, |shape| slope_of_warped(x, shape));
        }
    }
}

/// Ordered columns are, but for those that say where a parameter exists.
fn is_warped(columns: &[Column], j: usize) -> bool {
    let decides =
        |column: &Column| matches!(column, Column::OrderedIf { parent, .. } if *parent == j);
    columns[j] != Column::Categorical && !columns.iter().any(decides)
}

fn warped(x: f64, (a, b): (f64, f64)) -> f64 {
    1.0 - (1.0 - x.clamp(0.0, 1.0).powf(a)).powf(b)
}

fn slope_of_warped(x: f64, (a, b): (f64, f64)) -> f64 {
    let x = x.clamp(NEAREST, 1.0 - NEAREST);
    a * b * x.powf(a - 1.0) * (1.0 - x.powf(a)).powf(b - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::assert_close;

    #[test]
    fn a_warp_keeps_ends_order_and_categories() {
        let columns = [Column::Ordered, Column::Categorical, Column::Ordered];
        let warp = Warp::new(&columns, &[2.0_f64.ln(), 3.0_f64.ln(), 0.5_f64.ln(), 0.0]);
        assert_close(warp.point(&[0.3, 0.7, 0.25])[0], 1.0 - 0.91_f64.powi(3), 1e-15);
        assert_close(warp.point(&[0.3, 0.7, 0.25])[2], 0.5, 1e-15);
        let points = Array2::from_shape_fn((11, 3), |(i, _)| i as f64 / 10.0);
        let moved = warp.points(&points);
        for (moved, point) in moved.rows().into_iter().zip(points.rows()) {
            assert_eq!(moved.to_vec(), *warp.point(&point.to_vec()), "alone and together");
            assert_eq!(moved[1].to_bits(), point[1].to_bits(), "a category is left alone");
        }
        for axis in [0, 2] {
            let along = moved.column(axis).to_vec();
            assert!(along.is_sorted() && along[0] <= 0.0 && along[10] >= 1.0, "{along:?}");
        }
    }

    #[test]
    fn what_decides_whether_a_parameter_exists_stays_where_it_is() {
        let columns = [Column::Ordered, Column::OrderedIf { parent: 0, at: 0.25 }];
        assert_eq!(Warp::parameters(&columns), 2);
        let warp = Warp::new(&columns, &[1.0, -1.0]);
        let moved = warp.point(&[0.25, 0.25]);
        assert_eq!(moved[0].to_bits(), 0.25_f64.to_bits());
        assert!((moved[1] - 0.25).abs() > 0.01, "{moved:?}");
    }

    #[test]
    fn slopes_are_finite_at_the_ends_of_an_axis() {
        let warp = Warp::new(&[Column::Ordered; 2], &[-1.0, -1.0, 1.0, 1.0]);
        for end in [0.0, 1.0] {
            let mut slopes = [1.0, 1.0];
            warp.pull_back(&[end, end], &mut slopes);
            assert!(slopes.iter().all(|slope| slope.is_finite() && *slope >= 0.0), "{slopes:?}");
        }
    }
}
