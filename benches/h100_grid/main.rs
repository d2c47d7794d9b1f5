//! Makes the result set `datasets/h100_qwen2.5_7b_grid` from the request files that its load generator
//! wrote.
//!
//! ```text
//! cargo run --release -p slotune-benches --bin h100_grid -- \
//!   --first-machine FOLDER --second-machine FOLDER --out datasets/h100_qwen2.5_7b_grid
//! ```

mod source;

use std::path::PathBuf;

use clap::Parser;
use slotune::{
    core::{
        Configuration, Entry, Objective, Origin, Outcome, Parameter, SearchSpace, State, Trial,
        TrialId,
    },
    results::{Manifest, ResultSet, Rows, StoredTrial, StudyManifest, StudyRole},
    serving::{
        BackendInfo, Hardware, Provenance, Workload,
        engine_arguments::CudagraphMode,
        metrics::{MeasureOptions, measure},
        workload::{Replay, ReplayRate, TraceSource},
    },
};

use source::Source;

type Error = Box<dyn std::error::Error>;

/// Makes a result set of the H100's measured configurations.
#[derive(Debug, Parser)]
struct Options {
    /// Folder with `runs.csv` and the request files that it names
    #[arg(long)]
    first_machine: PathBuf,
    /// Folder with a folder for each server, in it `NAME.json` and `NAME.csv.gz` for each run
    #[arg(long)]
    second_machine: PathBuf,
    /// Folder of the result set, which must not be one yet
    #[arg(long)]
    out: PathBuf,
}

fn main() -> Result<(), Error> {
    let options = Options::parse();
    let studies = [
        ("first-machine", StudyRole::Reference, source::first_machine(&options.first_machine)?),
        ("second-machine", StudyRole::Comparison, source::second_machine(&options.second_machine)?),
    ];
    let manifest = studies.iter().try_fold(manifest()?, |manifest, (name, role, runs)| {
        Ok::<_, Error>(manifest.with_study(StudyManifest {
            name: (*name).to_owned(),
            role: *role,
            sampler: "given".to_owned(),
            seed: 1,
            trials: runs.len().try_into()?,
        }))
    })?;
    let mut writer = ResultSet::create(&options.out, &manifest)?;
    for (study, _, runs) in studies {
        for (id, Source { label, run }) in (0..).zip(runs) {
            let measurement = measure(&run, &MeasureOptions::default())?;
            let trial = Trial {
                id: TrialId(id),
                configuration: configuration(
                    &manifest.space,
                    &run.server.arguments.to_configuration(),
                ),
                origin: Origin::Given,
                seed: 1,
            };
            let state = State::Told { outcome: Outcome::Completed(measurement), cost: run.cost_s };
            let stored = StoredTrial {
                study: study.to_owned(),
                label: Some(label),
                entry: Entry { trial, state },
                server: Some(run.server.clone()),
                client: run.client,
                caveats: run.caveats.clone(),
            };
            writer.append(&stored, Some(Rows::from(&run)))?;
        }
    }
    Ok(())
}

/// The parameters of the space, as they were set.
fn configuration(space: &SearchSpace, arguments: &Configuration) -> Configuration {
    let set = space.parameters().iter().filter_map(|parameter| {
        Some((parameter.name().to_owned(), arguments.get(parameter.name())?.clone()))
    });
    set.fold(Configuration::new(), |configuration, (name, value)| configuration.with(name, value))
}

fn manifest() -> Result<Manifest, Error> {
    let modes = [CudagraphMode::FullAndPiecewise, CudagraphMode::FullDecodeOnly];
    let space = SearchSpace::new(
        vec![
            Parameter::integer("max_num_seqs", 64, 1024).log(),
            Parameter::integer("max_num_batched_tokens", 2048, 8192).log(),
            Parameter::categorical("cudagraph_mode", modes.map(CudagraphMode::name)),
        ],
        vec![],
    )?;
    // Each run had a list of its own, which its requests hold.
    let workload = Workload::Replay(Replay {
        trace: TraceSource::File("the requests of each trial".into()),
        start_s: 0.0,
        size: None,
        rate: ReplayRate::Recorded,
    });
    let backend = BackendInfo {
        name: "vllm".to_owned(),
        vllm_version: "0.25.1".to_owned(),
        model: "qwen2.5-7b".to_owned(),
        hardware: Hardware {
            gpu: Some("NVIDIA H100 80GB HBM3".to_owned()),
            gpu_memory_gib: None,
            gpus: Some(1),
            driver_version: Some("580.159.04".to_owned()),
            cuda_version: Some("13.0".to_owned()),
        },
        provenance: Provenance::Measured,
    };
    let created = jiff::Timestamp::now().to_string();
    Ok(Manifest::new(created, space, Objective::minimise("e2e_p95_s"), workload, backend)
        .with_command(
            "cargo run --release -p slotune-benches --bin h100_grid -- --first-machine FOLDER \
             --second-machine FOLDER --out datasets/h100_qwen2.5_7b_grid",
        ))
}
