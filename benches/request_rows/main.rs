//! Ten million request rows analysed: time and memory, against the same aggregation in plain polars.
//!
//! ```text
//! cargo run --release -p slotune-benches --bin request_rows
//! ```

#![expect(clippy::print_stdout, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench looks at the clock")]

mod ours;
mod plain;
mod rows;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};
use slotune::serving::metrics::Slo;
use slotune_benches::peak_memory_mib;

type Error = Box<dyn std::error::Error>;

/// Metrics of each trial, by name.
type Answer = Vec<BTreeMap<String, f64>>;

/// The limits that goodput is asked for.
const SLO: Slo = Slo { ttft_s: Some(0.5), tpot_s: None, e2e_s: Some(5.0) };

/// What the product promises: as many times the time of plain polars, and so much memory, MiB.
const MOST_TIMES: f64 = 3.0;
const MOST_MIB: f64 = 2048.0;

/// Measures how request rows are analysed.
#[derive(Debug, Parser)]
struct Options {
    /// Rows of all trials together
    #[arg(long, default_value_t = 10_000_000)]
    rows: u32,
    /// Trials that they are spread over
    #[arg(long, default_value_t = 100)]
    trials: u32,
    /// Turns of each way, of which the fastest counts
    #[arg(long, default_value_t = 3)]
    repeats: u32,
    /// Folder for the rows, which are made where it holds none and stay there
    #[arg(long, default_value = "target/request-rows")]
    folder: PathBuf,
    /// Prints one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Analyses in this process and prints what it took; for the bench's own use
    #[arg(long, hide = true)]
    alone: Option<Way>,
}

/// A way to analyse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// As `slotune analyse --slo` does: whole runs, one trial after the other.
    Slotune,
    /// Only the columns that are needed, as polars reads them.
    Polars,
}

/// What a way took.
#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    seconds: f64,
    peak_mib: Option<f64>,
    answer: Answer,
}

fn main() -> Result<(), Error> {
    let options = Options::parse();
    let folder = options.folder.join(format!("{}-{}", options.rows, options.trials));
    if let Some(way) = options.alone {
        let begun = Instant::now();
        let answer = match way {
            Way::Slotune => ours::analyse(&folder)?,
            Way::Polars => plain::analyse(&folder)?,
        };
        let seconds = begun.elapsed().as_secs_f64();
        let taken = Taken { seconds, peak_mib: peak_memory_mib(), answer };
        println!("{}", serde_json::to_string(&taken)?);
        return Ok(());
    }
    if !folder.join("manifest.json").exists() {
        println!("making {} rows in {}", options.rows, folder.display());
        rows::write(&folder, options.rows, options.trials)?;
    }
    let mut fastest: BTreeMap<Way, Taken> = BTreeMap::new();
    for _ in 0..options.repeats {
        for way in [Way::Slotune, Way::Polars] {
            let taken = alone(&options, way)?;
            let is_faster = |known: &Taken| taken.seconds < known.seconds;
            if fastest.get(&way).is_none_or(is_faster) {
                fastest.insert(way, taken);
            }
        }
    }
    let (ours, plain) = (&fastest[&Way::Slotune], &fastest[&Way::Polars]);
    let metrics = agree(&ours.answer, &plain.answer)?;
    let ratio = ours.seconds / plain.seconds;
    if options.json {
        println!(
            "{}",
            serde_json::json!({
                "rows": options.rows, "trials": options.trials, "bytes": size(&folder)?,
                "metrics": metrics, "ratio": ratio,
                "slotune": { "seconds": ours.seconds, "peak_mib": ours.peak_mib },
                "polars": { "seconds": plain.seconds, "peak_mib": plain.peak_mib },
            })
        );
    } else {
        let mib = |taken: &Taken| taken.peak_mib.map_or("-".to_owned(), |mib| format!("{mib:.0}"));
        println!(
            "{} rows of {} trials, {:.0} MiB on disk; {metrics} metrics, equal in both",
            options.rows,
            options.trials,
            size(&folder)? as f64 / f64::from(1 << 20)
        );
        println!("{:10} {:>10} {:>12}", "", "seconds", "peak, MiB");
        for (name, taken) in [("slotune", ours), ("polars", plain)] {
            println!("{name:10} {:>10.2} {:>12}", taken.seconds, mib(taken));
        }
        println!("slotune takes {ratio:.2} times as long (promised: at most {MOST_TIMES})");
    }
    if ratio > MOST_TIMES || ours.peak_mib.is_some_and(|mib| mib > MOST_MIB) {
        return Err(format!("more than {MOST_TIMES} times, or than {MOST_MIB} MiB").into());
    }
    Ok(())
}

/// One turn in a process of its own, so that its peak of memory is its own.
fn alone(options: &Options, way: Way) -> Result<Taken, Error> {
    let output = Command::new(env::current_exe()?)
        .args(["--rows", &options.rows.to_string(), "--trials", &options.trials.to_string()])
        .arg("--folder")
        .arg(&options.folder)
        .args(["--alone", if way == Way::Slotune { "slotune" } else { "polars" }])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// How many metrics both found, which must be the same.
fn agree(ours: &Answer, plain: &Answer) -> Result<usize, Error> {
    let mut metrics = 0;
    for (trial, (ours, plain)) in ours.iter().zip(plain).enumerate() {
        for (name, value) in plain {
            let other = ours.get(name).ok_or_else(|| format!("trial {trial} lacks {name}"))?;
            if (value - other).abs() > 1e-9 * value.abs() {
                return Err(format!("trial {trial}: {name} is {other}, in polars {value}").into());
            }
            metrics += 1;
        }
        if ours.len() != plain.len() {
            return Err(format!(
                "trial {trial}: {} metrics, in polars {}",
                ours.len(),
                plain.len()
            )
            .into());
        }
    }
    if ours.len() == plain.len() { Ok(metrics) } else { Err("not as many trials".into()) }
}

/// Bytes of all request parts.
fn size(folder: &Path) -> Result<u64, Error> {
    fs::read_dir(folder.join("requests"))?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_give_the_same_metrics() {
        let folder = env::temp_dir().join(format!("slotune-request-rows-{}", std::process::id()));
        rows::write(&folder, 1500, 3).unwrap();
        let (ours, plain) = (ours::analyse(&folder).unwrap(), plain::analyse(&folder).unwrap());
        fs::remove_dir_all(&folder).unwrap();
        let metrics = agree(&ours, &plain).unwrap();
        assert_eq!((ours.len(), metrics), (3, 3 * 26));
    }
}
