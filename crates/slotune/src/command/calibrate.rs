//! `slotune calibrate`: a GPU preset fitted to a result set.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde::Serialize;
use slotune::{
    calibration::{Calibration, CalibrationOptions, calibrate_set},
    sim::{GpuPreset, ModelPreset},
};

use super::{Error, print, progress::Work, read};

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
    let given = CalibrationOptions {
        set: options.results.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        runs: options.runs.map(|some| some as usize),
        study: options.study.clone(),
        beside: options.beside.clone(),
    };
    let work = Work::of("fits");
    let calibration =
        calibrate_set(&loaded, &gpu, &model, &given, &|done, all| work.at(done, all))?;
    drop(work);
    fs::write(&options.out, calibration.preset.to_toml())
        .map_err(|error| format!("{}: {error}", options.out.display()))?;
    print(&Written { preset: &options.out, calibration: &calibration }, options.json)?;
    Ok(ExitCode::SUCCESS)
}

/// A calibration, and the file that its preset is in.
#[derive(Serialize)]
struct Written<'a> {
    preset: &'a Path,
    #[serde(flatten)]
    calibration: &'a Calibration,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nwritten to {}", self.calibration, self.preset.display())
    }
}
