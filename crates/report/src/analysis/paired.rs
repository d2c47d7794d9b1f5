//! Two configurations measured side by side, round by round: how far apart they are, and how sure that is.

use serde::Serialize;
use slotune_core::{Direction, Estimate, Scale};
use slotune_serving::metrics::mean_interval;

use super::Judgement;

/// Fewest rounds that a judgement is made from.
pub const LEAST_ROUNDS: usize = 3;

/// How far a configuration is from another over rounds in which both were measured, and the interval
/// that holds it.
///
/// What both share in a round, such as its requests, cancels within the pair.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// Rounds.
    pub rounds: usize,
    /// By ratio, or by difference where a value is not positive.
    pub scale: Scale,
    /// The geometric mean of the ratios to the other, or the mean of the differences from it.
    pub effect: f64,
    /// Its confidence interval, lower end first.
    pub interval: [f64; 2],
    /// Whether a value of the other is only a lower bound.
    #[serde(skip)]
    before_is_open: bool,
    /// Whether a value of this one is.
    #[serde(skip)]
    after_is_open: bool,
}

impl Paired {
    /// Compares the second of each pair with the first, both in any one unit, with Student's interval
    /// for the mean of the logarithms of the ratios, or of the differences (Student, "The probable error
    /// of a mean", 1908).
    ///
    /// `None` for fewer than two pairs, for a value that is not finite, and for a confidence not between
    /// 0 and 1.
    pub fn new(pairs: &[(Estimate, Estimate)], scale: Scale, confidence: f64) -> Option<Self> {
        let is_positive =
            |(before, after): &(Estimate, Estimate)| before.value.min(after.value) > 0.0;
        let scale = if pairs.iter().all(is_positive) { scale } else { Scale::Linear };
        let distances: Vec<f64> = pairs
            .iter()
            .map(|(before, after)| match scale {
                Scale::Log => (after.value / before.value).ln(),
                Scale::Linear => after.value - before.value,
            })
            .collect();
        let interval = mean_interval(&distances, confidence)?;
        let back = |distance: f64| match scale {
            Scale::Log => distance.exp(),
            Scale::Linear => distance,
        };
        Some(Self {
            rounds: pairs.len(),
            scale,
            effect: back(distances.iter().sum::<f64>() / distances.len() as f64),
            interval: [back(interval.low), back(interval.high)],
            before_is_open: pairs.iter().any(|(before, _)| before.is_lower_bound),
            after_is_open: pairs.iter().any(|(_, after)| after.is_lower_bound),
        })
    }

    /// What it amounts to: better or worse where the whole interval lies on one side of no change.
    /// Unknown from fewer than three rounds, and where a value is only a lower bound and its true value
    /// could say otherwise.
    pub fn judgement(&self, direction: Direction) -> Judgement {
        let none = match self.scale {
            Scale::Log => 1.0,
            Scale::Linear => 0.0,
        };
        let [low, high] = self.interval;
        let (is_lower, is_higher) = (high < none, low > none);
        let is_open = match (is_lower, is_higher) {
            // The true value may be higher than what was seen.
            (true, _) => self.after_is_open,
            (_, true) => self.before_is_open,
            _ => self.before_is_open || self.after_is_open,
        };
        if self.rounds < LEAST_ROUNDS || is_open {
            return Judgement::Unknown;
        }
        if is_lower || is_higher { Judgement::of(direction, is_higher) } else { Judgement::Same }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(values: &[(f64, f64)]) -> Vec<(Estimate, Estimate)> {
        values.iter().map(|&(a, b)| (Estimate::exact(a), Estimate::exact(b))).collect()
    }

    /// Pairs whose second is so many times the first, as logarithms.
    fn ratios(logarithms: &[f64]) -> Vec<(Estimate, Estimate)> {
        let values: Vec<_> = logarithms.iter().map(|log| (4.0, 4.0 * log.exp())).collect();
        pairs(&values)
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn the_interval_is_students_over_the_log_ratios() {
        let paired = Paired::new(&ratios(&[-0.2, -0.1, -0.3]), Scale::Log, 0.95).unwrap();
        // Mean -0.2, deviation 0.1, three values; t with 2 degrees of freedom is 4.302652729749464
        // (R: qt(0.975, 2)).
        let half = 4.302_652_729_749_464 * 0.1 / 3_f64.sqrt();
        assert!(close(paired.effect, (-0.2_f64).exp()), "{paired:?}");
        assert!(close(paired.interval[0], (-0.2 - half).exp()), "{paired:?}");
        assert!(close(paired.interval[1], (-0.2 + half).exp()), "{paired:?}");
        assert_eq!(paired.judgement(Direction::Minimise), Judgement::Same);
        // R: qt(0.9875, 3) = 4.176535: what two finalists at 95 % together need of four rounds.
        let paired = Paired::new(&ratios(&[-0.2, -0.1, -0.3, -0.2]), Scale::Log, 0.975).unwrap();
        let half = 4.176_535 * (0.02_f64 / 3.0).sqrt() / 2.0;
        assert!((paired.interval[1].ln() - (-0.2 + half)).abs() < 1e-6, "{paired:?}");
        assert_eq!(paired.judgement(Direction::Minimise), Judgement::Better);
        assert_eq!(paired.judgement(Direction::Maximise), Judgement::Worse);
    }

    #[test]
    fn values_without_a_ratio_are_compared_by_difference() {
        let paired =
            Paired::new(&pairs(&[(0.0, 0.3), (0.1, 0.3), (0.2, 0.6)]), Scale::Log, 0.95).unwrap();
        assert_eq!(paired.scale, Scale::Linear);
        let half = 4.302_652_729_749_464 * 0.1 / 3_f64.sqrt();
        assert!(close(paired.effect, 0.3) && close(paired.interval[0], 0.3 - half), "{paired:?}");
        assert_eq!(paired.judgement(Direction::Minimise), Judgement::Worse);
    }

    #[test]
    fn equal_rounds_are_the_same_and_few_say_nothing() {
        let judged = |pairs: &[(Estimate, Estimate)]| {
            Paired::new(pairs, Scale::Log, 0.95).map(|p| p.judgement(Direction::Minimise))
        };
        assert_eq!(judged(&ratios(&[0.0; 4])), Some(Judgement::Same));
        assert_eq!(judged(&ratios(&[-0.5, -0.5])), Some(Judgement::Unknown));
        assert_eq!(judged(&ratios(&[-0.5])), None);
        assert_eq!(judged(&pairs(&[(1.0, f64::NAN), (1.0, 1.0), (1.0, 1.0)])), None);
    }

    #[test]
    fn a_lower_bound_never_decides_for_itself() {
        let open = |before: bool, after: bool, log: f64| {
            let mut pairs = ratios(&[log - 0.01, log, log + 0.01]);
            pairs[1].0.is_lower_bound = before;
            pairs[1].1.is_lower_bound = after;
            Paired::new(&pairs, Scale::Log, 0.95).unwrap().judgement(Direction::Minimise)
        };
        assert_eq!(open(true, false, -0.5), Judgement::Better, "the default is slower still");
        assert_eq!(open(false, true, -0.5), Judgement::Unknown);
        assert_eq!(open(false, true, 0.5), Judgement::Worse);
        assert_eq!(open(true, false, 0.5), Judgement::Unknown);
        assert_eq!(open(true, false, 0.0), Judgement::Unknown);
    }
}
