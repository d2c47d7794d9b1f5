//! Two costs at once: which points no other beats in both, and what those dominate.

use crate::{Goal, Measurement};

/// The items of which no other has a better measurement: one at least as good in both goals and better in
/// one. By the first goal; of equals the first. Left out are those that have no
/// [cost](Goal::cost) of a goal.
pub fn front_of<'a, T>(
    goals: [&Goal; 2],
    items: impl IntoIterator<Item = (T, &'a Measurement)>,
) -> Vec<T> {
    let measured = items.into_iter().filter_map(|(item, measurement)| {
        Some((Some(item), [goals[0].cost(measurement)?, goals[1].cost(measurement)?]))
    });
    let (mut items, costs): (Vec<Option<T>>, Vec<[f64; 2]>) = measured.unzip();
    non_dominated(&costs).into_iter().filter_map(|position| items[position].take()).collect()
}

/// Positions of the points that no other point beats: none is at least as good in both costs and better
/// in one. By the first cost; of equal points the first.
pub(crate) fn non_dominated(points: &[[f64; 2]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    // Stable, so that equals stay in order.
    order.sort_by(|&a, &b| {
        let ([a, also_a], [b, also_b]) = (points[a], points[b]);
        a.total_cmp(&b).then(also_a.total_cmp(&also_b))
    });
    let mut least = f64::INFINITY;
    order.retain(|&position| {
        let is_less = points[position][1] < least;
        least = least.min(points[position][1]);
        is_less
    });
    order
}

/// Points of two costs that beat a reference point in both, none of them beaten by another.
#[derive(Clone, Debug, PartialEq)]
pub struct Front {
    /// The first costs ascend, so the second descend.
    points: Vec<[f64; 2]>,
    reference: [f64; 2],
}

impl Front {
    /// The front of some points. The reference point is in the units of the costs; what is no better than
    /// it in both counts for nothing.
    pub fn new(points: &[[f64; 2]], reference: [f64; 2]) -> Self {
        let counts = |point: &&[f64; 2]| point[0] < reference[0] && point[1] < reference[1];
        let counting: Vec<[f64; 2]> = points.iter().filter(counts).copied().collect();
        let points = non_dominated(&counting).into_iter().map(|position| counting[position]);
        Self { points: points.collect(), reference }
    }

    /// The same with one more point, where it counts.
    #[must_use]
    pub fn with(&self, point: [f64; 2]) -> Self {
        Self::new(&[self.points.as_slice(), &[point]].concat(), self.reference)
    }

    /// The points, by the first cost.
    pub fn points(&self) -> &[[f64; 2]] {
        &self.points
    }

    /// The reference point.
    pub fn reference(&self) -> [f64; 2] {
        self.reference
    }

    /// The area between the points and the reference point, in the product of the costs' units (the
    /// hypervolume of Zitzler and Thiele 1998, doi:10.1007/BFb0056872).
    pub fn hypervolume(&self) -> f64 {
        let nexts = self.points.iter().skip(1).map(|next| next[0]).chain([self.reference[0]]);
        let strip =
            |(point, next): (&[f64; 2], f64)| (next - point[0]) * (self.reference[1] - point[1]);
        self.points.iter().zip(nexts).map(strip).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beaten_points_and_later_equals_are_no_part_of_it() {
        let points = [[2.0, 2.0], [1.0, 3.0], [2.0, 2.0], [2.0, 2.5], [3.0, 2.0], [4.0, 1.0]];
        assert_eq!(non_dominated(&points), [1, 0, 5]);
        assert_eq!(non_dominated(&[]), [0; 0]);
    }

    #[test]
    fn the_hypervolume_is_that_of_the_boxes_together() {
        let front = Front::new(&[[1.0, 3.0], [2.0, 2.0], [5.0, 0.0]], [4.0, 4.0]);
        assert_eq!(front.points(), [[1.0, 3.0], [2.0, 2.0]], "the last is beyond the reference");
        assert!((front.hypervolume() - 5.0).abs() < 1e-15);
        let grown = front.with([3.0, 1.0]).with([3.5, 1.5]);
        assert!((grown.hypervolume() - 6.0).abs() < 1e-15);
        assert!(Front::new(&[], [1.0, 1.0]).hypervolume().abs() < 1e-15);
    }
}
