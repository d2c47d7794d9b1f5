//! The simulator fitted to a result set: a GPU preset that gives what was measured, and how far it can be
//! trusted with what was not.
//!
//! ```no_run
//! use slotune::{
//!     calibration::{CalibrationOptions, calibrate_set},
//!     results::ResultSet,
//!     sim::{GpuPreset, ModelPreset},
//! };
//!
//! let loaded = ResultSet::read("datasets/h100_qwen2.5_7b_grid")?;
//! let (gpu, model) = (GpuPreset::named("h100-sxm")?, ModelPreset::named("qwen2.5-7b")?);
//! let options = CalibrationOptions { set: "grid".to_owned(), ..CalibrationOptions::default() };
//! let calibration = calibrate_set(&loaded, &gpu, &model.shape, &options, &|_, _| {})?;
//! println!("{calibration}");
//! std::fs::write("mine.toml", calibration.preset.to_toml())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod runs;
mod text;

use serde::{Serialize, Serializer};
use slotune_results::Loaded;
use slotune_serving::metrics::{Metric, percentile};
use slotune_sim::{
    CalibratedPreset, CalibrationError, FittedCoefficient, GpuPreset, MeasuredRun, ModelShape,
    RunFigures, calibrate, cross_validate,
};

pub use runs::{SkipReason, SkippedTrial, measured_runs};

/// What of a result set is fitted to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalibrationOptions {
    /// What the set is called in the preset's file.
    pub set: String,
    /// How many runs, spread evenly over the set; `None` for all, each of which is also left out once.
    pub runs: Option<usize>,
    /// The study whose trials are taken, where the set has several machines; `None` for all trials.
    pub study: Option<String>,
    /// Studies beside it, each of another machine.
    pub beside: Vec<String>,
}

/// A preset fitted to a result set. As JSON, one object with these fields but the preset.
#[derive(Debug, Serialize)]
pub struct Calibration {
    /// The preset; [`GpuPreset::to_toml`] is the text of its file.
    #[serde(skip)]
    pub preset: GpuPreset,
    /// The runs that the simulator was compared with, in the order of the set.
    pub runs: Vec<ComparedRun>,
    /// The coefficients that were free.
    pub coefficients: Vec<FittedCoefficient>,
    /// The trials that the simulator cannot be compared with.
    #[serde(serialize_with = "as_text")]
    pub skipped: Vec<SkippedTrial>,
}

/// A measured run and what the simulator says of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedRun {
    /// Its study, and its label or number.
    pub name: String,
    /// What was measured.
    pub measured: RunFigures,
    /// What the preset gave that the fit started from.
    pub before: RunFigures,
    /// What the fitted preset gives.
    pub after: RunFigures,
    /// What a preset gives that was fitted without this run; `None` where there is none.
    pub left_out: Option<RunFigures>,
}

/// Fits a preset to the trials of a result set that served `model`, as [`calibrate`] does, and compares.
/// `progress` is told, after each fit, how many there were and how many there are in all.
///
/// # Errors
/// When a study has no trial, no run can be fitted to, or one cannot be replayed.
pub fn calibrate_set(
    loaded: &Loaded,
    gpu: &GpuPreset,
    model: &ModelShape,
    options: &CalibrationOptions,
    progress: &dyn Fn(u64, u64),
) -> Result<Calibration, CalibrateSetError> {
    let (runs, mut skipped) = match &options.study {
        Some(study) => runs_of(loaded, study)?,
        None => measured_runs(loaded),
    };
    let mut others = Vec::new();
    for study in &options.beside {
        let (runs, left) = runs_of(loaded, study)?;
        others.push(runs);
        skipped.extend(left);
    }
    let beside: Vec<&[MeasuredRun]> = others.iter().map(Vec::as_slice).collect();
    let fitted_to = options.fitted_to(runs.len(), &beside, model);
    let server = gpu.server(model.clone());
    let before = runs.iter().map(|run| run.replay(&server)).collect::<Result<Vec<_>, _>>()?;
    let some = options.runs.map_or(runs.len(), |some| some.min(runs.len()));
    let leaves_each_out = some == runs.len() && runs.len() > 1;
    let fits = if leaves_each_out { 1 + runs.len() as u64 } else { 1 };
    progress(0, fits);
    let chosen = spread(some, runs.len());
    let given: Vec<MeasuredRun> = chosen.iter().map(|&i| runs[i].clone()).collect();
    let CalibratedPreset { preset, coefficients, .. } =
        calibrate(gpu, model, &given, &beside, &fitted_to)?;
    progress(1, fits);
    let server = preset.server(model.clone());
    let after = runs.iter().map(|run| run.replay(&server)).collect::<Result<Vec<_>, _>>()?;
    let left_out: Vec<Option<RunFigures>> = if leaves_each_out {
        (2..)
            .zip(cross_validate(gpu, model, &runs, &beside))
            .map(|(done, figures)| {
                progress(done, fits);
                figures.map(Some)
            })
            .collect::<Result<_, _>>()?
    } else {
        let unseen =
            |(i, figures): (usize, &RunFigures)| (!chosen.contains(&i)).then(|| figures.clone());
        after.iter().enumerate().map(unseen).collect()
    };
    let figures = before.into_iter().zip(after).zip(left_out);
    let runs = runs.into_iter().zip(figures).map(|(run, ((before, after), left_out))| {
        let (name, measured) = (run.name().to_owned(), run.measured().clone());
        ComparedRun { name, measured, before, after, left_out }
    });
    Ok(Calibration { preset, runs: runs.collect(), coefficients, skipped })
}

/// The runs of one study, which may be all that ran on one machine.
fn runs_of(
    loaded: &Loaded,
    study: &str,
) -> Result<(Vec<MeasuredRun>, Vec<SkippedTrial>), CalibrateSetError> {
    if loaded.set.study(study).next().is_none() {
        let known = loaded.set.manifest.studies.iter().map(|study| study.name.clone());
        let (study, known) = (study.to_owned(), known.collect());
        return Err(CalibrateSetError::NoStudy { study, known });
    }
    Ok(runs::of_studies(loaded, |name| name == study))
}

/// So many positions, spread evenly over all.
fn spread(some: usize, all: usize) -> Vec<usize> {
    (0..some).map(|i| i * all / some).collect()
}

fn as_text<S: Serializer>(skipped: &[SkippedTrial], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(skipped.iter().map(ToString::to_string))
}

impl CalibrationOptions {
    /// What a preset says that it was fitted to, of so many runs.
    fn fitted_to(&self, runs: usize, beside: &[&[MeasuredRun]], model: &ModelShape) -> String {
        let runs = self.runs.map_or(runs, |some| runs.min(some));
        let study = self.study.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let beside = self.beside.iter().zip(beside).fold(String::new(), |all, (name, runs)| {
            format!("{all}, beside {} of {name}", runs.len())
        });
        format!("{runs} runs of {}{study} serving {}{beside}", self.set, model.name)
    }
}

impl Calibration {
    /// The median, over the runs where it is known, of how far a metric is from what was measured, as a
    /// share of it.
    pub fn median_error(
        &self,
        metric: Metric,
        figures: impl Fn(&ComparedRun) -> Option<&RunFigures>,
    ) -> Option<f64> {
        let error = |run: &ComparedRun| figures(run)?.relative_error(&run.measured, metric);
        let mut errors: Vec<f64> = self.runs.iter().filter_map(error).map(f64::abs).collect();
        errors.sort_by(f64::total_cmp);
        percentile(&errors, 50.0)
    }
}

/// Why a preset cannot be fitted to a result set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateSetError {
    /// A study has no trial, or does not exist.
    #[error("no trial is of study `{study}`; there are {}", .known.join(", "))]
    NoStudy {
        /// Its name.
        study: String,
        /// The studies of the set.
        known: Vec<String>,
    },
    /// The runs cannot be fitted to.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
}
