//! A result set of many requests.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use rand::RngExt;
use slotune::{
    Recorder,
    core::{
        Configuration, Entry, Objective, Origin, Outcome, Parameter, SearchSpace, State, Trial,
        TrialId, random::stream,
    },
    results::{Manifest, ResultSet, StudyManifest, StudyRole},
    serving::{
        BackendInfo, Calibration, Hardware, Provenance, RequestRecord, RequestStatus, Run,
        ServerFacts, Workload,
        metrics::{MeasureOptions, measure},
        workload::{Replay, ReplayRate, TraceSource},
    },
};

use crate::Error;

/// Writes a set of so many rows, spread evenly over so many trials.
pub(crate) fn write(folder: &Path, rows: u32, trials: u32) -> Result<(), Error> {
    let study = StudyManifest {
        name: "search".to_owned(),
        role: StudyRole::Search,
        sampler: "random".to_owned(),
        seed: 0,
        trials: trials.into(),
    };
    let writer = ResultSet::create(folder, &manifest()?.with_study(study))?;
    let recorder = Recorder::new("search", Arc::new(Mutex::new(writer)));
    for number in 0..trials {
        let run = run(number, rows / trials);
        let options = MeasureOptions { replicates: 0, ..MeasureOptions::default() };
        let outcome = Outcome::Completed(measure(&run, &options)?);
        let trial = Trial {
            id: TrialId(number.into()),
            configuration: Configuration::new().with("max_num_seqs", 16 + number),
            origin: Origin::Sampled,
            seed: number.into(),
        };
        let entry = Entry { trial, state: State::Told { outcome, cost: run.cost_s } };
        recorder.record(&entry, None, Some(&run))?;
    }
    Ok(())
}

/// Requests of all lengths, of which one in a hundred fails.
fn run(number: u32, rows: u32) -> Run {
    let mut random = stream(number.into(), "bench/rows", 0);
    let mut records = Vec::new();
    let mut intended_s = 0.0;
    for index in 0..rows {
        intended_s += 0.05 * random.random::<f64>();
        let output_tokens = random.random_range(1..900_u32);
        let queue_time_s = 0.2 * random.random::<f64>();
        let first_s = intended_s + queue_time_s + 0.05 + 0.1 * random.random::<f64>();
        let token_s = 0.005 + 0.01 * random.random::<f64>();
        let is_completed = random.random_range(0..100_u32) > 0;
        records.push(RequestRecord {
            index,
            prompt_tokens: random.random_range(1..4000_u32),
            output_tokens: if is_completed { output_tokens } else { 0 },
            intended_s,
            sent_s: intended_s + 1e-4,
            first_token_s: is_completed.then_some(first_s),
            last_token_s: is_completed
                .then(|| first_s + token_s * f64::from(output_tokens.saturating_sub(1))),
            queue_time_s: is_completed.then_some(queue_time_s),
            chunk_times_s: vec![],
            status: if is_completed {
                RequestStatus::Completed
            } else {
                RequestStatus::Failed("it broke off".to_owned())
            },
        });
    }
    let end_s = records.iter().filter_map(|record| record.last_token_s).fold(0.0, f64::max);
    Run {
        records,
        end_s,
        cost_s: end_s,
        server: ServerFacts::default(),
        timeline: vec![],
        client: None,
        caveats: vec![],
    }
}

fn manifest() -> Result<Manifest, Error> {
    let space = SearchSpace::new(vec![Parameter::integer("max_num_seqs", 16, 100_000)], vec![])?;
    let workload = Workload::Replay(Replay {
        trace: TraceSource::File("random rows".into()),
        start_s: 0.0,
        size: None,
        rate: ReplayRate::Recorded,
    });
    let backend = BackendInfo {
        name: "bench".to_owned(),
        vllm_version: "0.25.1".to_owned(),
        model: "none".to_owned(),
        hardware: Hardware::default(),
        provenance: Provenance::Simulated(Calibration {
            preset: "none".to_owned(),
            basis: "random rows".to_owned(),
        }),
    };
    let created = jiff::Timestamp::now().to_string();
    Ok(Manifest::new(created, space, Objective::minimise("e2e_p95_s"), workload, backend))
}
