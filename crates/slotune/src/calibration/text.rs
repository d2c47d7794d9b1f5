//! A calibration as tables of text.

use std::fmt;

use slotune_sim::{FittedCoefficient, LARGEST_FACTOR, RunFigures, TARGETS};

use super::{Calibration, ComparedRun};

/// What a run's figures are taken from: before the fit, after it, and where the run was left out.
const STAGES: [fn(&ComparedRun) -> Option<&RunFigures>; 3] =
    [|run| Some(&run.before), |run| Some(&run.after), |run| run.left_out.as_ref()];

/// The errors of each run, their medians, and the coefficients.
impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for trial in &self.skipped {
            writeln!(f, "left aside: {trial}")?;
        }
        let width = self.runs.iter().map(|run| run.name.len()).max().unwrap_or(0).max(10);
        writeln!(f, "errors in %: before, after, left out\n")?;
        write!(f, "{:width$}", "run")?;
        for (metric, _) in TARGETS {
            write!(f, "  {:>22}", metric.label())?;
        }
        writeln!(f)?;
        for run in &self.runs {
            write!(f, "{:width$}", run.name)?;
            for (metric, _) in TARGETS {
                let error = |of: fn(&ComparedRun) -> Option<&RunFigures>| {
                    of(run)?.relative_error(&run.measured, metric)
                };
                write_cell(f, STAGES.map(error))?;
            }
            writeln!(f)?;
        }
        write!(f, "{:width$}", "median of absolute")?;
        for (metric, _) in TARGETS {
            write_cell(f, STAGES.map(|of| self.median_error(metric, of)))?;
        }
        writeln!(f, "\n\n{:42}{:>12}{:>12}{:>8}", "coefficient", "before", "after", "told")?;
        self.coefficients.iter().try_for_each(|number| write_coefficient(f, number))
    }
}

fn write_cell(f: &mut fmt::Formatter<'_>, errors: [Option<f64>; 3]) -> fmt::Result {
    let [before, after, left_out] = errors.map(|error| match error {
        Some(error) => format!("{:+.1}", 100.0 * error),
        None => "-".to_owned(),
    });
    let cell = format!("{before:>6} {after:>6} {left_out:>6}");
    write!(f, "  {cell:>22}")
}

fn write_coefficient(f: &mut fmt::Formatter<'_>, number: &FittedCoefficient) -> fmt::Result {
    let FittedCoefficient { name, before, after, told, is_at_bound } = number;
    let remark = if *is_at_bound {
        format!("  at its bound: {LARGEST_FACTOR} times as much or as little")
    } else if after.to_bits() == before.to_bits() {
        "  kept".to_owned()
    } else {
        String::new()
    };
    writeln!(f, "{name:42}{before:>12.5}{after:>12.5}{:>6.0} %{remark}", 100.0 * told)
}
