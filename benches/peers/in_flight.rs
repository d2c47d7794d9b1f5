//! Trials that are evaluated at the same time, by a clock of their own.

use rand_distr::{Distribution, StandardNormal};
use slotune_core::{Trial, random::stream};

/// The evaluation of a trial takes exp(spread × z) seconds of virtual time, z normal and drawn by the
/// trial's own seed; trials end in the order of that.
pub(crate) struct InFlight {
    spread: f64,
    now: f64,
    /// When each ends, and how long it takes.
    trials: Vec<(f64, f64, Trial)>,
}

impl InFlight {
    pub(crate) fn new(spread: f64) -> Self {
        Self { spread, now: 0.0, trials: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.trials.len()
    }

    pub(crate) fn start(&mut self, trial: Trial) {
        let z: f64 = StandardNormal.sample(&mut stream(trial.seed, "duration", 0));
        let duration = (self.spread * z).exp();
        self.trials.push((self.now + duration, duration, trial));
    }

    /// The trial that ends first, the first that started of equals, and the seconds that it took; `None`
    /// where there is none.
    pub(crate) fn finish(&mut self) -> Option<(Trial, f64)> {
        let by_end = self.trials.iter().enumerate().min_by(|(_, a), (_, b)| a.0.total_cmp(&b.0));
        let (end, duration, trial) = self.trials.remove(by_end?.0);
        self.now = end;
        Some((trial, duration))
    }
}

#[cfg(test)]
mod tests {
    use slotune_core::{Configuration, Origin, TrialId};

    use super::*;

    /// Numbers of twelve trials in the order in which they end, of three at a time, and the clock at the end.
    fn order(spread: f64) -> (Vec<u64>, f64) {
        let mut in_flight = InFlight::new(spread);
        let (mut started, mut ended) = (0, Vec::new());
        while ended.len() < 12 {
            if started < 12 && in_flight.len() < 3 {
                let configuration = Configuration::new();
                let (id, origin) = (TrialId(started), Origin::Given);
                in_flight.start(Trial { id, configuration, seed: 100 + started, origin });
                started += 1;
                continue;
            }
            let (trial, duration) = in_flight.finish().unwrap();
            assert!(duration > 0.0);
            ended.push(trial.id.0);
        }
        assert!(in_flight.finish().is_none());
        (ended, in_flight.now)
    }

    #[test]
    fn trials_end_in_the_order_of_their_time() {
        let (ended, now) = order(0.0);
        assert_eq!(ended, (0..12).collect::<Vec<_>>());
        assert!((now - 4.0).abs() < 1e-12, "four rounds of a second: {now}");
        let (mut ended, _) = order(1.0);
        assert!(!ended.is_sorted(), "a slow one is overtaken: {ended:?}");
        ended.sort_unstable();
        assert_eq!(ended, (0..12).collect::<Vec<_>>(), "none is lost");
    }
}
