//! The colours of the pictures.

use plotters::style::RGBColor;

// Those of series remain apart for colour-blind eyes (Okabe and Ito, 2008).
pub(in super::super) const ORANGE: RGBColor = RGBColor(230, 159, 0);
pub(in super::super) const SKY: RGBColor = RGBColor(86, 180, 233);
pub(in super::super) const GREEN: RGBColor = RGBColor(0, 158, 115);
pub(in super::super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(in super::super) const VERMILION: RGBColor = RGBColor(213, 94, 0);
pub(in super::super) const PURPLE: RGBColor = RGBColor(204, 121, 167);

// The page turns these over in the dark.
pub(in super::super) const PAPER: RGBColor = RGBColor(255, 255, 255);
pub(in super::super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(in super::super) const GREY: RGBColor = RGBColor(110, 110, 110);
pub(in super::super) const RULE: RGBColor = RGBColor(225, 225, 225);

#[cfg(test)]
mod tests {
    use super::*;

    type Matrix = [[f64; 3]; 3];

    /// What eyes see that lack a kind of cone, in linear sRGB, at severity 1 (Machado, Oliveira and
    /// Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009); the
    /// last are those that lack none.
    const EYES: [(&str, Matrix); 4] = [
        (
            "protanopia",
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
        ),
        (
            "deuteranopia",
            [
                [0.367_322, 0.860_646, -0.227_968],
                [0.280_085, 0.672_501, 0.047_413],
                [-0.011_820, 0.042_940, 0.968_881],
            ],
        ),
        (
            "tritanopia",
            [
                [1.255_528, -0.076_749, -0.178_779],
                [-0.078_411, 0.930_809, 0.147_602],
                [0.004_733, 0.691_367, 0.303_900],
            ],
        ),
        ("all cones", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    ];

    fn times(matrix: &Matrix, [x, y, z]: [f64; 3]) -> [f64; 3] {
        matrix.map(|[a, b, c]| a * x + b * y + c * z)
    }

    /// CIE L*a*b* (D65) of a colour as those eyes see it.
    fn lab(RGBColor(red, green, blue): RGBColor, eyes: &Matrix) -> [f64; 3] {
        const XYZ: Matrix = [
            [0.412_456_4, 0.357_576_1, 0.180_437_5],
            [0.212_672_9, 0.715_152_2, 0.072_175_0],
            [0.019_333_9, 0.119_192_0, 0.950_304_1],
        ];
        let linear = [red, green, blue].map(|channel| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        });
        let seen = times(eyes, linear).map(|channel| channel.clamp(0.0, 1.0));
        let [x, y, z] = times(&XYZ, seen);
        let root = |t: f64| {
            if t > 216.0 / 24_389.0 { t.cbrt() } else { (24_389.0 / 27.0 * t + 16.0) / 116.0 }
        };
        let [x, y, z] = [root(x / 0.950_47), root(y), root(z / 1.088_83)];
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    fn difference(one: RGBColor, other: RGBColor, eyes: &Matrix) -> f64 {
        let pairs = lab(one, eyes).into_iter().zip(lab(other, eyes));
        pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }

    /// A difference of 2.3 can just be noticed.
    #[test]
    fn series_remain_apart_for_all_eyes() {
        let series = [ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE];
        for (name, eyes) in &EYES {
            for (i, one) in series.iter().enumerate() {
                for other in &series[..i] {
                    let apart = difference(*one, *other, eyes);
                    assert!(apart > 15.0, "{name}: {one:?} and {other:?} differ by {apart}");
                }
            }
        }
        // As it is with red and green of equal brightness.
        let (red, green) = (RGBColor(200, 40, 40), RGBColor(96, 112, 0));
        assert!(difference(red, green, &EYES[3].1) > 60.0);
        assert!(difference(red, green, &EYES[1].1) < 15.0);
    }
}
