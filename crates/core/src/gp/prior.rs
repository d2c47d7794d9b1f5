//! Priors over hyperparameters (Hvarfner, Hellsten and Nardi, ICML 2024, arXiv:2402.02229; the
//! noise prior as BoTorch states it with that reference).

/// log X is normal with this mean and standard deviation.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogNormal {
    pub(super) mu: f64,
    pub(super) sigma: f64,
}

impl LogNormal {
    /// Of each of `d` lengthscales in the unit cube. It grows with √d, so that the typical
    /// distance between points, and with it the complexity of the model, does not.
    pub(super) fn of_lengthscale(d: usize) -> Self {
        Self { mu: std::f64::consts::SQRT_2 + 0.5 * (d as f64).ln(), sigma: 3.0_f64.sqrt() }
    }

    /// Of the noise variance of standardised targets.
    pub(super) fn of_noise_variance() -> Self {
        Self { mu: -4.0, sigma: 1.0 }
    }

    /// log p(x), the density on the natural value, and d log p(x) / d log x, given log x.
    pub(super) fn log_density(self, log_x: f64) -> (f64, f64) {
        let z = (log_x - self.mu) / self.sigma;
        let half_log_two_pi = 0.5 * std::f64::consts::TAU.ln();
        (-log_x - self.sigma.ln() - half_log_two_pi - 0.5 * z * z, -1.0 - z / self.sigma)
    }

    /// log of the most likely value.
    pub(super) fn log_mode(self) -> f64 {
        self.mu - self.sigma * self.sigma
    }
}
