//! From observations to a process: how points are compared, and what a fit finds.

use super::{
    Gp, GpError, Observations, fit::HyperparameterPosterior, inference::Inference,
    targets::Standardisation, warp::Warp,
};
use crate::Column;

/// How points are compared: what a Gaussian process is before it has seen data.
#[derive(Clone, Debug, PartialEq)]
pub struct GpSpec {
    columns: Vec<Column>,
}

/// What a fit finds, on the scale of standardised targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Hyperparameters {
    /// One for each column, on the unit cube.
    pub lengthscales: Vec<f64>,
    /// Variance of the process.
    pub outputscale: f64,
    /// Learned noise variance, which known noise adds to.
    pub noise_variance: f64,
    /// Constant mean.
    pub mean: f64,
}

impl GpSpec {
    /// A process over columns compared in these ways: a Matérn-5/2 kernel over the ordered ones, a
    /// Hamming kernel over the categorical ones, and the product of the two. Conditional columns are compared
    /// where both points have them (the arc kernel of Swersky et al. 2014, arXiv:1409.4011).
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns }
    }

    /// The process with the most likely hyperparameters, given the observations and the priors of
    /// Hvarfner, Hellsten and Nardi (2024). From more than 200 observations, the hyperparameters are
    /// those of 200 of them; predictions always rest on all.
    ///
    /// # Errors
    /// When points have another number of columns, when a column depends on one that is not before it, or
    /// when the numerics fail; the error names the step.
    pub fn fit(&self, observations: &Observations) -> Result<Gp, GpError> {
        self.check_columns(observations)?;
        let (y, known_noise) = standardised(observations, Standardisation::of(&observations.y));
        let most_likely = self.posterior(observations, &y, &known_noise).most_likely()?;
        self.condition(observations, most_likely)
    }

    /// Processes with hyperparameters drawn from their posterior, each as likely as the others: eight of
    /// up to 64 observations, and the most likely one of more, which leave little doubt. A prediction
    /// that averages over them knows how unsure the hyperparameters are (Snoek, Larochelle and Adams
    /// 2012, section 3.2). Of eight each has its own warp of the ordered columns, drawn with them, so that
    /// an outcome may change faster along one part of an axis than along another (Snoek, Swersky, Zemel
    /// and Adams 2014, arXiv:1402.0929).
    ///
    /// # Errors
    /// As for [`fit`](Self::fit).
    pub fn sample(&self, observations: &Observations) -> Result<Vec<Gp>, GpError> {
        self.check_columns(observations)?;
        let standardisation = Standardisation::of(&observations.y);
        let (y, known_noise) = standardised(observations, standardisation);
        let draws = self.posterior(observations, &y, &known_noise).draws()?;
        let process = |(draw, warp)| self.exact(observations, standardisation, draw, warp);
        draws.into_iter().map(process).collect()
    }

    /// Of the hyperparameters, given standardised targets and their known noise variances.
    fn posterior<'a>(
        &'a self,
        observations: &'a Observations,
        y: &'a [f64],
        known_noise: &'a [f64],
    ) -> HyperparameterPosterior<'a> {
        HyperparameterPosterior { columns: &self.columns, x: &observations.x, y, known_noise }
    }

    /// The process with given hyperparameters, which are on the scale of standardised targets.
    ///
    /// # Errors
    /// When a hyperparameter is not positive (the mean: not finite), when there is not one
    /// lengthscale for each column, or as for [`fit`](Self::fit).
    pub fn condition(
        &self,
        observations: &Observations,
        hyperparameters: Hyperparameters,
    ) -> Result<Gp, GpError> {
        let standardisation = Standardisation::of(&observations.y);
        self.exact(observations, standardisation, hyperparameters, Warp::default())
    }

    pub(super) fn exact(
        &self,
        observations: &Observations,
        standardisation: Standardisation,
        hyperparameters: Hyperparameters,
        warp: Warp,
    ) -> Result<Gp, GpError> {
        self.check_columns(observations)?;
        hyperparameters.check(self.columns.len())?;
        let (y, known_noise) = standardised(observations, standardisation);
        let x = warp.points(&observations.x).into_owned();
        let inference = Inference::new(&self.columns, &x, &y, &known_noise, &hyperparameters)?;
        let columns = self.columns.clone();
        Ok(Gp { columns, hyperparameters, standardisation, warp, x, y, known_noise, inference })
    }

    fn check_columns(&self, observations: &Observations) -> Result<(), GpError> {
        let (expected, got) = (self.columns.len(), observations.x.ncols());
        if expected != got {
            return Err(GpError::Length { field: "columns", expected, got });
        }
        for (column, how) in self.columns.iter().enumerate() {
            if let Column::OrderedIf { parent, .. } = *how
                && parent >= column
            {
                return Err(GpError::Parent { column, parent });
            }
        }
        Ok(())
    }
}

fn standardised(
    observations: &Observations,
    standardisation: Standardisation,
) -> (Vec<f64>, Vec<f64>) {
    /// A target with this much noise, in variances of all targets, says nothing; more of it would
    /// only overflow.
    const LARGEST: f64 = 1e12;
    let y = observations.y.iter().map(|&y| standardisation.forward(y)).collect();
    let standardise = |variance: &f64| (variance / standardisation.scale.powi(2)).min(LARGEST);
    (y, observations.noise_variances.iter().map(standardise).collect())
}

impl Hyperparameters {
    fn check(&self, d: usize) -> Result<(), GpError> {
        if self.lengthscales.len() != d {
            let got = self.lengthscales.len();
            return Err(GpError::Length { field: "lengthscales", expected: d, got });
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        for (name, value, usable) in [
            ("outputscale", self.outputscale, positive(self.outputscale)),
            (
                "noise variance",
                self.noise_variance,
                self.noise_variance == 0.0 || positive(self.noise_variance),
            ),
            ("mean", self.mean, self.mean.is_finite()),
        ] {
            if !usable {
                return Err(GpError::Hyperparameter { name, value });
            }
        }
        match self.lengthscales.iter().find(|&&l| !positive(l)) {
            Some(&value) => Err(GpError::Hyperparameter { name: "lengthscale", value }),
            None => Ok(()),
        }
    }
}
