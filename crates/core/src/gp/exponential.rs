//! An exponential function for many arguments at once.
//!
//! The kernel takes millions of exponentials for one suggestion. This one has no branch and no
//! table, so that a loop over it is compiled to vector instructions, and it gives the same bits on
//! every platform.

/// exp(x) for x <= 0, with a relative error of about 2⁻⁵²; below −708, where it
/// is less than 10⁻³⁰⁷, it is 0.
///
/// x = k ln 2 + r with whole k and |r| <= ½ ln 2; exp(r) is its Taylor polynomial of degree 13, summed by
/// pairs, pairs of pairs and so on (Estrin 1960): of one term after the other each would wait for the last.
#[inline]
pub(super) fn exp_non_positive(x: f64) -> f64 {
    /// 1.5 × 2⁵²: adding it rounds to a whole number, which its lowest bits then hold.
    const ROUNDING: f64 = 6_755_399_441_055_744.0;
    /// ln 2 in two parts, the first short enough for an exact product with k.
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    /// Lowest argument whose result is a normal number.
    const LOWEST: f64 = -708.0;
    let is_zero = x < LOWEST;
    let x = if is_zero { LOWEST } else { x };
    let shifted = x * std::f64::consts::LOG2_E + ROUNDING;
    let k = shifted - ROUNDING;
    let r = (x - k * LN_2_HIGH) - k * LN_2_LOW;
    let [r2, r4] = [r * r, (r * r) * (r * r)];
    let pair = |i: usize| INVERSE_FACTORIALS[i] + INVERSE_FACTORIALS[i + 1] * r;
    let four = |i: usize| pair(i) + pair(i + 2) * r2;
    let series = (four(0) + four(4) * r4) + (four(8) + pair(12) * r4) * (r4 * r4);
    // 2ᵏ: k + 1023 in the bits of the exponent.
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    if is_zero { 0.0 } else { series * power }
}

/// 1/0!, 1/1!, …, 1/13!.
const INVERSE_FACTORIALS: [f64; 14] = [
    1.0,
    1.0,
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_standard_exponential_to_rounding() {
        for i in 0..200_000 {
            let x = -0.0035 * f64::from(i);
            let (ours, standard) = (exp_non_positive(x), x.exp());
            assert!((ours - standard).abs() <= 4.0 * f64::EPSILON * standard, "{x}");
        }
        assert!((exp_non_positive(0.0) - 1.0).abs() < f64::EPSILON);
        for x in [-1e9, f64::NEG_INFINITY] {
            assert!(exp_non_positive(x).abs() < f64::MIN_POSITIVE);
        }
    }
}
