//! The part of numpy's random numbers that the peers' protocol is defined by:
//! `numpy.random.default_rng(seed).permutation(n)` and `.random()`, bit for bit.
//!
//! `SeedSequence` follows O'Neill's `seed_seq_fe` (numpy, `bit_generator.pyx`), the generator is
//! PCG64, and a permutation is a Fisher–Yates shuffle from the end with masked rejection (numpy,
//! `_generator.pyx` and `distributions.c`).

use rand::Rng;
use slotune_core::random::Pcg64;

/// numpy's `Generator` as `default_rng(seed)` makes it.
#[derive(Debug)]
pub(crate) struct Generator {
    bits: Pcg64,
    /// The upper half of a number whose lower half was handed out.
    half: Option<u32>,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        let [a, b, c, d] = seed_state(seed).map(u128::from);
        Self { bits: Pcg64::new(a << 64 | b, c << 64 | d), half: None }
    }

    /// 0 to n − 1 in random order.
    pub(crate) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            let j = self.up_to(u32::try_from(i).expect("tables are small"));
            order.swap(i, j as usize);
        }
        order
    }

    /// A number in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number from 0 to `most`: the lowest bits that can hold it, until they do not exceed it.
    fn up_to(&mut self, most: u32) -> u32 {
        let mask = u32::MAX >> most.leading_zeros();
        loop {
            let candidate = self.next_u32() & mask;
            if candidate <= most {
                return candidate;
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the number is taken in halves")]
    fn next_u32(&mut self) -> u32 {
        self.half.take().unwrap_or_else(|| {
            let both = self.bits.next_u64();
            self.half = Some((both >> 32) as u32);
            both as u32
        })
    }
}

/// `SeedSequence(seed).generate_state(4, uint64)`.
#[expect(clippy::cast_possible_truncation, reason = "the seed is taken in halves")]
fn seed_state(seed: u64) -> [u64; 4] {
    const POOL: usize = 4;
    let mut hash = Hash { constant: 0x43b0_d7e5, multiplier: 0x931e_8875 };
    let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0].map(|word| hash.of(word));
    for source in 0..POOL {
        for target in (0..POOL).filter(|&target| target != source) {
            let mixed = 0xca01_f9dd_u32
                .wrapping_mul(pool[target])
                .wrapping_sub(0x4973_f715_u32.wrapping_mul(hash.of(pool[source])));
            pool[target] = mixed ^ (mixed >> 16);
        }
    }
    let mut hash = Hash { constant: 0x8b51_f9dd, multiplier: 0x58f3_8ded };
    let mut words = pool.into_iter().cycle().map(|word| u64::from(hash.of(word)));
    std::array::from_fn(|_| {
        let (low, high) = (words.next(), words.next());
        low.zip(high).map_or(0, |(low, high)| high << 32 | low)
    })
}

struct Hash {
    constant: u32,
    multiplier: u32,
}

impl Hash {
    fn of(&mut self, word: u32) -> u32 {
        let word = word ^ self.constant;
        self.constant = self.constant.wrapping_mul(self.multiplier);
        let word = word.wrapping_mul(self.constant);
        word ^ (word >> 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From numpy 2.4.6.
    #[test]
    fn states_and_permutations_are_those_of_numpy() {
        assert_eq!(
            seed_state(0),
            [
                15_793_235_383_387_715_774,
                12_390_638_538_380_655_177,
                2_361_836_109_651_742_017,
                3_188_717_715_514_472_916
            ]
        );
        assert_eq!(seed_state((1 << 40) + 7)[0], 974_592_680_304_384_533);
        assert_eq!(Generator::new(0).permutation(7), [2, 4, 3, 6, 5, 0, 1]);
        assert_eq!(Generator::new(1000).permutation(756)[..6], [158, 128, 529, 561, 78, 668]);
        assert_eq!(
            Generator::new((1 << 40) + 7).permutation(756)[..6],
            [24, 46, 470, 292, 386, 542]
        );
        assert!((Generator::new(0).unit() - 0.636_961_687_321_454_3).abs() < 1e-16);
    }
}
