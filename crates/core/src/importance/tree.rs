//! A regression tree whose splits linfa finds.
//!
//! linfa has trees for classes only. A value u between 0 and 1 is therefore shown as two labels, one with
//! the weight u and one with the weight 1 − u. Of such labels, the Gini impurity of a node is 2ū(1 − ū), so
//! the split that lowers it most is the one that lowers the variance of u most: that of a regression tree
//! (Breiman et al. 1984).
//!
//! Each node asks linfa for one split, rather than the root for a tree, for two properties of linfa-trees
//! 0.8.1: it prunes a split below which both sides have the same commonest label, and below the root it
//! overlooks a split where rows of other nodes share the value. In each node u lies around ½, so that the
//! two sides of a split that gains never have the same commonest label. With two labels, no sum depends on
//! the order of linfa's hash maps.

use linfa::{Dataset, traits::Fit};
use linfa_trees::DecisionTree;
use ndarray::{Array1, Array2};
use rand::RngExt;

use crate::random::Pcg64;

/// Share of the columns that a split may choose from, so that trees on the same rows differ.
const COLUMNS: f64 = 0.75;

/// A fitted tree; the first node is its root.
pub(super) struct Tree(Vec<Node>);

enum Node {
    Leaf(f64),
    /// Points that are at most `at` in `column` belong to node `low`, the others to `high`.
    Split {
        column: usize,
        at: f64,
        low: usize,
        high: usize,
    },
}

/// What a tree learns from: `rows × columns`, a value for each row, and how often the row counts.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) points: &'a [Vec<f64>],
    pub(super) values: &'a [f64],
    pub(super) counts: &'a [u32],
}

impl Tree {
    /// Grows until the values of a leaf are equal or its rows are.
    pub(super) fn fit(rows: Rows<'_>, random: &mut Pcg64) -> Self {
        let mut tree = Self(Vec::new());
        let counted = (0..rows.values.len()).filter(|&row| rows.counts[row] > 0).collect();
        tree.grow(rows, counted, random);
        tree
    }

    /// Adds the node of the `chosen` rows and all below it; returns its place.
    fn grow(&mut self, rows: Rows<'_>, chosen: Vec<usize>, random: &mut Pcg64) -> usize {
        let weight = |&row: &usize| f64::from(rows.counts[row]);
        let total: f64 = chosen.iter().map(weight).sum();
        let mean = chosen.iter().map(|row| weight(row) * rows.values[*row]).sum::<f64>() / total;
        let place = self.0.len();
        self.0.push(Node::Leaf(mean));
        if let Some((column, at)) = split(rows, &chosen, mean, random) {
            let (low, high): (Vec<usize>, Vec<usize>) =
                chosen.into_iter().partition(|&row| rows.points[row][column] <= at);
            let low = self.grow(rows, low, random);
            let high = self.grow(rows, high, random);
            self.0[place] = Node::Split { column, at, low, high };
        }
        place
    }

    /// The value at a point.
    pub(super) fn predict(&self, point: &[f64]) -> f64 {
        let mut place = 0;
        loop {
            place = match self.0[place] {
                Node::Leaf(value) => return value,
                Node::Split { column, at, low, high } => {
                    if point[column] <= at {
                        low
                    } else {
                        high
                    }
                }
            };
        }
    }
}

/// The column and place of the split that lowers the variance most, among some of the columns; `None`
/// where none does.
fn split(rows: Rows<'_>, chosen: &[usize], mean: f64, random: &mut Pcg64) -> Option<(usize, f64)> {
    let reach = chosen.iter().map(|&row| (rows.values[row] - mean).abs()).fold(0.0, f64::max);
    // Equal values differ from their mean by rounding.
    if reach <= 1e-12 * mean.abs().max(f64::MIN_POSITIVE) {
        return None;
    }
    let columns = some_columns(rows.points[chosen[0]].len(), random);
    let (height, width) = (2 * chosen.len(), columns.len());
    let records =
        Array2::from_shape_fn((height, width), |(i, j)| rows.points[chosen[i / 2]][columns[j]]);
    let labels = Array1::from_shape_fn(height, |i| i % 2 == 0);
    #[expect(clippy::cast_possible_truncation, reason = "linfa's weights are f32")]
    let weights = Array1::from_shape_fn(height, |i| {
        let row = chosen[i / 2];
        let u = f64::midpoint(1.0, (rows.values[row] - mean) / reach);
        (f64::from(rows.counts[row]) * if i % 2 == 0 { u } else { 1.0 - u }) as f32
    });
    let stump = DecisionTree::<f64, bool>::params()
        .max_depth(Some(1))
        // A row weighs 1 or more, but for rounding.
        .min_weight_leaf(0.5)
        .fit(&Dataset::new(records, labels).with_weights(weights))
        .expect("the parameters are valid, and linfa checks nothing else");
    let root = stump.root_node();
    let (column, at, _) = root.split();
    (!root.is_leaf()).then(|| (columns[column], at))
}

/// Some of the columns, in order.
fn some_columns(all: usize, random: &mut Pcg64) -> Vec<usize> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small count"
    )]
    let count = (all as f64 * COLUMNS).ceil() as usize;
    let mut columns: Vec<usize> = (0..all).collect();
    for place in 0..count {
        columns.swap(place, random.random_range(place..all));
    }
    columns.truncate(count);
    columns.sort_unstable();
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    /// The split of least squared distance from the means of both sides, by trying all.
    fn by_brute_force(points: &[Vec<f64>], values: &[f64]) -> (usize, f64) {
        let spread = |side: &[f64]| {
            let mean = side.iter().sum::<f64>() / side.len() as f64;
            side.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
        };
        let mut best = (f64::INFINITY, 0, 0.0);
        for column in 0..points[0].len() {
            let mut places: Vec<f64> = points.iter().map(|point| point[column]).collect();
            places.sort_by(f64::total_cmp);
            places.dedup();
            for pair in places.windows(2) {
                let at = f64::midpoint(pair[0], pair[1]);
                let side = |is_low: bool| -> Vec<f64> {
                    let on_side =
                        points.iter().zip(values).filter(|(p, _)| (p[column] <= at) == is_low);
                    on_side.map(|(_, value)| *value).collect()
                };
                let left = spread(&side(true)) + spread(&side(false));
                if left < best.0 - 1e-9 {
                    best = (left, column, at);
                }
            }
        }
        (best.1, best.2)
    }

    #[test]
    fn linfas_split_is_that_of_a_regression_tree() {
        for case in 0..50 {
            let mut random = stream(case, "tree", 0);
            let points: Vec<Vec<f64>> = (0..12)
                .map(|_| vec![f64::from(random.random_range(0..4_u8)) / 3.0, random.random()])
                .collect();
            let values: Vec<f64> = points
                .iter()
                .map(|point| 3.0 * point[0] + (6.0 * point[1]).sin() + 100.0)
                .collect();
            let counts = vec![1; values.len()];
            let rows = Rows { points: &points, values: &values, counts: &counts };
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let chosen: Vec<usize> = (0..values.len()).collect();
            // Of two columns, three quarters are both.
            let found = split(rows, &chosen, mean, &mut random).expect("the values differ");
            let expected = by_brute_force(&points, &values);
            assert_eq!(found.0, expected.0, "case {case}");
            assert!((found.1 - expected.1).abs() < 1e-12, "case {case}");
        }
    }

    #[test]
    fn a_tree_keeps_what_it_has_seen_and_leaves_out_what_does_not_count() {
        let points: Vec<Vec<f64>> = (0..8).map(|i| vec![f64::from(i) / 7.0]).collect();
        let values: Vec<f64> = points.iter().map(|point| point[0] * point[0]).collect();
        let counts = [1, 2, 1, 0, 3, 1, 1, 1];
        let rows = Rows { points: &points, values: &values, counts: &counts };
        let tree = Tree::fit(rows, &mut stream(0, "tree", 0));
        for (i, (point, value)) in points.iter().zip(&values).enumerate() {
            let error = (tree.predict(point) - value).abs();
            assert_eq!(error < 1e-12, counts[i] > 0, "row {i} is off by {error}");
        }
    }

    #[test]
    fn equal_values_are_one_leaf() {
        let points: Vec<Vec<f64>> = (0..8).map(|i| vec![f64::from(i) / 7.0]).collect();
        let rows = Rows { points: &points, values: &[0.1; 8], counts: &[1; 8] };
        let tree = Tree::fit(rows, &mut stream(0, "tree", 0));
        assert_eq!(tree.0.len(), 1);
    }
}
