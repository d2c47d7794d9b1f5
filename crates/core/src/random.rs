//! Seeded random streams and low-discrepancy points.
//!
//! Each stream has a name, so a new draw in one part of the program never shifts another part.
//! The generator is named and portable (PCG XSL RR 128/64, O'Neill 2014); its output is part of
//! what a seed promises.

use rand::SeedableRng;
pub use rand_pcg::Pcg64;

/// The generator of the stream `name` under `seed`; `counter` tells apart its uses.
///
/// ```
/// use rand::Rng;
/// let mut first = slotune_core::random::stream(7, "arrivals", 0);
/// let mut second = slotune_core::random::stream(7, "arrivals", 0);
/// assert_eq!(first.next_u64(), second.next_u64());
/// ```
pub fn stream(seed: u64, name: &str, counter: u64) -> Pcg64 {
    Pcg64::seed_from_u64(derive(seed, name, counter))
}

/// A seed for a part of the program, from the seed of the whole.
pub fn derive(seed: u64, name: &str, counter: u64) -> u64 {
    let named = name.bytes().fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)));
    mix(named ^ mix(counter))
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): a bijection whose output bits each
/// depend on all input bits.
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// An endless walk through the `dimensions`-dimensional unit cube that fills it evenly: the Sobol
/// sequence with Owen scrambling (Burley 2020). After 2^16 points a new scrambling begins.
#[derive(Clone, Debug)]
pub(crate) struct SobolPoints {
    dimensions: usize,
    seed: u64,
    index: u64,
    /// The round that the scramblings are for.
    round: Option<u64>,
    /// One for each block of dimensions.
    scramblings: Vec<u32>,
}

impl SobolPoints {
    /// Points in a round.
    const ROUND: u64 = 1 << 16;

    /// Dimensions that are computed together.
    const SET: usize = 4;

    /// Dimensions in a block: whole sets.
    const BLOCK: usize = sobol_burley::NUM_DIMENSION_SETS_4D as usize * Self::SET;

    /// Points of the unit cube, scrambled by `seed`.
    pub(crate) fn new(dimensions: usize, seed: u64) -> Self {
        Self { dimensions, seed, index: 0, round: None, scramblings: Vec::new() }
    }
}

impl Iterator for SobolPoints {
    type Item = Vec<f64>;

    #[expect(
        clippy::cast_possible_truncation,
        reason = "indices are reduced to the range of u32 first"
    )]
    fn next(&mut self) -> Option<Vec<f64>> {
        let (round, index) = (self.index / Self::ROUND, (self.index % Self::ROUND) as u32);
        self.index += 1;
        if self.round != Some(round) {
            self.round = Some(round);
            let scrambling = |block: usize| {
                let counter = round.wrapping_mul(1 << 32) ^ block as u64;
                derive(self.seed, "sobol", counter) as u32
            };
            self.scramblings = (0..self.dimensions.div_ceil(Self::BLOCK)).map(scrambling).collect();
        }
        let mut point = Vec::with_capacity(self.dimensions.next_multiple_of(Self::SET));
        for first in (0..self.dimensions).step_by(Self::SET) {
            let scrambling = self.scramblings[first / Self::BLOCK];
            let set = (first % Self::BLOCK / Self::SET) as u32;
            point.extend(sobol_burley::sample_4d(index, set, scrambling).map(f64::from));
        }
        point.truncate(self.dimensions);
        Some(point)
    }

    /// Without the points before it.
    fn nth(&mut self, n: usize) -> Option<Vec<f64>> {
        self.index += n as u64;
        self.next()
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn streams_are_told_apart_by_seed_name_and_counter() {
        let first = |seed, name, counter| stream(seed, name, counter).next_u64();
        let reference = first(1, "a", 0);
        assert_eq!(first(1, "a", 0), reference);
        assert_ne!(first(2, "a", 0), reference);
        assert_ne!(first(1, "b", 0), reference);
        assert_ne!(first(1, "a", 1), reference);
    }

    /// What a seed gives is a promise; a change here needs a line in the changelog.
    #[test]
    fn stream_values_are_stable() {
        let values: Vec<u64> =
            (0..2).map(|counter| stream(0, "test", counter).next_u64()).collect();
        assert_eq!(values, [13_175_184_666_907_800_427, 6_586_406_450_394_627_193]);
        let sobol: Vec<Vec<f64>> = SobolPoints::new(2, 0).take(2).collect();
        assert_eq!(
            sobol,
            [
                [0.307_186_245_918_273_9, 0.922_926_306_724_548_3],
                [0.512_971_282_005_310_1, 0.087_070_584_297_180_18]
            ]
        );
    }

    #[test]
    fn coordinates_are_those_of_the_sequence_one_by_one() {
        let dimensions = SobolPoints::BLOCK + 6;
        let point = SobolPoints::new(dimensions, 2).nth(77).unwrap();
        assert_eq!(point.len(), dimensions);
        for (j, coordinate) in point.into_iter().enumerate() {
            let (block, within) = (j / SobolPoints::BLOCK, j % SobolPoints::BLOCK);
            #[expect(clippy::cast_possible_truncation, reason = "as the walk derives them")]
            let (scrambling, within) = (derive(2, "sobol", block as u64) as u32, within as u32);
            let expected = f64::from(sobol_burley::sample(77, within, scrambling));
            assert!((coordinate - expected).abs() < f64::EPSILON, "{j}");
        }
    }

    #[test]
    fn a_walk_can_skip_points_within_a_round_and_beyond() {
        for skipped in [3, 1 << 16, (1 << 16) + 5] {
            let mut one_by_one = SobolPoints::new(9, 4);
            for _ in 0..skipped {
                one_by_one.next();
            }
            assert_eq!(SobolPoints::new(9, 4).nth(skipped), one_by_one.next());
        }
    }

    #[test]
    fn sobol_points_fill_each_axis_evenly() {
        let points: Vec<Vec<f64>> = SobolPoints::new(300, 5).take(64).collect();
        for j in [0, 1, 7, 255, 256, 299] {
            let mut cells: Vec<f64> =
                points.iter().map(|point| (point[j] * 64.0).floor()).collect();
            cells.sort_by(f64::total_cmp);
            assert!(
                cells.iter().enumerate().all(|(i, &cell)| (cell - i as f64).abs() < 0.5),
                "axis {j}"
            );
        }
    }
}
