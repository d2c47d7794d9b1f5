//! Makes the result sets `datasets/h100_qwen2.5_7b_grid`, `datasets/h100_qwen2.5_7b_repeats` and
//! `datasets/h200_qwen2.5_7b_grid` from the request files that their load generators wrote.
//!
//! ```text
//! cargo run --release -p slotune-benches --bin h100_grid -- \
//!   --first-machine FOLDER --second-machine FOLDER --out datasets/h100_qwen2.5_7b_grid
//! cargo run --release -p slotune-benches --bin h100_grid -- \
//!   --fourth-machine FOLDER --out datasets/h100_qwen2.5_7b_repeats
//! cargo run --release -p slotune-benches --bin h100_grid -- \
//!   --fifth-machine FOLDER --sixth-machine FOLDER --out datasets/h200_qwen2.5_7b_grid
//! ```

mod source;

use std::path::PathBuf;

use clap::{ArgGroup, Parser};
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
    },
};

use source::{FIFTH_MACHINE, FOURTH_MACHINE, SECOND_MACHINE, SIXTH_MACHINE, Server, Source};

type Error = Box<dyn std::error::Error>;

/// Makes a result set of the H100's measured configurations: of the first and the second machine, or of
/// the fourth; or of the fifth and the sixth, which have an H200.
#[derive(Debug, Parser)]
#[command(group = ArgGroup::new("machines").required(true).args(["first_machine", "fourth_machine", "fifth_machine"]))]
struct Options {
    /// Folder with `runs.csv` and the request files that it names
    #[arg(long, requires = "second_machine")]
    first_machine: Option<PathBuf>,
    /// Folder with a folder for each server, in it `NAME.json` and `NAME.csv.gz` for each run
    #[arg(long, requires = "first_machine")]
    second_machine: Option<PathBuf>,
    /// The same of the fourth machine
    #[arg(long)]
    fourth_machine: Option<PathBuf>,
    /// The same of the fifth machine, which has an H200
    #[arg(long, requires = "sixth_machine")]
    fifth_machine: Option<PathBuf>,
    /// The same of the sixth machine, which has an H200 too
    #[arg(long, requires = "fifth_machine")]
    sixth_machine: Option<PathBuf>,
    /// Folder of the result set, which must not be one yet
    #[arg(long)]
    out: PathBuf,
}

/// Runs of a machine, its name, and what they are in the set.
type Study = (&'static str, StudyRole, Vec<Source>);

impl Options {
    fn studies(&self) -> Result<Vec<Study>, Error> {
        let mut studies = Vec::new();
        if let Some(folder) = &self.first_machine {
            let runs = source::first_machine(folder)?;
            studies.push(("first-machine", StudyRole::Reference, runs));
        }
        let later: [(_, _, _, &[Server]); 4] = [
            (&self.second_machine, "second-machine", StudyRole::Comparison, &SECOND_MACHINE),
            (&self.fourth_machine, "fourth-machine", StudyRole::Reference, &FOURTH_MACHINE),
            (&self.fifth_machine, "fifth-machine", StudyRole::Reference, &FIFTH_MACHINE),
            (&self.sixth_machine, "sixth-machine", StudyRole::Comparison, &SIXTH_MACHINE),
        ];
        for (folder, name, role, servers) in later {
            if let Some(folder) = folder {
                studies.push((name, role, source::later_machine(folder, servers)?));
            }
        }
        Ok(studies)
    }

    /// The same command, with the folders of others.
    fn command(&self) -> String {
        let machines = if self.fourth_machine.is_some() {
            "--fourth-machine FOLDER --out datasets/h100_qwen2.5_7b_repeats"
        } else if self.fifth_machine.is_some() {
            "--fifth-machine FOLDER --sixth-machine FOLDER --out datasets/h200_qwen2.5_7b_grid"
        } else {
            "--first-machine FOLDER --second-machine FOLDER --out datasets/h100_qwen2.5_7b_grid"
        };
        format!("cargo run --release -p slotune-benches --bin h100_grid -- {machines}")
    }
}

fn main() -> Result<(), Error> {
    let options = Options::parse();
    let studies = options.studies()?;
    let manifest =
        studies.iter().try_fold(manifest(&options)?, |manifest, (name, role, runs)| {
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

fn manifest(options: &Options) -> Result<Manifest, Error> {
    let modes = [CudagraphMode::FullAndPiecewise, CudagraphMode::FullDecodeOnly];
    let mut parameters = vec![
        Parameter::integer("max_num_seqs", 64, 1024).log(),
        Parameter::integer("max_num_batched_tokens", 2048, 8192).log(),
        Parameter::categorical("cudagraph_mode", modes.map(CudagraphMode::name)),
    ];
    if options.fourth_machine.is_some() {
        parameters.push(Parameter::float("gpu_memory_utilization", 0.2, 0.92));
    }
    let space = SearchSpace::new(parameters, vec![])?;
    let description = "chat and rag lists, at the requests/s that labels end with".to_owned();
    let workload = Workload::OfEachTrial { description };
    let gpu = match options.fifth_machine {
        Some(_) => "NVIDIA H200",
        None => "NVIDIA H100 80GB HBM3",
    };
    let backend = BackendInfo {
        name: "vllm".to_owned(),
        vllm_version: "0.25.1".to_owned(),
        model: "qwen2.5-7b".to_owned(),
        hardware: Hardware {
            gpu: Some(gpu.to_owned()),
            gpu_memory_gib: None,
            gpus: Some(1),
            // Of the fourth machine it was not written down.
            driver_version: options.fourth_machine.is_none().then(|| "580.159.04".to_owned()),
            cuda_version: Some("13.0".to_owned()),
        },
        provenance: Provenance::Measured,
    };
    let created = jiff::Timestamp::now().to_string();
    Ok(Manifest::new(created, space, Objective::minimise("e2e_p95_s"), workload, backend)
        .with_command(options.command()))
}
