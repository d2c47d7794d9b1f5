//! A measured run, and the same run simulated.

use serde::{Serialize, Serializer};
use slotune_serving::{
    EngineArguments, RequestRecord, Run, Schedule, ServerFacts,
    metrics::{MeasureOptions, Metric, measure},
};

use super::CalibrationError;
use crate::{RunOptions, ServerModel, simulate};

/// A run of a real server, all of whose requests completed.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredRun {
    name: String,
    arguments: EngineArguments,
    kv_blocks: u64,
    schedule: Schedule,
    measured: RunFigures,
}

/// What a run came to, measured or simulated. Latencies count from when a request was really sent: how
/// late the client was is not the simulator's to know.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFigures {
    values: Vec<(Metric, f64)>,
    counts: EngineCounts,
}

/// What an engine counted over a run, where it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineCounts {
    /// Its steps.
    pub steps: Option<u64>,
    /// Requests that lost their KV-cache blocks to others, each time they did.
    pub preemptions: Option<u64>,
}

impl MeasuredRun {
    /// A run called `name`, of a server with these arguments and `kv_blocks` KV-cache blocks.
    ///
    /// # Errors
    /// [`CalibrationError`] where a request did not complete, or a record contradicts itself.
    pub fn new(
        name: impl Into<String>,
        arguments: EngineArguments,
        kv_blocks: u64,
        counts: EngineCounts,
        records: &[RequestRecord],
    ) -> Result<Self, CalibrationError> {
        let name = name.into();
        let count = records.iter().filter(|record| !record.is_completed()).count();
        if count > 0 {
            return Err(CalibrationError::Incomplete { run: name, count, requests: records.len() });
        }
        let records: Vec<RequestRecord> = records
            .iter()
            .map(|record| RequestRecord { intended_s: record.sent_s, ..record.clone() })
            .collect();
        let schedule = Schedule::replaying(&records);
        let measured = RunFigures::new(&name, records, counts)?;
        Ok(Self { name, arguments, kv_blocks, schedule, measured })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was measured.
    pub fn measured(&self) -> &RunFigures {
        &self.measured
    }

    /// The same run on a simulated server, without noise.
    ///
    /// # Errors
    /// [`CalibrationError::Input`] where the server or its arguments cannot be simulated,
    /// [`CalibrationError::Measure`] where nothing completes on it.
    pub fn replay(&self, server: &ServerModel) -> Result<RunFigures, CalibrationError> {
        let arguments = server.resolve(&self.arguments);
        let options = RunOptions::default();
        let run = simulate(server, &arguments, self.kv_blocks, &self.schedule, &options)
            .map_err(|problem| CalibrationError::Input { run: self.name.clone(), problem })?;
        let counts = EngineCounts {
            steps: Some(run.totals.engine_steps),
            preemptions: Some(run.totals.preemptions),
        };
        RunFigures::new(&self.name, run.records, counts)
    }
}

impl RunFigures {
    fn new(
        name: &str,
        records: Vec<RequestRecord>,
        counts: EngineCounts,
    ) -> Result<Self, CalibrationError> {
        let end_s = records.iter().filter_map(|record| record.last_token_s).fold(0.0, f64::max);
        let run = Run {
            records,
            end_s,
            cost_s: 0.0,
            server: ServerFacts::default(),
            timeline: vec![],
            client: None,
            caveats: vec![],
        };
        let options = MeasureOptions { replicates: 0, ..MeasureOptions::default() };
        let measurement = measure(&run, &options)
            .map_err(|problem| CalibrationError::Measure { run: name.to_owned(), problem })?;
        let values = Metric::all()
            .filter_map(|metric| Some((metric, measurement.value(&metric.name())?)))
            .collect();
        Ok(Self { values, counts })
    }

    /// A metric, in its unit; `None` where it is undefined for the run.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.values.iter().find(|(known, _)| *known == metric).map(|(_, value)| *value)
    }

    /// What the engine counted.
    pub fn counts(&self) -> EngineCounts {
        self.counts
    }

    /// How far a metric is from that of `truth`, as a share of it; `None` where it is undefined in one,
    /// or not above 0.
    pub fn relative_error(&self, truth: &Self, metric: Metric) -> Option<f64> {
        let (value, truth) = (self.value(metric)?, truth.value(metric)?);
        (value > 0.0 && truth > 0.0).then(|| value / truth - 1.0)
    }
}

/// As a map from the metrics' names to their values.
impl Serialize for RunFigures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.values.iter().map(|(metric, value)| (metric.name(), value)))
    }
}
