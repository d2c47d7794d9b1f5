//! Seeded noise: how much repeated runs of one configuration differ.
//!
//! Every draw is a function of the seed, the name of its stream and its number in it, so a draw
//! more in one stream shifts no other, and two configurations under one seed share their luck
//! (common random numbers).

use std::f64::consts::TAU;

use slotune_serving::random;

use crate::InputError;

/// Deviations at which the factor of a run is cut, as nothing beyond was seen: the measured hosts were
/// 0.67 to 1.45 times as slow as their median, and this is 0.66 to 1.51. The uncut law has hosts so slow
/// that they saturate, which alone would double the spread of the tail.
const CUT: f64 = 1.645;

/// Spread of the simulated times, each number from 0 to 10. Off by default, so that a simulation is
/// exact.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// Deviation of the logarithm of the host's speed in steps that are no full graph, drawn once a run
    /// or once a start ([`RunOptions::boot_seed`](crate::RunOptions::boot_seed)).
    pub host_log_deviation: f64,
    /// The same of the front end's speed, in each of its turns.
    pub front_end_log_deviation: f64,
    /// The same of the GPU's, in each step.
    pub gpu_log_deviation: f64,
    /// Coefficient of variation of the host's time in each such step.
    pub host_step_variation: f64,
    /// Coefficient of variation of the GPU's time in each step.
    pub gpu_step_variation: f64,
    /// Coefficient of variation of each turn of the front end.
    pub front_end_variation: f64,
}

impl Noise {
    /// None: results do not depend on the seed.
    pub fn none() -> Self {
        Self::default()
    }

    /// As on the measured H100 servers: the first from one server's runs, the next two
    /// chosen as about half of what two servers differed by (docs/SIMULATOR.md), the others chosen. Under
    /// chat repeats differ by as much as measured ones; what the GPU bounds differs too much, as the
    /// GPU's factor stands in for host jitter that a fast host hides.
    pub fn measured() -> Self {
        Self {
            host_log_deviation: 0.25,
            front_end_log_deviation: 0.08,
            gpu_log_deviation: 0.02,
            host_step_variation: 0.15,
            gpu_step_variation: 0.01,
            front_end_variation: 0.10,
        }
    }

    /// Checks that every spread is one: beyond 10 the factors themselves would leave all range.
    pub(crate) fn check(&self) -> Result<(), InputError> {
        for (field, value) in [
            ("noise.host_log_deviation", self.host_log_deviation),
            ("noise.front_end_log_deviation", self.front_end_log_deviation),
            ("noise.gpu_log_deviation", self.gpu_log_deviation),
            ("noise.host_step_variation", self.host_step_variation),
            ("noise.gpu_step_variation", self.gpu_step_variation),
            ("noise.front_end_variation", self.front_end_variation),
        ] {
            if !(0.0..=10.0).contains(&value) {
                return Err(InputError::Number { field, value, allowed: "from 0 to 10" });
            }
        }
        Ok(())
    }

    /// The host's factor of a run or start.
    pub(crate) fn host_factor(&self, seed: u64) -> f64 {
        run_factor(seed, "sim/host", self.host_log_deviation)
    }

    /// The same of the front end.
    pub(crate) fn front_end_factor(&self, seed: u64) -> f64 {
        run_factor(seed, "sim/front-end-run", self.front_end_log_deviation)
    }

    /// The same of the GPU.
    pub(crate) fn gpu_factor(&self, seed: u64) -> f64 {
        run_factor(seed, "sim/gpu-run", self.gpu_log_deviation)
    }

    /// Factors of the host's time in each step.
    pub(crate) fn host_steps(&self, seed: u64) -> Factors {
        Factors::of_mean_one(seed, "sim/host-step", self.host_step_variation)
    }

    /// Factors of the GPU's time in each step.
    pub(crate) fn gpu_steps(&self, seed: u64) -> Factors {
        Factors::of_mean_one(seed, "sim/gpu-step", self.gpu_step_variation)
    }

    /// Factors of the front end's turns.
    pub(crate) fn front_end_jobs(&self, seed: u64) -> Factors {
        Factors::of_mean_one(seed, "sim/front-end", self.front_end_variation)
    }
}

/// A factor of a whole run: log-normal with median 1, without the tails.
fn run_factor(seed: u64, name: &str, log_deviation: f64) -> f64 {
    let most = libm::exp(CUT * log_deviation);
    Factors::new(seed, name, log_deviation, 0.0).next().clamp(1.0 / most, most)
}

/// An endless stream of log-normal factors.
#[derive(Clone, Debug)]
pub(crate) struct Factors {
    stream: u64,
    counter: u64,
    log_deviation: f64,
    log_mean: f64,
}

impl Factors {
    fn new(seed: u64, name: &str, log_deviation: f64, log_mean: f64) -> Self {
        Self { stream: random::derive(seed, name, 0), counter: 0, log_deviation, log_mean }
    }

    /// Log-normal with mean 1 and this coefficient of variation.
    fn of_mean_one(seed: u64, name: &str, variation: f64) -> Self {
        let log_variance = libm::log1p(variation * variation);
        Self::new(seed, name, log_variance.sqrt(), -0.5 * log_variance)
    }

    /// The next factor; exactly 1 without spread.
    pub(crate) fn next(&mut self) -> f64 {
        if self.log_deviation <= 0.0 {
            return 1.0;
        }
        let bits = random::derive(self.stream, "", self.counter);
        self.counter += 1;
        libm::exp(self.log_mean + self.log_deviation * normal(bits))
    }
}

/// A standard normal number from 64 random bits (Box and Muller 1958); 32 bits for each of the
/// two uniform numbers cut its tails at 6.7, far beyond any use here.
fn normal(bits: u64) -> f64 {
    const UNIT: f64 = 1.0 / 4_294_967_296.0;
    let first = ((bits >> 32) as f64 + 1.0) * UNIT;
    let second = (bits & 0xFFFF_FFFF) as f64 * UNIT;
    (-2.0 * libm::log(first)).sqrt() * libm::cos(TAU * second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(mut stream: Factors, count: usize) -> Vec<f64> {
        (0..count).map(|_| stream.next()).collect()
    }

    #[test]
    fn factors_have_the_stated_mean_and_variation() {
        let draws = factors(Noise::measured().host_steps(1), 20_000);
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
        assert!((variance.sqrt() - 0.15).abs() < 0.005, "{variance}");
    }

    #[test]
    fn the_host_factor_has_the_stated_median_and_deviation() {
        let mut logs: Vec<f64> =
            (0..10_000).map(|seed| Noise::measured().host_factor(seed).ln()).collect();
        logs.sort_by(f64::total_cmp);
        // A normal law has 68.3 % within one deviation of its median.
        let (low, median, high) = (logs[1587], logs[5000], logs[8413]);
        assert!(median.abs() < 0.01, "{median}");
        assert!((0.5 * (high - low) - 0.25).abs() < 0.01, "{low} to {high}");
        let (least, most) = (logs[0], logs[logs.len() - 1]);
        assert!((least + 0.411).abs() < 1e-3 && (most - 0.411).abs() < 1e-3, "{least} to {most}");
    }

    #[test]
    fn streams_differ_and_repeat() {
        let noise = Noise { gpu_step_variation: 0.15, ..Noise::measured() };
        assert_eq!(factors(noise.gpu_steps(3), 9), factors(noise.gpu_steps(3), 9));
        assert_ne!(factors(noise.gpu_steps(3), 9), factors(noise.gpu_steps(4), 9));
        assert_ne!(factors(noise.gpu_steps(3), 9), factors(noise.host_steps(3), 9));
        assert_eq!(factors(Noise::none().gpu_steps(3), 9), vec![1.0; 9]);
    }
}
