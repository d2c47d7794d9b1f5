//! Every measured run, replayed with the shipped preset.

use std::{ops::Deref, path::Path};

use slotune::{
    calibration::measured_runs,
    results::ResultSet,
    serving::metrics::{Metric, Statistic, percentile},
    sim::{GpuPreset, MeasuredRun, ModelPreset, ModelShape, RunFigures, ServerModel},
};

use crate::Error;

/// The studies of the set, one a machine.
pub(crate) const MACHINES: [&str; 2] = ["first-machine", "second-machine"];

/// The studies of the set of the H200, one a machine.
pub(crate) const H200_MACHINES: [&str; 2] = ["fifth-machine", "sixth-machine"];

/// What the picture shows: heading, unit, metric, and how many units a second is.
pub(crate) const PICTURED: [(&str, &str, Metric, f64); 3] = [
    ("P95 E2E latency", "s", Metric::E2e(Statistic::P95), 1.0),
    ("Mean TPOT", "ms", Metric::Tpot(Statistic::Mean), 1e3),
    ("Mean TTFT", "ms", Metric::Ttft(Statistic::Mean), 1e3),
];

/// Measured latencies that differ by less are noise.
const NOISE: f64 = 0.05;

/// All runs, and what they were replayed on.
pub(crate) struct Replays {
    pub(crate) preset: GpuPreset,
    pub(crate) model: ModelShape,
    pub(crate) runs: Vec<Replay>,
    /// Those of machines that nothing was fitted to.
    pub(crate) third: Vec<Replay>,
    pub(crate) fourth: Vec<Replay>,
    /// Those of two machines with an H200, on its preset.
    pub(crate) h200: Vec<Replay>,
    pub(crate) h200_preset: GpuPreset,
}

/// A measured run, and what the simulator says of it.
pub(crate) struct Replay {
    run: MeasuredRun,
    pub(crate) predicted: RunFigures,
}

impl Deref for Replay {
    type Target = MeasuredRun;

    fn deref(&self) -> &MeasuredRun {
        &self.run
    }
}

impl Replays {
    /// The shipped preset's answers to the result sets in this folder.
    pub(crate) fn new(datasets: &Path) -> Result<Self, Error> {
        let preset = GpuPreset::named("h100-sxm")?;
        let model = ModelPreset::named("qwen2.5-7b")?.shape;
        let h100 = preset.server(model.clone());
        let h200_preset = GpuPreset::named("h200")?;
        let replayed = |set: &str, server: &ServerModel| -> Result<Vec<Replay>, Error> {
            let (runs, skipped) = measured_runs(&ResultSet::read(datasets.join(set))?);
            if let Some(trial) = skipped.first() {
                return Err(trial.to_string().into());
            }
            let replayed = |run: MeasuredRun| Ok(Replay { predicted: run.replay(server)?, run });
            runs.into_iter().map(replayed).collect()
        };
        let runs = replayed("h100_qwen2.5_7b_grid", &h100)?;
        let third = replayed("h100_qwen2.5_7b_chat", &h100)?;
        let fourth = replayed("h100_qwen2.5_7b_repeats", &h100)?;
        let h200 = replayed("h200_qwen2.5_7b_grid", &h200_preset.server(model.clone()))?;
        Ok(Self { preset, model, runs, third, fourth, h200, h200_preset })
    }

    /// Measured runs of one machine.
    pub(crate) fn of_machine(&self, machine: &str) -> Vec<MeasuredRun> {
        let all = self.runs.iter().chain(&self.fourth).chain(&self.h200);
        all.filter(|run| run.machine() == machine).map(|run| run.run.clone()).collect()
    }
}

/// How well configurations were ordered.
pub(crate) struct Order {
    /// Pairs of configurations in the right order, by P95 E2E latency.
    pub(crate) right: u32,
    /// Pairs whose measured latency differs by more than noise.
    pub(crate) pairs: u32,
    /// For each workload, how much longer the configuration that the simulator likes best takes than the
    /// best.
    pub(crate) regrets: Vec<f64>,
}

impl Order {
    /// How the simulator orders the configurations of one workload on one machine.
    pub(crate) fn of(runs: &[Replay]) -> Self {
        let p95 = Metric::E2e(Statistic::P95);
        let of = |figures: &RunFigures| figures.value(p95).unwrap_or(f64::NAN);
        let mut order = Self { right: 0, pairs: 0, regrets: vec![] };
        let mut workloads: Vec<(&str, &str)> =
            runs.iter().map(|run| (run.machine(), run.workload())).collect();
        workloads.sort_unstable();
        workloads.dedup();
        for workload in workloads {
            let group: Vec<(f64, f64)> = runs
                .iter()
                .filter(|run| (run.machine(), run.workload()) == workload)
                .map(|run| (of(run.measured()), of(&run.predicted)))
                .collect();
            if group.len() < 2 {
                continue;
            }
            for (i, a) in group.iter().enumerate() {
                for b in &group[..i] {
                    if (a.0 / b.0).ln().abs() > (1.0 + NOISE).ln() {
                        order.pairs += 1;
                        order.right += u32::from((a.0 < b.0) == (a.1 < b.1));
                    }
                }
            }
            let best = group.iter().map(|run| run.0).fold(f64::INFINITY, f64::min);
            let chosen = group.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(best, |run| run.0);
            order.regrets.push(chosen / best - 1.0);
        }
        order
    }
}

impl Replay {
    pub(crate) fn machine(&self) -> &str {
        self.name().split('/').next().unwrap_or_default()
    }

    /// The run's name without the machine's.
    pub(crate) fn label(&self) -> &str {
        self.name().rsplit('/').next().unwrap_or_default()
    }

    /// What comes after the arguments in its label.
    fn workload(&self) -> &str {
        self.label().split('_').nth(4).unwrap_or_default()
    }

    pub(crate) fn error(&self, metric: Metric) -> Option<f64> {
        self.predicted.relative_error(self.measured(), metric)
    }

    pub(crate) fn steps_error(&self) -> Option<f64> {
        let (simulated, measured) =
            (self.predicted.counts().steps?, self.measured().counts().steps?);
        Some(simulated as f64 / measured as f64 - 1.0)
    }
}

/// The median of absolute errors.
pub(crate) fn median(errors: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut errors: Vec<f64> = errors.into_iter().map(f64::abs).collect();
    errors.sort_by(f64::total_cmp);
    percentile(&errors, 50.0)
}
