//! The words and tables of the page.

use std::fmt::Write as _;

use slotune::{
    serving::metrics::{Metric, Statistic},
    sim::{GpuPreset, TARGETS},
};

use crate::{
    Error,
    replay::{H200_MACHINES, MACHINES, Order, Replay, Replays, median},
};

pub(crate) const INTRODUCTION: &str = include_str!("introduction.md");
pub(crate) const NOT_MODELLED: &str = include_str!("not_modelled.md");

/// What is compared, and how it is written: heading, metric, units of a second (0 for a rate), decimals.
const COMPARED: [(&str, Metric, f64, usize); 8] = [
    ("E2E mean, s", Metric::E2e(Statistic::Mean), 1.0, 3),
    ("E2E P50, s", Metric::E2e(Statistic::P50), 1.0, 3),
    ("E2E P95, s", Metric::E2e(Statistic::P95), 1.0, 3),
    ("E2E P99, s", Metric::E2e(Statistic::P99), 1.0, 3),
    ("TPOT mean, ms", Metric::Tpot(Statistic::Mean), 1e3, 2),
    ("TTFT mean, ms", Metric::Ttft(Statistic::Mean), 1e3, 1),
    ("TTFT P95, ms", Metric::Ttft(Statistic::P95), 1e3, 1),
    ("output, tok/s", Metric::OutputThroughput, 1.0, 0),
];

/// An error as a percentage with its sign.
pub(crate) fn percent(error: Option<f64>) -> String {
    error.map_or("–".to_owned(), |error| format!("{:+.1}", 100.0 * error))
}

/// The numbers of the measured preset.
pub(crate) fn coefficients() -> Result<String, Error> {
    let mut text = "### Coefficients of the H100\n\n\
                    From `crates/sim/presets/gpus/h100-sxm.toml`, where each number has its source.\n\n\
                    | coefficient | value | status |\n|---|---|---|\n"
        .to_owned();
    for number in GpuPreset::named("h100-sxm")?.coefficients {
        writeln!(text, "| `{}` | {} | {} |", number.name, number.value, number.status)?;
    }
    Ok(text)
}

/// What the simulator says of every run.
pub(crate) fn runs(replays: &Replays) -> Result<String, std::fmt::Error> {
    let mut text = include_str!("runs.md").to_owned();
    text.push_str(&head());
    for machine in MACHINES {
        write!(text, "\n| *{}* |", machine.replace('-', " "))?;
        text.push_str(&" |".repeat(COMPARED.len() + 1));
        for run in replays.runs.iter().filter(|run| run.machine() == machine) {
            text.push_str(&row(run.label(), run));
        }
    }
    text.push_str(&far_off(replays.runs.iter()));
    text.push_str("\n\n### Against the bars\n\n");
    text.push_str("Absolute errors in %: the median over runs, and the worst.\n\n| | bar |");
    for machine in MACHINES {
        write!(text, " {} |", machine.replace('-', " "))?;
    }
    text.push_str(" all |\n|---|---|---|---|---|\n");
    for (metric, bar) in TARGETS {
        write!(text, "| {} | {:.0} |", metric.label(), 100.0 * bar)?;
        for machine in [Some(MACHINES[0]), Some(MACHINES[1]), None] {
            let of = |run: &&Replay| machine.is_none_or(|machine| run.machine() == machine);
            text.push_str(&median_and_worst(&replays.runs.iter().filter(of), metric));
        }
        text.push('\n');
    }
    text.push_str(&order(&replays.runs)?);
    text.push_str("\n![Simulated against measured latency](images/simulator_agreement.png)\n");
    Ok(text)
}

/// What the simulator says of machines that it was not fitted to.
pub(crate) fn held_out(replays: &Replays) -> Result<String, std::fmt::Error> {
    let mut text = include_str!("held_out.md").to_owned();
    text.push_str(&head());
    for (machine, runs) in [("third", &replays.third), ("fourth", &replays.fourth)] {
        write!(text, "\n| *{machine} machine* |")?;
        text.push_str(&" |".repeat(COMPARED.len() + 1));
        for run in runs {
            text.push_str(&row(run.name(), run));
        }
    }
    let both = || replays.third.iter().chain(&replays.fourth);
    text.push_str(&far_off(both()));
    text.push_str("\n\n| | bar | third machine | fourth machine | both |\n|---|---|---|---|---|\n");
    for (metric, bar) in TARGETS {
        write!(text, "| {} | {:.0} |", metric.label(), 100.0 * bar)?;
        text.push_str(&median_and_worst(&replays.third.iter(), metric));
        text.push_str(&median_and_worst(&replays.fourth.iter(), metric));
        text.push_str(&median_and_worst(&both(), metric));
        text.push('\n');
    }
    text.push_str(&order(&replays.fourth)?);
    text.push_str(include_str!("preemption.md"));
    for run in &replays.fourth {
        let [simulated, measured] =
            [run.predicted.counts(), run.measured().counts()].map(|counts| counts.preemptions);
        if let (Some(simulated), Some(measured @ 1..)) = (simulated, measured) {
            writeln!(text, "| `{}` | {simulated} / {measured} |", run.label())?;
        }
    }
    text.push_str(include_str!("one_factor.md"));
    Ok(text)
}

/// What the simulator says of machines with another GPU.
pub(crate) fn other_gpu(replays: &Replays) -> Result<String, std::fmt::Error> {
    let mut text = include_str!("other_gpu.md").to_owned();
    text.push_str(&head());
    let of =
        |machine: &'static str| replays.h200.iter().filter(move |run| run.machine() == machine);
    for machine in H200_MACHINES {
        write!(text, "\n| *{}* |", machine.replace('-', " "))?;
        text.push_str(&" |".repeat(COMPARED.len() + 1));
        for run in of(machine) {
            text.push_str(&row(run.label(), run));
        }
    }
    text.push_str(&far_off(replays.h200.iter()));
    text.push_str("\n\n| | bar | fifth machine | sixth machine |\n|---|---|---|---|\n");
    for (metric, bar) in TARGETS {
        write!(text, "| {} | {:.0} |", metric.label(), 100.0 * bar)?;
        for machine in H200_MACHINES {
            text.push_str(&median_and_worst(&of(machine), metric));
        }
        text.push('\n');
    }
    Ok(text)
}

/// How well the configurations of these runs are ordered.
fn order(runs: &[Replay]) -> Result<String, std::fmt::Error> {
    let order = Order::of(runs);
    let regret = order.regrets.iter().sum::<f64>() / order.regrets.len() as f64;
    let worst = order.regrets.iter().copied().fold(0.0, f64::max);
    let mut text = String::new();
    write!(
        text,
        "\n**Order.** Of {} pairs of runs that served one workload on one machine and whose \
         measured P95 E2E latencies differ by more than 5 %, {} are ordered right. With two or three \
         configurations a workload a rank correlation says little more. The configuration that the simulator \
         likes best is on average {:.1} % slower than the best one measured, at worst {:.1} %, over {} \
         workloads.\n",
        order.pairs,
        order.right,
        100.0 * regret,
        100.0 * worst,
        order.regrets.len()
    )?;
    Ok(text)
}

/// A cell: the median of the absolute errors of these runs, and the worst, in %.
fn median_and_worst<'a>(
    runs: &(impl Iterator<Item = &'a Replay> + Clone),
    metric: Metric,
) -> String {
    let errors = || runs.clone().filter_map(|run| run.error(metric));
    let worst = errors().map(f64::abs).fold(0.0, f64::max);
    let median = percent(median(errors()));
    format!(" {} ({:.1}) |", median.trim_start_matches('+'), 100.0 * worst)
}

/// How far off a run may be, by the bars.
const FAR: f64 = 0.15;

/// The runs whose E2E latency is further off than [`FAR`].
fn far_off<'a>(runs: impl Iterator<Item = &'a Replay>) -> String {
    let metrics = [Metric::E2e(Statistic::Mean), Metric::E2e(Statistic::P99)];
    let is_far = |run: &&Replay| {
        metrics.iter().any(|metric| run.error(*metric).is_some_and(|error| error.abs() > FAR))
    };
    let far: Vec<String> = runs
        .filter(is_far)
        .map(|run| {
            let [mean, p99] = metrics.map(|metric| percent(run.error(metric)));
            format!("`{}` ({mean}, {p99})", run.name())
        })
        .collect();
    let which = if far.is_empty() { "none".to_owned() } else { far.join(", ") };
    format!("\n\nMore than 15 % off in mean or P99 E2E latency: {which}.")
}

fn head() -> String {
    let headings: Vec<&str> = COMPARED.iter().map(|(heading, ..)| *heading).collect();
    let rule = "---|".repeat(COMPARED.len() + 2);
    format!("\n| run | {} | steps |\n|{rule}", headings.join(" | "))
}

fn row(label: &str, run: &Replay) -> String {
    let cells = COMPARED.map(|(_, metric, scale, decimals)| cell(run, metric, scale, decimals));
    let steps = |steps: Option<u64>| steps.map_or("–".to_owned(), |steps| steps.to_string());
    format!(
        "\n| `{label}` |{} {} / {} ({}) |",
        cells.concat(),
        steps(run.predicted.counts().steps),
        steps(run.measured().counts().steps),
        percent(run.steps_error())
    )
}

fn cell(run: &Replay, metric: Metric, scale: f64, decimals: usize) -> String {
    let value = |value: Option<f64>| {
        value.map_or("–".to_owned(), |value| format!("{:.decimals$}", scale * value))
    };
    format!(
        " {} / {} ({}) |",
        value(run.predicted.value(metric)),
        value(run.measured().value(metric)),
        percent(run.error(metric))
    )
}
