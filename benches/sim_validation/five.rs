//! What five runs are enough for: calibration from a few runs, judged by the others.

use std::fmt::Write as _;

use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};
use slotune::{
    core::random::stream,
    sim::{Coefficient, GpuPreset, KEPT, MeasuredRun, ModelShape, RunFigures, TARGETS, calibrate},
};

use crate::{
    Error,
    page::percent,
    replay::{H200_MACHINES, MACHINES, Replays, median},
};

/// Runs that are fitted to.
const GIVEN: usize = 5;

/// Random choices of them.
const CHOICES: u64 = 10;

/// Deviation of the logarithm of the factors by which a preset is made wrong.
const DISPLACEMENT: f64 = 0.25;

/// The section on calibration.
pub(crate) fn section(replays: &Replays) -> Result<String, Error> {
    let [first, second] = MACHINES.map(|machine| replays.of_machine(machine));
    let both = [first.clone(), second.clone()].concat();
    let fourth = replays.of_machine("fourth-machine");
    let [_, sixth] = H200_MACHINES.map(|machine| replays.of_machine(machine));
    let mut text = format!(
        "## Calibrated from five runs\n\n\
         `slotune calibrate RESULTS --out mine.toml` fits the preset to runs of a machine. Below it was \
         given {GIVEN} runs, and all others of their row are predicted: medians of absolute errors over \
         those others and {CHOICES} random choices of the {GIVEN}, in %, and in brackets the worst. \
         *Before* is the preset that it started from, on the same runs. *Displaced* presets have each \
         coefficient multiplied by a random factor (log-normal, {DISPLACEMENT} of deviation), another for \
         each choice: a machine that is not known.\n\n\
         | runs of | start | | mean E2E | P99 E2E | mean TPOT | mean TTFT | P95 TTFT |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    let bars: Vec<String> = TARGETS.iter().map(|(_, bar)| format!("{:.0}", 100.0 * bar)).collect();
    writeln!(text, "| | | **bar** | {} |", bars.join(" | "))?;
    let sets = [
        ("the first machine", &first, &replays.preset),
        ("the second machine", &second, &replays.preset),
        ("both, mixed", &both, &replays.preset),
        ("the fourth machine", &fourth, &replays.preset),
        ("the sixth machine (H200)", &sixth, &replays.h200_preset),
    ];
    for (displaced, start) in [(false, "shipped"), (true, "displaced")] {
        for (name, runs, preset) in sets {
            let judged = judge(preset, &replays.model, runs, displaced, CHOICES)?;
            for (what, errors) in [("before", &judged.before), ("**after**", &judged.after)] {
                let cells: Vec<String> = (0..TARGETS.len())
                    .map(|place| {
                        let of = || errors.iter().map(|run| run[place]);
                        let worst = of().map(f64::abs).fold(0.0, f64::max);
                        format!(
                            "{} ({:.0})",
                            percent(median(of())).trim_start_matches('+'),
                            100.0 * worst
                        )
                    })
                    .collect();
                writeln!(text, "| {name} | {start} | {what} | {} |", cells.join(" | "))?;
            }
        }
    }
    text.push_str(READING);
    Ok(text)
}

pub(crate) const READING: &str = include_str!("five.md");

/// Errors of runs that were not fitted to, by target.
struct Judged {
    before: Vec<[f64; TARGETS.len()]>,
    after: Vec<[f64; TARGETS.len()]>,
}

fn judge(
    shipped: &GpuPreset,
    model: &ModelShape,
    runs: &[MeasuredRun],
    displaced: bool,
    choices: u64,
) -> Result<Judged, Error> {
    let mut judged = Judged { before: vec![], after: vec![] };
    for choice in 0..choices {
        let mut shuffled = runs.to_vec();
        shuffled.shuffle(&mut stream(choice, "benches/five-runs", 0));
        let (given, others) = shuffled.split_at(GIVEN);
        let preset = if displaced { displace(shipped, choice)? } else { shipped.clone() };
        let fitted = calibrate(&preset, model, given, &[], "five runs")?.preset;
        for run in others {
            judged.before.push(errors(run, &preset, model)?);
            judged.after.push(errors(run, &fitted, model)?);
        }
    }
    Ok(judged)
}

fn errors(
    run: &MeasuredRun,
    preset: &GpuPreset,
    model: &ModelShape,
) -> Result<[f64; TARGETS.len()], Error> {
    let figures: RunFigures = run.replay(&preset.server(model.clone()))?;
    Ok(TARGETS
        .map(|(metric, _)| figures.relative_error(run.measured(), metric).unwrap_or(f64::NAN)))
}

/// The preset with every rate and cost off by a random factor.
fn displace(preset: &GpuPreset, seed: u64) -> Result<GpuPreset, Error> {
    let mut displaced = preset.clone();
    let mut generator = stream(seed, "benches/displaced-preset", 0);
    for number in &preset.coefficients {
        let normal: f64 = StandardNormal.sample(&mut generator);
        if !KEPT.contains(&number.name.as_str()) {
            let value = number.value * (DISPLACEMENT * normal).exp();
            displaced.set(Coefficient { value, ..number.clone() })?;
        }
    }
    Ok(displaced)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Of a machine whose every coefficient is off, five runs are enough to
    /// know the others within the bars.
    #[test]
    fn five_runs_of_the_first_machine_are_enough_for_its_others() {
        let datasets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets");
        let replays = Replays::new(&datasets).expect("they are sets");
        let runs = replays.of_machine(MACHINES[0]);
        let judged =
            judge(&replays.preset, &replays.model, &runs, true, 3).expect("it can be fitted");
        for (place, (metric, bar)) in TARGETS.into_iter().enumerate() {
            let of = |errors: &[[f64; TARGETS.len()]]| {
                median(errors.iter().map(|run| run[place])).expect("there are runs")
            };
            let (before, after) = (of(&judged.before), of(&judged.after));
            assert!(after < bar && after < before, "{metric}: {before} before, {after} after");
        }
    }
}
