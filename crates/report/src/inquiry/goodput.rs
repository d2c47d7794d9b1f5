//! Goodput for limits that nobody had thought of when the trials ran.

use slotune_core::{Measurement, Outcome, State};
use slotune_results::{Fault, Loaded, ResultSet, StoredTrial};
use slotune_serving::metrics::{MeasureError, MeasureOptions, Metric, Slo, measure};

/// The set with the goodput of each completed trial under these limits, from its requests. Where a
/// trial's requests were not kept, its goodput is unknown, whatever was stored.
///
/// Trials are read one after the other and let go, so it takes the memory of the largest.
///
/// # Errors
/// When stored requests cannot be read or contradict themselves, or a limit is no positive number.
pub fn with_goodput(mut loaded: Loaded, slo: &Slo) -> Result<ResultSet, GoodputError> {
    let goodputs = loaded
        .set
        .trials
        .iter()
        .map(|trial| goodput(&loaded, trial, slo))
        .collect::<Result<Vec<_>, _>>()?;
    let goodput_name = Metric::Goodput.name();
    for (trial, goodput) in loaded.set.trials.iter_mut().zip(goodputs) {
        let State::Told { outcome: Outcome::Completed(measurement), .. } = &mut trial.entry.state
        else {
            continue;
        };
        let others = measurement.iter().filter(|(metric, _)| *metric != goodput_name);
        let kept = others.fold(Measurement::new(), |all, (metric, estimate)| {
            all.with_estimate(metric, estimate)
        });
        *measurement = match goodput {
            Some(goodput) => kept.with(Metric::Goodput, goodput),
            None => kept,
        };
    }
    Ok(loaded.set)
}

fn goodput(loaded: &Loaded, trial: &StoredTrial, slo: &Slo) -> Result<Option<f64>, GoodputError> {
    if trial.entry.measurement().is_none() {
        return Ok(None);
    }
    let Some(run) = loaded.run(trial)? else { return Ok(None) };
    // How well it is known would take many times as long to say.
    let options = MeasureOptions { slo: *slo, replicates: 0, ..MeasureOptions::default() };
    Ok(measure(&run, &options)?.value(&Metric::Goodput.name()))
}

/// Why goodput cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GoodputError {
    /// Stored requests cannot be read.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// They contradict themselves, or a limit is no positive number.
    #[error(transparent)]
    Measure(#[from] MeasureError),
}
