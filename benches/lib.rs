//! What the benches share: runs of the Week-3 scenario, those of `vllm bench serve`, and the
//! memory of a process.

mod bench_serve;

use std::{fs, ops::Range, sync::Mutex};

use slotune::{
    Finished, Observer,
    core::{History, Objective, State, Trial, sampler::Sampler},
    serving::{Progress, Silent, Stage, metrics::Metric},
};
use slotune_examples::{Error, Scenario, baseline, default_configuration};

pub use bench_serve::{BenchServe, BenchServeResult, bench_serve};

/// The option `--seeds`: FIRST..END, at least one.
///
/// # Errors
/// Text that says what to give.
pub fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let (first, end) = text.split_once("..").ok_or("give FIRST..END, such as 0..20")?;
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no seed"));
    let seeds = number(first)?..number(end)?;
    if seeds.is_empty() { Err("there is no seed in that range".to_owned()) } else { Ok(seeds) }
}

/// Largest resident set of this process so far, where there is `/proc`.
pub fn peak_memory_mib() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// The objective of the scenario, whose targets follow from its baseline.
///
/// # Errors
/// When the baseline cannot be measured.
pub fn objective(scenario: &Scenario) -> Result<Objective, Error> {
    let any = Objective::minimise(Metric::from_name("e2e_p95_s")?);
    let mut tuner = scenario.tuner(
        &any,
        Box::new(slotune::core::sampler::Random),
        0,
        History::new(),
        &[baseline()],
    )?;
    tuner.run_blocking(1, &Silent)?;
    let measurement = tuner.study().history().entries()[0].measurement().cloned();
    scenario.objective(&measurement.ok_or("the baseline was not measured")?)
}

/// Where a study stands after a trial.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The best feasible objective, seconds.
    pub best: Option<f64>,
    /// Server time of all trials so far, seconds.
    pub cost_s: f64,
    /// How many of them were pruned.
    pub pruned: usize,
}

/// Where a study that begins with vLLM's default stands after each trial, of which some are pruned by an
/// opening of so many requests, if any.
///
/// # Errors
/// When the study cannot be run.
pub fn incumbents(
    scenario: &Scenario,
    objective: &Objective,
    sampler: Box<dyn Sampler>,
    seed: u64,
    trials: usize,
    pruning: Option<u32>,
) -> Result<Vec<Standing>, Error> {
    let given = [default_configuration()];
    let mut tuner = scenario.tuner(objective, sampler, seed, History::new(), &given)?;
    if let Some(requests) = pruning {
        tuner = tuner.pruning_after(requests)?;
    }
    let curve = Curve::default();
    tuner.run_blocking(trials, &curve)?;
    Ok(curve.0.into_inner()?)
}

/// Notes where the study stands after each trial.
#[derive(Default)]
struct Curve(Mutex<Vec<Standing>>);

impl Progress for Curve {
    fn stage(&self, _: Stage) {}
}

impl Observer for Curve {
    fn begun(&self, _: &Trial) {}

    fn finished(&self, finished: &Finished<'_>) -> Result<(), Error> {
        let best = finished.history.best(finished.objective);
        let best = best.and_then(|best| best.measurement()?.value(&finished.objective.metric));
        let cost_s = match finished.entry.state {
            State::Told { cost, .. } => cost,
            State::Pending => 0.0,
        };
        let mut curve = self.0.lock().map_err(|error| error.to_string())?;
        let before = curve.last().map_or((0.0, 0), |standing| (standing.cost_s, standing.pruned));
        let pruned = before.1 + usize::from(finished.entry.is_pruned());
        curve.push(Standing { best, cost_s: before.0 + cost_s, pruned });
        Ok(())
    }
}
