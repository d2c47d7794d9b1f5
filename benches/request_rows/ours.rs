//! The analysis as slotune does it.

use std::path::Path;

use slotune::{
    results::ResultSet,
    serving::metrics::{MeasureOptions, measure},
};

use crate::{Answer, Error, SLO};

/// The metrics of each trial, one trial after the other.
pub(crate) fn analyse(folder: &Path) -> Result<Answer, Error> {
    let loaded = ResultSet::read(folder)?;
    let options = MeasureOptions { slo: SLO, replicates: 0, ..MeasureOptions::default() };
    let trials = loaded.set.trials.iter().map(|trial| {
        let run = loaded.run(trial)?.ok_or("its requests were not kept")?;
        let measurement = measure(&run, &options)?;
        Ok(measurement.iter().map(|(name, estimate)| (name.to_owned(), estimate.value)).collect())
    });
    trials.collect()
}
