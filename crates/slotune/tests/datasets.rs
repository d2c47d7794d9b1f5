//! The result sets of `datasets/`: each is whole, and says what its card says.

use std::{fs, path::Path};

use slotune::{
    results::{Loaded, ResultSet},
    serving::metrics::{MeasureOptions, measure},
};

fn datasets() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets"))
}

fn load(name: &str) -> Loaded {
    let loaded = ResultSet::read(datasets().join(name)).expect("a result set");
    assert!(loaded.faults.is_empty(), "{:?}", loaded.faults);
    loaded
}

#[test]
fn metrics_follow_from_the_requests_of_a_real_server() {
    for (name, trials) in [("h100_qwen2.5_7b_chat", 6), ("h100_qwen2.5_7b_grid", 16)] {
        let loaded = load(name);
        assert_eq!(loaded.set.trials.len(), trials);
        for trial in &loaded.set.trials {
            let stored = trial.entry.measurement().expect("all trials completed");
            let run = loaded.run(trial).expect("readable").expect("requests were kept");
            let again = measure(&run, &MeasureOptions::default()).expect("sound");
            assert_eq!(&again, stored, "study {} trial {}", trial.study, trial.entry.trial.id);
        }
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

/// The same of the measured grid.
#[test]
fn the_card_of_the_h100_grid_says_what_the_set_holds() {
    let card = fs::read_to_string(datasets().join("h100_qwen2.5_7b_grid/README.md")).expect("card");
    let loaded = load("h100_qwen2.5_7b_grid");
    for trial in &loaded.set.trials {
        let server = trial.server.as_ref().expect("it ran");
        let value = |metric| {
            let measurement = trial.entry.measurement().expect("completed");
            measurement.value(metric).expect("measured")
        };
        let caveats: Vec<&str> = trial.caveats.iter().map(|caveat| caveat.class.name()).collect();
        let row = format!(
            "| {} {} | `{}` | {} | {:.3} s | {:.3} s | {:.1} ms | {:.2} ms | {:.1} tok/s | {} | {} |",
            trial.study,
            trial.entry.trial.id,
            trial.label.as_deref().expect("named"),
            server.kv_blocks.expect("told"),
            value("e2e_mean_s"),
            value("e2e_p95_s"),
            1e3 * value("ttft_mean_s"),
            1e3 * value("tpot_mean_s"),
            value("output_throughput_tok_per_s"),
            server.engine_steps.expect("told"),
            if caveats.is_empty() { "–".to_owned() } else { caveats.join(", ") },
        );
        assert!(card.contains(&row), "the card lacks: {row}");
    }
}

/// What `datasets/README.md` promises, so that a clone stays quick.
#[test]
fn all_datasets_together_are_small() {
    fn bytes(folder: &Path) -> u64 {
        fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry"))
            .map(|entry| match entry.metadata().expect("metadata") {
                data if data.is_dir() => bytes(&entry.path()),
                data => data.len(),
            })
            .sum()
    }
    assert!(bytes(datasets()) < 10 * 1024 * 1024);
}
