//! From a result set to runs that the simulator can replay.

use slotune_core::TrialId;
use slotune_results::{Fault, Loaded};
use slotune_sim::{CalibrationError, EngineCounts, MeasuredRun};

/// The runs of a result set that the simulator can replay and be calibrated from, and the trials that give
/// none, each with the reason.
///
/// A run is called by its study and its label or number.
///
/// ```
/// let loaded = slotune::results::ResultSet::read("../../datasets/h100_qwen2.5_7b_grid")?;
/// let (runs, skipped) = slotune::calibration::measured_runs(&loaded);
/// assert_eq!((runs.len(), skipped.len()), (16, 0));
/// assert_eq!(runs[0].name(), "first-machine/nocompile_s1024_b8192_u92_chat25");
/// # Ok::<(), slotune::results::ReadError>(())
/// ```
pub fn measured_runs(loaded: &Loaded) -> (Vec<MeasuredRun>, Vec<SkippedTrial>) {
    of_studies(loaded, |_| true)
}

/// The same of the studies that are wanted.
pub(super) fn of_studies(
    loaded: &Loaded,
    is_wanted: impl Fn(&str) -> bool,
) -> (Vec<MeasuredRun>, Vec<SkippedTrial>) {
    let (mut runs, mut skipped) = (Vec::new(), Vec::new());
    for trial in loaded.set.trials.iter().filter(|trial| is_wanted(&trial.study)) {
        let id = trial.entry.trial.id;
        let run = || {
            let server = trial.server.as_ref().ok_or(SkipReason::NoRun)?;
            let kv_blocks = server.kv_blocks.ok_or(SkipReason::NoBlocks)?;
            let records = loaded
                .requests(&trial.study, id)
                .map_err(SkipReason::Fault)?
                .ok_or(SkipReason::NoRequests)?;
            let name = trial.label.clone().unwrap_or_else(|| id.to_string());
            let name = format!("{}/{name}", trial.study);
            let arguments = server.arguments.clone();
            let counts =
                EngineCounts { steps: server.engine_steps, preemptions: server.preemptions };
            let run = MeasuredRun::new(name, arguments, kv_blocks, counts, &records);
            run.map_err(SkipReason::Unsuitable)
        };
        match run() {
            Ok(run) => runs.push(run),
            Err(reason) => {
                skipped.push(SkippedTrial { study: trial.study.clone(), trial: id, reason });
            }
        }
    }
    (runs, skipped)
}

/// A trial that the simulator cannot be compared with.
#[derive(Debug, thiserror::Error)]
#[error("study {study} trial {trial}: {reason}")]
pub struct SkippedTrial {
    /// Its study.
    pub study: String,
    /// Its number.
    pub trial: TrialId,
    /// Why.
    pub reason: SkipReason,
}

/// Why a trial cannot be compared with the simulator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// No server ran.
    #[error("it did not run")]
    NoRun,
    /// The server did not tell its memory.
    #[error("the number of its KV-cache blocks is not known")]
    NoBlocks,
    /// Its requests were not kept.
    #[error("its requests were not kept")]
    NoRequests,
    /// Its requests cannot be read.
    #[error(transparent)]
    Fault(Fault),
    /// They are not those of a whole run.
    #[error(transparent)]
    Unsuitable(CalibrationError),
}
