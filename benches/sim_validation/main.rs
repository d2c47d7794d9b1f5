//! Writes `docs/SIMULATOR.md`: what the simulator models, and what it says of every measured run.
//!
//! ```text
//! cargo run --release -p slotune-benches --bin sim_validation
//! ```

mod five;
mod page;
mod replay;

use std::{fs, path::PathBuf};

use clap::Parser;
use slotune::report::{Agreement, Picture, agreement};

use replay::Replays;

type Error = Box<dyn std::error::Error>;

/// Writes the simulator's page and its picture.
#[derive(Debug, Parser)]
struct Options {
    /// Folder for `SIMULATOR.md`, and `images/` in it
    #[arg(long, default_value = "docs")]
    out: PathBuf,
    /// Folder of the measured result sets
    #[arg(long, default_value = "datasets")]
    datasets: PathBuf,
}

fn main() -> Result<(), Error> {
    let options = Options::parse();
    let replays = Replays::new(&options.datasets)?;
    let images = options.out.join("images");
    fs::create_dir_all(&images)?;
    let Picture { name, svg, png } = picture(&replays)?;
    fs::write(images.join(name).with_extension("svg"), svg)?;
    fs::write(images.join(name).with_extension("png"), png)?;
    let text = [
        page::INTRODUCTION.to_owned(),
        page::coefficients()?,
        page::runs(&replays)?,
        page::held_out(&replays)?,
        page::other_gpu(&replays)?,
        five::section(&replays)?,
        page::NOT_MODELLED.to_owned(),
    ];
    fs::write(options.out.join("SIMULATOR.md"), text.join("\n"))?;
    Ok(())
}

fn picture(replays: &Replays) -> Result<Picture, Error> {
    let panels = replay::PICTURED.map(|(heading, unit, metric, scale)| Agreement {
        heading,
        unit,
        points: replays
            .runs
            .iter()
            .filter_map(|run| {
                let measured = scale * run.measured().value(metric)?;
                let predicted = scale * run.predicted.value(metric)?;
                let group = 2 * usize::from(run.machine() != replay::MACHINES[0])
                    + usize::from(run.name().contains("nocompile"));
                Some((measured, predicted, group))
            })
            .collect(),
    });
    Ok(agreement(
        "simulator_agreement",
        (
            "Simulated against measured",
            "Qwen2.5-7B on an H100, vLLM 0.25.1; the fit, not a forecast",
        ),
        &[
            "first machine, stock",
            "first, no compilation",
            "second, stock",
            "second, no compilation",
        ],
        &panels,
    )?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    /// What the page says of every run is what the simulator says today. Where this fails after a change
    /// to the simulator, make the page again and read what became of it.
    #[test]
    fn the_committed_page_is_of_this_simulator() {
        let replays = Replays::new(&root().join("datasets")).expect("they are sets");
        let page = fs::read_to_string(root().join("docs/SIMULATOR.md")).expect("the page");
        let runs = page::runs(&replays).expect("a string takes it");
        let held_out = page::held_out(&replays).expect("a string takes it");
        let other_gpu = page::other_gpu(&replays).expect("a string takes it");
        let coefficients = page::coefficients().expect("a shipped preset");
        let words = [page::INTRODUCTION, five::READING, page::NOT_MODELLED];
        let tables = [&*runs, &held_out, &other_gpu, &coefficients];
        for line in tables.into_iter().chain(words).flat_map(str::lines) {
            assert!(page.contains(line), "the page lacks: {line}");
        }
        let picture = picture(&replays).expect("it can be drawn");
        let path = root().join("docs/images").join(picture.name).with_extension("svg");
        assert_eq!(fs::read_to_string(path).expect("the picture"), picture.svg);
    }
}
