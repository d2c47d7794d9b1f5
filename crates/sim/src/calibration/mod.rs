//! Calibration: a GPU preset fitted to runs of a real server.
//!
//! Each run is [replayed](MeasuredRun::replay) in the simulator, with its arguments, its blocks and its
//! requests as they were sent, and the coefficients of the preset are moved until the simulated latencies
//! are the measured ones. What the runs do not tell stays as the preset has it.

mod error;
mod least_squares;
mod run;

use serde::Serialize;
use slotune_serving::metrics::{Metric, Statistic};

use crate::{Coefficient, GpuPreset, ModelShape, Status};
use least_squares::{Minimum, minimise};

pub use error::CalibrationError;
pub use run::{EngineCounts, MeasuredRun, RunFigures};

/// What is fitted, each with the relative error that counts as one: the bars that the simulator is held
/// to.
pub const TARGETS: [(Metric, f64); 5] = [
    (Metric::E2e(Statistic::Mean), 0.05),
    (Metric::E2e(Statistic::P99), 0.08),
    (Metric::Tpot(Statistic::Mean), 0.04),
    (Metric::Ttft(Statistic::Mean), 0.10),
    (Metric::Ttft(Statistic::P95), 0.15),
];

/// Coefficients that are never fitted: latencies do not depend on them, or only on several GPUs; and the
/// exponent of a law.
pub const KEPT: [&str; 4] = ["memory_gib", "link_gb_per_s", "link_latency_us", "step.norm"];

/// How far a coefficient may be from the preset's, as the deviation of its logarithm: what a run must
/// outweigh.
const PRIOR_DEVIATION: f64 = 0.3;

/// The most that it may be multiplied or divided by.
pub const LARGEST_FACTOR: f64 = 4.0;

/// The host's time in steps of compiled code that are no full graph: of one cause, and hidden as long as
/// the GPU takes longer. From a fast host no slope leads to a slow one, so the fit also begins with hosts that
/// take so many times as long.
const HIDDEN: [&str; 3] = ["host.piecewise_ms", "host.piecewise_per_prefill_ms", "host.eager_ms"];
const SLOWER_HOSTS: [f64; 2] = [1.0, 2.0];

/// A preset fitted to runs, and how well.
#[derive(Clone, Debug, PartialEq)]
pub struct CalibratedPreset {
    /// The preset. What was fitted says so in its status and source.
    pub preset: GpuPreset,
    /// The coefficients that were free, in the order of the preset's file.
    pub coefficients: Vec<FittedCoefficient>,
    /// What each run gives with the preset, in the order of the runs.
    pub figures: Vec<RunFigures>,
}

/// A coefficient that was free.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FittedCoefficient {
    /// Its name in the preset's file.
    pub name: String,
    /// What it was, in the unit of its name.
    pub before: f64,
    /// What it is.
    pub after: f64,
    /// How much of what was not known of it the runs tell, from 0 to 1. Below 0.05 it was left as it
    /// was.
    pub told: f64,
    /// Whether it is at [`LARGEST_FACTOR`], and would have gone on.
    #[serde(rename = "at_bound")]
    pub is_at_bound: bool,
}

/// Fits a preset to runs of `model`. `fitted_to` says which they are, for the preset's file.
///
/// Least squares of the logarithms of simulated over measured latency ([`TARGETS`], each in units of its
/// bar, with Geman and McClure's weights so that one odd run does not decide), over the logarithms of the
/// coefficients, which keeps them positive, with a ridge towards the preset, or towards the same with a host
/// that is slower where the GPU hides it. By Levenberg and Marquardt with differences for derivatives: the
/// simulator is exact and quick.
///
/// The preset becomes that of the machine of `runs`. Runs of other machines, a list for each, may stand
/// `beside` them: they tell of the laws too, and how much longer GPU, engine core and API server of each of
/// those take is fitted besides and forgotten.
///
/// # Errors
/// [`CalibrationError`] without runs, or where one cannot be replayed.
pub fn calibrate(
    preset: &GpuPreset,
    model: &ModelShape,
    runs: &[MeasuredRun],
    beside: &[&[MeasuredRun]],
    fitted_to: &str,
) -> Result<CalibratedPreset, CalibrationError> {
    if runs.is_empty() {
        return Err(CalibrationError::NoRuns);
    }
    // All costs, also those that the file leaves to the measured hosts.
    let whole = with_all_costs(preset)?;
    let free: Vec<Coefficient> = whole
        .coefficients
        .iter()
        .filter(|number| number.value > 0.0 && !KEPT.contains(&number.name.as_str()))
        .cloned()
        .collect();
    let moved = |point: &[f64]| -> Result<GpuPreset, CalibrationError> {
        let mut preset = whole.clone();
        preset.fitted_to = Some(fitted_to.to_owned());
        for (number, log_factor) in free.iter().zip(point).filter(|(_, at)| **at != 0.0) {
            preset.set(Coefficient {
                name: number.name.clone(),
                value: rounded(number.value * libm::exp(*log_factor)),
                status: Status::Fitted,
                source: format!("fit to {fitted_to}"),
            })?;
        }
        Ok(preset)
    };
    let own = [runs];
    let machines = || own.iter().chain(beside);
    let residuals = |point: &[f64]| -> Result<Vec<Vec<f64>>, CalibrationError> {
        let (numbers, others) = point.split_at(free.len());
        let server = moved(numbers)?.server(model.clone());
        let mut all = Vec::new();
        let slowness = std::iter::once(&[0.0; 3]).chain(others.as_chunks().0);
        for (runs, &[gpu, host, front_end]) in machines().zip(slowness) {
            let server = server.slower_by([gpu, host, front_end].map(libm::exp));
            for run in *runs {
                let simulated = run.replay(&server)?;
                let residual = |(metric, bar): &(Metric, f64)| {
                    let error = simulated.relative_error(run.measured(), *metric)?;
                    Some(libm::log1p(error) / bar)
                };
                all.push(TARGETS.iter().filter_map(residual).collect());
            }
        }
        Ok(all)
    };
    let variables = free.len() + 3 * beside.len();
    let starts = SLOWER_HOSTS.map(|factor| {
        let mut start = vec![0.0; variables];
        for (place, number) in start.iter_mut().zip(&free) {
            if HIDDEN.contains(&number.name.as_str()) {
                *place = factor.ln();
            }
        }
        start
    });
    let Minimum { point, told } =
        minimise(&starts, PRIOR_DEVIATION, LARGEST_FACTOR.ln(), residuals)?;
    let fitted = moved(&point[..free.len()])?;
    let server = fitted.server(model.clone());
    let figures = runs.iter().map(|run| run.replay(&server)).collect::<Result<_, _>>()?;
    let coefficients = free
        .into_iter()
        .zip(point.iter().zip(told))
        .map(|(number, (log_factor, told))| {
            let known = fitted.coefficients.iter().find(|known| known.name == number.name);
            FittedCoefficient {
                before: number.value,
                after: known.map_or(number.value, |known| known.value),
                told,
                is_at_bound: log_factor.abs() >= LARGEST_FACTOR.ln(),
                name: number.name,
            }
        })
        .collect();
    Ok(CalibratedPreset { preset: fitted, coefficients, figures })
}

/// What each run gives with a preset that was fitted to all others, those `beside` them included: how well
/// the simulator knows a run that it has not seen. One fit for each, as it is asked for.
///
/// # Errors
/// Each as [`calibrate`]; with one run, there are no others.
pub fn cross_validate<'a>(
    preset: &'a GpuPreset,
    model: &'a ModelShape,
    runs: &'a [MeasuredRun],
    beside: &'a [&'a [MeasuredRun]],
) -> impl Iterator<Item = Result<RunFigures, CalibrationError>> + 'a {
    (0..runs.len()).map(move |left_out| {
        let mut others = runs.to_vec();
        let run = others.remove(left_out);
        let fitted = calibrate(preset, model, &others, beside, "cross-validation")?.preset;
        run.replay(&fitted.server(model.clone()))
    })
}

/// The preset with every number that a file may hold.
fn with_all_costs(preset: &GpuPreset) -> Result<GpuPreset, CalibrationError> {
    let mut whole = preset.clone();
    for number in &GpuPreset::measured().coefficients {
        if whole.coefficients.iter().all(|known| known.name != number.name) {
            whole.set(number.clone())?;
        }
    }
    Ok(whole)
}

/// To five digits, as many as anybody will compare.
fn rounded(value: f64) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests;
