//! What the trees learn from: one row for each configuration.

use super::mean;
use crate::{Column, Configuration, Scale, SearchSpace};

/// Distinct points of the space and the mean value measured there.
pub(super) struct Samples {
    /// Rows as [`row`](Self::row) makes them, `configurations × parameters`.
    pub(super) rows: Vec<Vec<f64>>,
    /// Mean values on `scale`, one for each row.
    pub(super) values: Vec<f64>,
    /// How the values are seen.
    pub(super) scale: Scale,
    /// Of each column: the coordinates of its categories in the order of their mean values, in which
    /// one cut parts good ones from bad (Fisher 1958). Empty of an ordered parameter.
    categories: Vec<Vec<f64>>,
}

impl Samples {
    pub(super) fn new(space: &SearchSpace, trials: &[(Configuration, f64)], scale: Scale) -> Self {
        let is_positive = trials.iter().all(|(_, value)| *value > 0.0);
        let scale = if is_positive { scale } else { Scale::Linear };
        let mut points: Vec<Vec<f64>> = Vec::new();
        let mut repeats: Vec<Vec<f64>> = Vec::new();
        for (configuration, value) in trials {
            let point = space.encode(configuration).coordinates().to_vec();
            let value = scale.forward(*value);
            if let Some(known) = points.iter().position(|known| *known == point) {
                repeats[known].push(value);
            } else {
                points.push(point);
                repeats.push(vec![value]);
            }
        }
        let values: Vec<f64> = repeats.iter().map(|repeats| mean(repeats)).collect();
        let columns = space.columns().into_iter().enumerate();
        let categories = columns.map(|(j, column)| match column {
            Column::Ordered | Column::OrderedIf { .. } => Vec::new(),
            Column::Categorical => by_mean(points.iter().map(|point| point[j]), &values),
        });
        let mut samples =
            Self { categories: categories.collect(), rows: Vec::new(), values, scale };
        samples.rows = points.into_iter().map(|point| samples.row(point)).collect();
        samples
    }

    /// A design point as the trees see it: categories in the order of their mean values.
    pub(super) fn row(&self, mut point: Vec<f64>) -> Vec<f64> {
        for (coordinate, order) in point.iter_mut().zip(&self.categories) {
            if let Some(place) = order.iter().position(|known| is_same(*known, *coordinate)) {
                *coordinate = place as f64;
            } else if !order.is_empty() {
                // Never measured: it stands in the middle.
                *coordinate = (order.len() - 1) as f64 / 2.0;
            }
        }
        point
    }
}

/// The different coordinates, by the mean of their values.
fn by_mean(coordinates: impl Iterator<Item = f64>, values: &[f64]) -> Vec<f64> {
    let mut categories: Vec<(f64, Vec<f64>)> = Vec::new();
    for (coordinate, value) in coordinates.zip(values) {
        match categories.iter_mut().find(|(known, _)| is_same(*known, coordinate)) {
            Some((_, values)) => values.push(*value),
            None => categories.push((coordinate, vec![*value])),
        }
    }
    categories.sort_by(|(a, first), (b, second)| {
        mean(first).total_cmp(&mean(second)).then(a.total_cmp(b))
    });
    categories.into_iter().map(|(coordinate, _)| coordinate).collect()
}

/// Whether two coordinates are of one category: they are from one formula, so their bits are the same.
fn is_same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
}
