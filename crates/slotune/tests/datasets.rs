//! The result sets of `datasets/`: each is whole, and says what its card says.

use std::{fs, path::Path};

use slotune::{
    core::{Estimate, Measurement, Outcome, State},
    report::analysis::best,
    results::{Loaded, ResultSet, StoredTrial},
    serving::{
        Provenance,
        metrics::{MeasureOptions, measure},
    },
    session::Work,
    study_file::StudyFile,
    suite::{Manner, Suite},
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
fn metrics_follow_from_the_requests() {
    for (name, trials) in [
        ("h100_qwen2.5_7b_chat", Some(6)),
        ("h100_qwen2.5_7b_grid", Some(16)),
        ("h100_qwen2.5_7b_repeats", Some(12)),
        ("h200_qwen2.5_7b_grid", Some(28)),
        ("week3_suite_simulated", None),
        ("vllm_cpu_tiny", None),
    ] {
        let loaded = load(name);
        assert!(trials.is_none_or(|trials| loaded.set.trials.len() == trials), "{name}");
        for trial in &loaded.set.trials {
            let Some(stored) = trial.entry.measurement() else { continue };
            if stored.iter().any(|(_, estimate)| estimate.is_lower_bound) {
                // To the last digit it takes when the run was stopped, which is not stored.
                continue;
            }
            let run = loaded.run(trial).expect("readable").expect("requests were kept");
            let again = measure(&run, &MeasureOptions::default()).expect("sound");
            // Which limits goodput had, the set does not tell.
            let all = |measurement: &Measurement| -> Vec<(String, Estimate)> {
                let all = measurement.iter().filter(|(metric, _)| *metric != "goodput_per_s");
                all.map(|(metric, estimate)| (metric.to_owned(), estimate)).collect()
            };
            let at = format!("study {} trial {}", trial.study, trial.entry.trial.id);
            assert_eq!(all(&again), all(stored), "{at}");
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

/// The same of the measured configurations.
#[test]
fn the_cards_of_the_measured_configurations_say_what_the_sets_hold() {
    for name in ["h100_qwen2.5_7b_grid", "h100_qwen2.5_7b_repeats", "h200_qwen2.5_7b_grid"] {
        let card = fs::read_to_string(datasets().join(name).join("README.md")).expect("card");
        for trial in &load(name).set.trials {
            let row = row_of_a_configuration(trial);
            assert!(card.contains(&row), "the card lacks: {row}");
        }
    }
}

fn row_of_a_configuration(trial: &StoredTrial) -> String {
    let server = trial.server.as_ref().expect("it ran");
    let value = |metric| {
        let measurement = trial.entry.measurement().expect("completed");
        measurement.value(metric).expect("measured")
    };
    let caveats: Vec<&str> = trial.caveats.iter().map(|caveat| caveat.class.name()).collect();
    format!(
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
    )
}

/// A row of the time stamps: its run, then the columns behind the request's number.
fn stamps() -> Vec<(String, Vec<Option<f64>>)> {
    let text = fs::read_to_string(datasets().join("h200_qwen2.5_7b_grid/stamps.csv"));
    let text = text.expect("the stamps");
    let mut rows = text.lines();
    assert!(rows.next().expect("a head").starts_with("run,request,sent_s,connected_s,read_s,"));
    let cells = |row: &str| {
        let mut cells = row.split(',').map(str::to_owned);
        let run = cells.next().expect("a run");
        (run, cells.skip(1).map(|cell| cell.parse().ok()).collect())
    };
    rows.map(cells).collect()
}

/// Where a request's time goes, by the card and by the stamps.
#[test]
fn the_card_of_the_stamps_says_how_long_each_stage_takes() {
    let card = fs::read_to_string(datasets().join("h200_qwen2.5_7b_grid/README.md")).expect("card");
    let stamps = stamps();
    let mut runs: Vec<&str> = stamps.iter().map(|(run, _)| run.as_str()).collect();
    runs.dedup();
    assert_eq!(runs.len(), 4);
    for name in runs {
        let stages: Vec<Vec<f64>> = stamps
            .iter()
            .filter(|(run, _)| run == name)
            .map(|(_, cells)| {
                // A connection that was there already was there when the request was sent.
                let times: Vec<f64> =
                    cells[..10].iter().map(|cell| cell.or(cells[0]).expect("sent")).collect();
                times.windows(2).map(|pair| 1e3 * (pair[1] - pair[0])).collect()
            })
            .collect();
        let means: Vec<String> = (0..9)
            .map(|stage| {
                let sum: f64 = stages.iter().map(|stages| stages[stage]).sum();
                format!("{:.1}", sum / stages.len() as f64)
            })
            .collect();
        let row = format!("| `{name}` | {} |", means.join(" | "));
        assert!(card.contains(&row), "the card lacks: {row}");
    }
}

/// The law of the simulator's front end: where every turn of the event loop has outputs to process, a request
/// passes 2 turns to vLLM's handler and 12 to the engine more often than any other number.
#[test]
fn requests_pass_the_event_loop_in_fourteen_turns() {
    let stamps = stamps();
    for run in ["stock_s1024_b8192_u92_chat60_stamped", "stock_s1024_b8192_u92_chat60_kept"] {
        let most_common = |column: usize| {
            let mut counts = std::collections::BTreeMap::new();
            for (_, cells) in stamps.iter().filter(|(name, cells)| {
                name == run && cells[0].is_some_and(|sent_s| (8.0..15.0).contains(&sent_s))
            }) {
                let turns = cells[column].expect("counted");
                *counts.entry(turns.to_string()).or_insert(0) += 1;
            }
            counts.into_iter().max_by_key(|(_, count)| *count).expect("rows").0
        };
        assert_eq!([most_common(10), most_common(11)], ["2", "12"], "{run}");
    }
}

/// What the card of the repeats says of the cache that is full.
#[test]
fn the_card_of_the_repeats_tells_of_every_preemption() {
    let card =
        fs::read_to_string(datasets().join("h100_qwen2.5_7b_repeats/README.md")).expect("card");
    for trial in &load("h100_qwen2.5_7b_repeats").set.trials {
        let server = trial.server.as_ref().expect("it ran");
        let label = trial.label.as_deref().expect("named");
        let preemptions = server.preemptions.expect("told");
        let queue_s = server.queue_time_sum_s.expect("told");
        let row = format!("| `{label}` | {preemptions} | {queue_s:.1} s |");
        assert_eq!(card.contains(&row), preemptions > 0, "{row}");
    }
}

/// The same of the simulated suite, study by study.
#[test]
fn the_card_of_the_simulated_suite_says_what_the_set_holds() {
    let card =
        fs::read_to_string(datasets().join("week3_suite_simulated/README.md")).expect("card");
    let loaded = load("week3_suite_simulated");
    assert!(matches!(loaded.set.manifest.backend.provenance, Provenance::Simulated(_)));
    let objective = &loaded.set.manifest.objective;
    for study in &loaded.set.manifest.studies {
        let trials: Vec<&StoredTrial> = loaded.set.study(&study.name).collect();
        let infeasible = trials.iter().filter(|trial| trial.entry.is_infeasible()).count();
        let best = best(objective, trials.iter().copied()).map_or("–".to_owned(), |best| {
            let measurement = best.entry.measurement().expect("completed");
            let value = |metric| measurement.value(metric).expect("measured");
            format!(
                "{:.2} s at {:.0} tok/s: `{}`",
                value("e2e_p95_s"),
                value("output_throughput_tok_per_s"),
                best.entry.trial.configuration
            )
        });
        let row = format!("| {} | {} | {infeasible} | {best} |", study.name, trials.len());
        assert!(card.contains(&row), "the card lacks: {row}");
        assert_eq!(trials.len() as u64, study.trials, "{} is complete", study.name);
    }
}

/// The same of the real server on the CPU.
#[test]
fn the_card_of_the_cpu_study_says_what_the_set_holds() {
    let card = fs::read_to_string(datasets().join("vllm_cpu_tiny/README.md")).expect("card");
    let loaded = load("vllm_cpu_tiny");
    assert_eq!(loaded.set.manifest.backend.provenance, Provenance::Measured);
    for trial in &loaded.set.trials {
        let name = format!("{} {}", trial.study, trial.entry.trial.id);
        let row = match &trial.entry.state {
            State::Told { outcome: Outcome::Completed(measurement), .. } => {
                let arguments = &trial.server.as_ref().expect("it ran").arguments;
                let value = |metric| measurement.value(metric).expect("measured");
                let share = measurement.value("queue_share");
                let share =
                    share.map_or("–".to_owned(), |share| format!("{:.1} %", 100.0 * share));
                format!(
                    "| {name} | {} | {} | {:.3} s | {:.3} s | {:.1} tok/s | {share} |",
                    arguments.max_num_seqs.expect("told"),
                    arguments.max_num_batched_tokens.expect("told"),
                    value("e2e_p95_s"),
                    value("ttft_p95_s"),
                    value("output_throughput_tok_per_s"),
                )
            }
            State::Told { outcome: Outcome::Failed(reason), .. } => {
                format!("| {name} | failed: `{}` |", reason.class)
            }
            other => panic!("{name}: {other:?}"),
        };
        assert!(card.contains(&row), "the card lacks: {row}");
    }
}

/// The study files of the sets that slotune made are those that made them, and their cards name the command.
#[test]
fn the_stored_study_files_are_those_of_the_sets() {
    let script = fs::read_to_string(datasets().join("../scripts/datasets.sh")).expect("a script");
    for (name, is_suite) in [("week3_suite_simulated", true), ("vllm_cpu_tiny", false)] {
        let file =
            StudyFile::read(&datasets().join(format!("studies/{name}.toml"))).expect("valid");
        let folder = datasets().join("..");
        let work = if is_suite { Work::of_suite } else { Work::of_file };
        let work = work(&file, &folder).expect("a study");
        let manifest = load(name).set.manifest;
        assert_eq!(work.plan.space, manifest.space, "{name}");
        assert_eq!(work.plan.objective, manifest.objective, "{name}");
        assert_eq!(work.plan.workload, manifest.workload, "{name}");
        let planned = if is_suite {
            Suite::new(&work, Manner::Search).expect("a suite").manifests(&work)
        } else {
            vec![work.search().manifest(&work)]
        };
        for study in planned {
            assert!(manifest.studies.contains(&study), "{name}: {study:?}");
        }
        let card = fs::read_to_string(datasets().join(name).join("README.md")).expect("card");
        let made_by = format!("scripts/datasets.sh {name}");
        assert!(card.contains(&made_by) && script.contains(name), "{made_by}");
        let command = if is_suite { "suite" } else { "tune" };
        assert!(card.contains(&format!("`slotune {command}`")), "{name}");
        assert!(
            manifest
                .command
                .starts_with(&format!("slotune {command} datasets/studies/{name}.toml "))
        );
    }
}

/// What the card of the repeats says of how much a run and its repeat differ.
#[test]
fn the_card_of_the_repeats_says_how_much_repeats_differ() {
    let loaded = load("h100_qwen2.5_7b_repeats");
    let value = |trial: &StoredTrial, metric: &str| {
        trial.entry.measurement().and_then(|m| m.value(metric)).expect("measured")
    };
    let mut differences = Vec::new();
    for again in &loaded.set.trials {
        let label = again.label.as_deref().expect("named");
        let Some(first) = label.strip_suffix("_again") else { continue };
        let first = loaded.set.trials.iter().find(|t| t.label.as_deref() == Some(first));
        let first = first.expect("the first");
        let difference = |metric| {
            // As the difference of the logarithms, for which neither is the first.
            format!("{:.1}", 100.0 * (value(again, metric) / value(first, metric)).ln().abs())
        };
        differences.push([label.to_owned(), difference("e2e_mean_s"), difference("e2e_p95_s")]);
    }
    let of = |label: &str| -> &[String; 3] {
        differences.iter().find(|one| one[0] == label).expect("a repeat")
    };
    let chat35 = of("stock_s256_b2048_u92_chat35_again");
    let s64 = of("nocompile_s64_b8192_u92_chat25_again");
    let s1024 = of("nocompile_s1024_b8192_u92_chat25_again");
    let rag = of("stock_s256_b2048_u92_rag12_again");
    assert_eq!(differences.len(), 4);
    let text = format!(
        "mean E2E differs by {} % (`chat35`), {} % and {} % (`chat25` without compilation), and {} % \
         (`rag12`, which the GPU bounds), P95 E2E by {}, {}, {} and {} %",
        chat35[1], s64[1], s1024[1], rag[1], chat35[2], s64[2], s1024[2], rag[2]
    );
    let card = fs::read_to_string(datasets().join("h100_qwen2.5_7b_repeats/README.md"));
    let card = card.expect("card").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(card.contains(&text), "the card lacks: {text}");
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
