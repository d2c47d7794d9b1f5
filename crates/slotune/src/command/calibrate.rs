//! `slotune calibrate`: a GPU preset fitted to a result set.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::{Map, Value, json};
use slotune::{
    measured_runs, measured_runs_of,
    serving::metrics::Metric,
    sim::{
        CalibratedPreset, GpuPreset, LARGEST_FACTOR, MeasuredRun, ModelPreset, ModelShape,
        RunFigures, TARGETS, calibrate, cross_validate,
    },
};

use super::{Error, read};

const EXAMPLE: &str = "\
Example:
  slotune calibrate datasets/h100_qwen2.5_7b_grid --gpu h100-sxm --model qwen2.5-7b --out mine.toml
  slotune simulate --gpu mine.toml --model qwen2.5-7b --requests requests.csv

Errors are simulated over measured latency less one, counted from when a request was sent. \"left out\" is
of a preset fitted to the other runs (and those beside) alone: expect such errors of configurations that were not measured.

JSON keys: preset (the file), runs (each with measured, before, after and left_out), coefficients (each
with before, after, told from 0 to 1, and at_bound), skipped.";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Options {
    /// Folder of a result set whose trials kept their requests
    results: PathBuf,
    /// Where to start: a GPU that `slotune simulate --list` names, or a TOML file of your own
    #[arg(long, default_value = "h100-sxm")]
    gpu: String,
    /// The model that was served: a name, or a TOML file of your own
    #[arg(long, default_value = "qwen2.5-7b")]
    model: String,
    /// Fits to this many runs, spread over the set; the others are left out [default: to all, leaving
    /// each out once]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Takes the trials of this study alone, where the set has several machines
    #[arg(long, value_name = "NAME")]
    study: Option<String>,
    /// Takes the trials of this study beside them, as of another machine: they tell of the laws, not of how
    /// fast the machine is that the preset is of; may be given several times
    #[arg(long, value_name = "NAME", requires = "study")]
    beside: Vec<String>,
    /// File for the preset
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Prints one JSON object; see the end of --help
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Error> {
    let gpu = GpuPreset::load(&options.gpu)?;
    let model = ModelPreset::load(&options.model)?.shape;
    let loaded = read(&options.results)?;
    let of_study = |name: &String| {
        let known = &loaded.set.manifest.studies;
        if loaded.set.trials.iter().all(|trial| trial.study != *name) {
            let known: Vec<&str> = known.iter().map(|study| study.name.as_str()).collect();
            return Err(format!("no trial is of study `{name}`; there are {}", known.join(", ")));
        }
        Ok(measured_runs_of(&loaded, name))
    };
    let (runs, mut skipped) =
        options.study.as_ref().map_or_else(|| Ok(measured_runs(&loaded)), of_study)?;
    let mut others = Vec::new();
    for name in &options.beside {
        let (runs, left) = of_study(name)?;
        others.push(runs);
        skipped.extend(left);
    }
    let beside: Vec<&[MeasuredRun]> = others.iter().map(Vec::as_slice).collect();
    let fitted_to = options.fitted_to(runs.len(), &others, &model);
    let server = gpu.server(model.clone());
    let before = runs.iter().map(|run| run.replay(&server)).collect::<Result<Vec<_>, _>>()?;
    let (fitted, left_out) = match options.runs.map(|some| some as usize) {
        Some(some) if some < runs.len() => {
            fit_some(&gpu, &model, &runs, &beside, some, &fitted_to)?
        }
        _ => {
            let fitted = calibrate(&gpu, &model, &runs, &beside, &fitted_to)?;
            let left_out = if runs.len() > 1 {
                cross_validate(&gpu, &model, &runs, &beside)?.into_iter().map(Some).collect()
            } else {
                vec![None]
            };
            (fitted, left_out)
        }
    };
    fs::write(&options.out, fitted.preset.to_toml())
        .map_err(|error| format!("{}: {error}", options.out.display()))?;
    let rows: Vec<Row<'_>> = runs
        .iter()
        .zip(before)
        .zip(&fitted.figures)
        .zip(left_out)
        .map(|(((run, before), after), left_out)| Row { run, before, after, left_out })
        .collect();
    let mut out = io::stdout().lock();
    if options.json {
        let skipped: Vec<String> = skipped.iter().map(ToString::to_string).collect();
        writeln!(out, "{:#}", as_json(&options.out, &rows, &fitted, &skipped))?;
    } else {
        for trial in skipped {
            writeln!(out, "left aside: {trial}")?;
        }
        write_tables(&mut out, &rows, &fitted)?;
        writeln!(out, "\nwritten to {}", options.out.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Options {
    /// What a preset says that it was fitted to.
    fn fitted_to(&self, runs: usize, others: &[Vec<MeasuredRun>], model: &ModelShape) -> String {
        let runs = self.runs.map_or(runs, |some| runs.min(some as usize));
        let set = self.results.file_name().unwrap_or_default().to_string_lossy();
        let study = self.study.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let beside = |(name, runs): (&String, &Vec<MeasuredRun>)| {
            format!(", beside {} of {name}", runs.len())
        };
        let beside: String = self.beside.iter().zip(others).map(beside).collect();
        format!("{runs} runs of {set}{study} serving {}{beside}", model.name)
    }
}

/// Figures of the runs that were left out.
type LeftOut = Vec<Option<RunFigures>>;

/// Fits to some of the runs, spread evenly, and replays all.
fn fit_some(
    gpu: &GpuPreset,
    model: &ModelShape,
    runs: &[MeasuredRun],
    beside: &[&[MeasuredRun]],
    some: usize,
    fitted_to: &str,
) -> Result<(CalibratedPreset, LeftOut), Error> {
    let chosen: Vec<usize> = (0..some).map(|i| i * runs.len() / some).collect();
    let given: Vec<MeasuredRun> = chosen.iter().map(|&i| runs[i].clone()).collect();
    let fitted = calibrate(gpu, model, &given, beside, fitted_to)?;
    let server = fitted.preset.server(model.clone());
    let figures = runs.iter().map(|run| run.replay(&server)).collect::<Result<Vec<_>, _>>()?;
    let left_out =
        (0..).zip(&figures).map(|(i, figures)| (!chosen.contains(&i)).then(|| figures.clone()));
    let left_out = left_out.collect();
    Ok((CalibratedPreset { figures, ..fitted }, left_out))
}

/// A run, and what the simulator says of it.
struct Row<'a> {
    run: &'a MeasuredRun,
    before: RunFigures,
    after: &'a RunFigures,
    left_out: Option<RunFigures>,
}

impl Row<'_> {
    fn errors(&self, figures: &RunFigures) -> Vec<(Metric, Option<f64>)> {
        let measured = self.run.measured();
        TARGETS.map(|(metric, _)| (metric, figures.relative_error(measured, metric))).to_vec()
    }
}

fn as_json(file: &Path, rows: &[Row<'_>], fitted: &CalibratedPreset, skipped: &[String]) -> Value {
    let values = |figures: &RunFigures| -> Map<String, Value> {
        let values = Metric::all().map(|metric| (metric.name(), json!(figures.value(metric))));
        values.filter(|(_, value)| !value.is_null()).collect()
    };
    let runs: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "name": row.run.name(),
                "measured": values(row.run.measured()),
                "before": values(&row.before),
                "after": values(row.after),
                "left_out": row.left_out.as_ref().map(values),
            })
        })
        .collect();
    let coefficients: Vec<Value> = fitted
        .coefficients
        .iter()
        .map(|number| {
            json!({
                "name": number.name,
                "before": number.before,
                "after": number.after,
                "told": number.told,
                "at_bound": number.is_at_bound,
            })
        })
        .collect();
    json!({ "preset": file, "runs": runs, "coefficients": coefficients, "skipped": skipped })
}

fn write_tables(
    out: &mut impl Write,
    rows: &[Row<'_>],
    fitted: &CalibratedPreset,
) -> io::Result<()> {
    let percent = |error: Option<f64>| match error {
        Some(error) => format!("{:+.1}", 100.0 * error),
        None => "-".to_owned(),
    };
    let width = rows.iter().map(|row| row.run.name().len()).max().unwrap_or(0).max(10);
    writeln!(out, "errors in %: before, after, left out\n")?;
    write!(out, "{:width$}", "run")?;
    for (metric, _) in TARGETS {
        write!(out, "  {:>22}", metric.label())?;
    }
    writeln!(out)?;
    for row in rows {
        write!(out, "{:width$}", row.run.name())?;
        let left_out = row.left_out.as_ref().map(|figures| row.errors(figures));
        let columns = row.errors(&row.before).into_iter().zip(row.errors(row.after));
        for (place, ((_, before), (_, after))) in columns.enumerate() {
            let left_out = left_out.as_ref().and_then(|errors| errors[place].1);
            let cell =
                format!("{:>6} {:>6} {:>6}", percent(before), percent(after), percent(left_out));
            write!(out, "  {cell:>22}")?;
        }
        writeln!(out)?;
    }
    write!(out, "{:width$}", "median of absolute")?;
    for place in 0..TARGETS.len() {
        let median = |errors: Vec<Option<f64>>| {
            let mut errors: Vec<f64> = errors.into_iter().flatten().map(f64::abs).collect();
            errors.sort_by(f64::total_cmp);
            slotune::serving::metrics::percentile(&errors, 50.0)
        };
        let of = |figures: fn(&Row<'_>) -> Option<RunFigures>| {
            let error = |row: &Row<'_>| row.errors(&figures(row)?)[place].1;
            median(rows.iter().map(error).collect())
        };
        let cell = format!(
            "{:>6} {:>6} {:>6}",
            percent(of(|row| Some(row.before.clone()))),
            percent(of(|row| Some(row.after.clone()))),
            percent(of(|row| row.left_out.clone()))
        );
        write!(out, "  {cell:>22}")?;
    }
    writeln!(out, "\n\n{:42}{:>12}{:>12}{:>8}", "coefficient", "before", "after", "told")?;
    for number in &fitted.coefficients {
        let remark = if number.is_at_bound {
            format!("  at its bound: {LARGEST_FACTOR} times as much or as little")
        } else if number.after.to_bits() == number.before.to_bits() {
            "  kept".to_owned()
        } else {
            String::new()
        };
        writeln!(
            out,
            "{:42}{:>12.5}{:>12.5}{:>6.0} %{remark}",
            number.name,
            number.before,
            number.after,
            100.0 * number.told
        )?;
    }
    Ok(())
}
