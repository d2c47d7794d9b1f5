//! Groups of trees on different samples of the rows, each with a column of random numbers of its own.

use rand::RngExt;

use super::{
    mean,
    samples::Samples,
    tree::{Rows, Tree},
};
use crate::random::stream;

/// Groups of trees.
pub(super) const GROUPS: usize = 20;

/// Trees of a group; they learn from the same rows, and differ in the columns that each split may use.
const TREES: usize = 8;

/// Trees on the design points and, as the last column, random numbers.
pub(super) struct Forest(Vec<Group>);

struct Group {
    trees: Vec<Tree>,
    /// How often each row counts: as many draws as there are rows, with replacement.
    counts: Vec<u32>,
    /// The rows with their random numbers.
    points: Vec<Vec<f64>>,
}

impl Forest {
    pub(super) fn fit(samples: &Samples, seed: u64) -> Self {
        Self((0..GROUPS as u64).map(|group| Group::fit(samples, seed, group)).collect())
    }

    /// The value of each group at a point, whose last coordinate is that of the random column.
    pub(super) fn predict(&self, point: &[f64]) -> [f64; GROUPS] {
        std::array::from_fn(|group| self.0[group].predict(point))
    }

    /// Share of the variance of rows that groups did not see which those groups predict: R².
    pub(super) fn predicted(&self, samples: &Samples) -> f64 {
        let centre = mean(&samples.values);
        let (mut missed, mut all) = (0.0, 0.0);
        for (row, value) in samples.values.iter().enumerate() {
            let blind = self.0.iter().filter(|group| group.counts[row] == 0);
            let guesses: Vec<f64> = blind.map(|group| group.predict(&group.points[row])).collect();
            if !guesses.is_empty() {
                missed += (value - mean(&guesses)).powi(2);
                all += (value - centre).powi(2);
            }
        }
        if all > 0.0 { 1.0 - missed / all } else { 0.0 }
    }
}

impl Group {
    fn fit(samples: &Samples, seed: u64, group: u64) -> Self {
        let mut random = stream(seed, "importance", group);
        let rows = samples.values.len();
        let mut points = samples.rows.clone();
        for point in &mut points {
            point.push(random.random());
        }
        let mut counts = vec![0; rows];
        for _ in 0..rows {
            counts[random.random_range(0..rows)] += 1;
        }
        let learnt = Rows { points: &points, values: &samples.values, counts: &counts };
        let trees = (0..TREES).map(|_| Tree::fit(learnt, &mut random)).collect();
        Self { trees, counts, points }
    }

    fn predict(&self, point: &[f64]) -> f64 {
        self.trees.iter().map(|tree| tree.predict(point)).sum::<f64>() / self.trees.len() as f64
    }
}
