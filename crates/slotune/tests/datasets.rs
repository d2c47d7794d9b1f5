//! The result sets of `datasets/`: each is whole, and says what its card says.

use std::{fs, path::Path};

use slotune::{
    results::{Loaded, ResultSet, StoredTrial},
    serving::{
        Run,
        metrics::{MeasureOptions, measure},
    },
};

fn datasets() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets"))
}

fn load(name: &str) -> Loaded {
    let loaded = ResultSet::read(datasets().join(name)).expect("a result set");
    assert!(loaded.faults.is_empty(), "{:?}", loaded.faults);
    loaded
}

/// The run that a trial was measured from, as far as it is stored.
fn run(loaded: &Loaded, trial: &StoredTrial) -> Run {
    let records = loaded
        .requests(&trial.study, trial.entry.trial.id)
        .expect("readable")
        .expect("requests were kept");
    let end_s = records.iter().filter_map(|record| record.last_token_s).fold(0.0, f64::max);
    Run {
        records,
        end_s,
        cost_s: 0.0,
        server: trial.server.clone().expect("it ran"),
        timeline: vec![],
        client: trial.client,
        caveats: vec![],
    }
}

#[test]
fn metrics_follow_from_the_requests_of_a_real_server() {
    let loaded = load("h100_qwen2.5_7b_chat");
    assert_eq!(loaded.set.trials.len(), 6);
    for trial in &loaded.set.trials {
        let stored = trial.entry.measurement().expect("all trials completed");
        let again = measure(&run(&loaded, trial), &MeasureOptions::default()).expect("sound");
        assert_eq!(&again, stored, "study {} trial {}", trial.study, trial.entry.trial.id);
    }
}

/// Each row of the card's table, from the table itself.
#[test]
fn the_card_of_the_h100_study_says_what_the_set_holds() {
    let card = fs::read_to_string(datasets().join("h100_qwen2.5_7b_chat/README.md")).expect("card");
    let loaded = load("h100_qwen2.5_7b_chat");
    for trial in &loaded.set.trials {
        let server = trial.server.as_ref().expect("it ran");
        let value = |metric| {
            let measurement = trial.entry.measurement().expect("completed");
            measurement.value(metric).expect("measured")
        };
        let row = format!(
            "| {} {} | {} | {} | {:.3} s | {:.1} tok/s | {:.1} % |",
            trial.study,
            trial.entry.trial.id,
            server.arguments.max_num_seqs.expect("told"),
            server.arguments.max_num_batched_tokens.expect("told"),
            value("e2e_p95_s"),
            value("output_throughput_tok_per_s"),
            100.0 * value("queue_share"),
        );
        assert!(card.contains(&row), "the card lacks: {row}");
    }
}
