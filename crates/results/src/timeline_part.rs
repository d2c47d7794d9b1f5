//! What the server was seen to do during a trial, as a table, one row a look.

use slotune_core::TrialId;
use slotune_serving::ServerSample;

use crate::{
    PartProblem,
    table::{Columns, Table},
};

/// The samples as a table.
pub(crate) fn write(study: &str, trial: TrialId, samples: &[ServerSample]) -> Table {
    fn each<T>(samples: &[ServerSample], value: impl Fn(&ServerSample) -> T) -> Vec<Option<T>> {
        samples.iter().map(|sample| Some(value(sample))).collect()
    }
    // Counters of a server come nowhere near 2^63.
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let mut table = Table::default();
    table.add("study", each(samples, |_| study.to_owned()));
    table.add("trial", each(samples, |_| trial.0));
    table.add("time_s", each(samples, |sample| sample.time_s));
    table.add("running", each(samples, |sample| i64::from(sample.running)));
    table.add("waiting", each(samples, |sample| i64::from(sample.waiting)));
    table.add("kv_cache_usage", each(samples, |sample| sample.kv_cache_usage));
    table.add("output_tokens", each(samples, |sample| count(sample.output_tokens)));
    table.add("preemptions", each(samples, |sample| count(sample.preemptions)));
    table
}

/// The samples of a table, which must be of this trial.
pub(crate) fn read(
    mut columns: Columns,
    study: &str,
    trial: TrialId,
) -> Result<Vec<ServerSample>, PartProblem> {
    columns.take_owners(study, trial)?;
    let time_s: Vec<f64> = columns.take_full("time_s")?;
    let running = columns.take_counts("running")?;
    let waiting = columns.take_counts("waiting")?;
    let kv_cache_usage = columns.take_full("kv_cache_usage")?;
    let output_tokens = columns.take_counts("output_tokens")?;
    let preemptions = columns.take_counts("preemptions")?;
    columns.finish()?;
    let sample = |row: usize| ServerSample {
        time_s: time_s[row],
        running: running[row],
        waiting: waiting[row],
        kv_cache_usage: kv_cache_usage[row],
        output_tokens: output_tokens[row],
        preemptions: preemptions[row],
    };
    Ok((0..time_s.len()).map(sample).collect())
}
