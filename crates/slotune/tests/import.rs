//! Results of other tools become result sets: real captures, and files that are not what they should
//! be.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use slotune::{
    core::{Configuration, Objective, Outcome, State},
    import::{ImportError, ImportOptions, Imported, Origin, Source, import},
    results::{Loaded, ResultSet, StoredTrial, StudyRole},
    serving::CaveatClass,
};
use tempfile::TempDir;

fn capture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/import").join(name)
}

fn json_of(name: &str) -> Value {
    serde_json::from_slice(&fs::read(capture(name)).expect("a capture")).expect("JSON")
}

fn source(file: PathBuf) -> Source {
    Source { file, parameters: Configuration::new(), label: None }
}

fn options() -> ImportOptions {
    ImportOptions {
        parameters: Configuration::new().with("max_num_seqs", 16),
        objective: Objective::minimise("e2e_p95_s"),
        vllm_version: Some("0.32.0".to_owned()),
        gpu: None,
        command: "a test".to_owned(),
    }
}

/// Imports these sources and reads the set that came of it.
fn imported(sources: &[Source]) -> (Imported, Loaded, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let told = import(sources, &options(), folder.path()).expect("sound sources");
    let loaded = ResultSet::read(folder.path()).expect("a set");
    assert!(loaded.faults.is_empty());
    (told, loaded, folder)
}

fn value(trial: &StoredTrial, metric: &str) -> f64 {
    trial.entry.measurement().expect("completed").value(metric).expect(metric)
}

#[track_caller]
fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} is not {b}");
}

#[test]
fn requests_of_bench_serve_are_measured_by_our_formulas() {
    let (told, loaded, _folder) = imported(&[source(capture("bench-serve-detailed.json"))]);
    assert_eq!(told.trials[0].origin, Origin::Requests);
    assert_eq!(told.notes, Vec::<String>::new());
    // Loads of one rate are told apart by their prompts.
    assert!(loaded.set.manifest.workload.to_string().ends_with(", prompts of 300 tokens"));
    let trial = &loaded.set.trials[0];
    let file = json_of("bench-serve-detailed.json");
    let mean = |name: &str| {
        let values: Vec<f64> =
            file[name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    // Gaps do not depend on where latencies count from, and both take percentiles of type 7.
    near(value(trial, "itl_p95_s"), file["p95_itl_ms"].as_f64().unwrap() / 1e3);
    near(value(trial, "tpot_mean_s"), file["mean_tpot_ms"].as_f64().unwrap() / 1e3);
    // Latencies count from when a request was to be sent, which the tool calls its queue time.
    near(value(trial, "ttft_mean_s"), mean("ttfts") + mean("queue_times"));
    near(value(trial, "e2e_mean_s"), mean("latencies") + mean("queue_times"));
    near(value(trial, "completed_share"), 1.0);
    let measurement = trial.entry.measurement().unwrap();
    assert!(measurement.get("e2e_p95_s").unwrap().standard_error > 0.0);
    assert_eq!(
        measurement.get("queue_time_mean_s"),
        None,
        "the client's queue is not the server's"
    );
    assert!(trial.caveats.is_empty(), "{:?}", trial.caveats);

    let records = loaded.requests("imported", trial.entry.trial.id).unwrap().expect("kept");
    assert_eq!(records.len(), 12);
    assert_eq!(records[0].intended_s.to_bits(), 0.0_f64.to_bits());
    assert_eq!((records[3].prompt_tokens, records[3].output_tokens), (32, 7));
    assert_eq!(records[3].chunk_times_s.len(), 7);
    let total: u32 = records.iter().map(|record| record.output_tokens).sum();
    assert_eq!(u64::from(total), file["total_output_tokens"].as_u64().unwrap());
}

#[test]
fn what_the_file_does_not_know_stays_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let given = ImportOptions { vllm_version: None, ..options() };
    import(&[source(capture("bench-serve-detailed.json"))], &given, folder.path()).unwrap();
    let set = ResultSet::read(folder.path()).unwrap().set;
    assert_eq!(set.manifest.backend.vllm_version, "unknown");
    assert_eq!(set.manifest.backend.model, "tiny");
    assert_eq!(set.manifest.backend.hardware.gpu, None);
    assert_eq!(set.manifest.created, "2026-11-28T03:09:52Z");
    let server = set.trials[0].server.as_ref().expect("one answered");
    assert_eq!(server.vllm_version, None);
    assert_eq!(server.arguments.max_num_seqs, None, "given by the user, not told by the server");
    assert_eq!(server.kv_blocks, None);
    assert_eq!(set.trials[0].client, None);
    let manifest = &set.manifest;
    assert_eq!(manifest.studies.len(), 1);
    assert_eq!(
        (manifest.studies[0].role, &*manifest.studies[0].sampler),
        (StudyRole::Search, "given")
    );
}

#[test]
fn aggregates_of_bench_serve_are_kept_and_marked() {
    let (told, loaded, _folder) = imported(&[source(capture("bench-serve-aggregates.json"))]);
    assert_eq!(told.trials[0].origin, Origin::Aggregates);
    let trial = &loaded.set.trials[0];
    let file = json_of("bench-serve-aggregates.json");
    let told = |name: &str| file[name].as_f64().unwrap();
    near(value(trial, "ttft_p95_s"), told("p95_ttft_ms") / 1e3);
    near(value(trial, "tpot_p50_s"), told("median_tpot_ms") / 1e3);
    near(value(trial, "output_throughput_tok_per_s"), told("output_throughput"));
    near(value(trial, "goodput_per_s"), told("request_goodput"));
    // From the latencies that this version lists, counted from when each was to be sent.
    assert!(value(trial, "e2e_p99_s") > told("p99_e2el_ms") / 1e3);
    // The percentile of type 7 of latencies and queue times, computed by Python.
    near(value(trial, "e2e_p99_s"), 0.864_540_711_029_967_9);
    let classes: Vec<CaveatClass> = trial.caveats.iter().map(|caveat| caveat.class).collect();
    assert_eq!(classes, [CaveatClass::OtherTool]);
    assert!(trial.caveats[0].message.contains("--save-detailed"), "{:?}", trial.caveats);
    assert_eq!(loaded.requests("imported", trial.entry.trial.id).unwrap(), None);
}

#[test]
fn under_a_cap_latencies_count_from_the_send() {
    let (_, loaded, _folder) = imported(&[source(capture("bench-serve-capped.json"))]);
    let trial = &loaded.set.trials[0];
    let file = json_of("bench-serve-capped.json");
    let slowest =
        file["latencies"].as_array().unwrap().iter().filter_map(Value::as_f64).fold(0.0, f64::max);
    assert!(value(trial, "e2e_p99_s") < slowest);
    assert_eq!(
        loaded.set.manifest.workload.to_string(),
        "requests of each trial's own: vllm bench serve: 8 requests, all at once, 2 in flight"
    );
}

#[test]
fn a_sweep_tells_its_own_parameters_and_its_failures() {
    let sweep = [
        "sweep/SERVE--max_num_seqs=4/summary.json",
        "sweep/SERVE-max_num_seqs=64-max_num_batched_tokens=32-failure.json",
        "sweep/SERVE--max_num_seqs=2-enable_prefix_caching=False/summary.json",
    ];
    let (told, loaded, _folder) = imported(&sweep.map(|name| source(capture(name))));
    let configurations: Vec<String> =
        told.trials.iter().map(|trial| trial.configuration.to_string()).collect();
    assert_eq!(
        configurations,
        [
            "max_num_seqs=4",
            "max_num_batched_tokens=32 max_num_seqs=64",
            "enable_prefix_caching=false max_num_seqs=2",
        ]
    );
    let State::Told { outcome: Outcome::Failed(reason), .. } = &loaded.set.trials[1].entry.state
    else {
        panic!("{:?}", loaded.set.trials[1])
    };
    assert_eq!(reason.message, "RuntimeError: Server process crashed with return code 1");
    assert_eq!(loaded.set.trials[1].server, None);
    assert_eq!(told.trials[1].origin, Origin::None);
    let labels: Vec<&str> = told.trials.iter().map(|trial| &*trial.label).collect();
    assert_eq!(labels[0], "SERVE--max_num_seqs=4/summary");
}

#[test]
fn guidellm_tells_of_each_request() {
    let (told, loaded, _folder) = imported(&[source(capture("guidellm-concurrent.json"))]);
    assert_eq!(told.trials[0].origin, Origin::Requests);
    let trial = &loaded.set.trials[0];
    let file = json_of("guidellm-concurrent.json");
    let metrics = &file["benchmarks"][0]["metrics"];
    let mean = |name: &str| metrics[name]["successful"]["mean"].as_f64().unwrap();
    // Unix times have a resolution of a quarter of a microsecond.
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} is not {b}");
    close(value(trial, "ttft_mean_s"), mean("time_to_first_token_ms") / 1e3);
    // Its latency ends with the stream, ours with the last token.
    assert!(value(trial, "e2e_mean_s") < mean("request_latency"));
    assert!(value(trial, "e2e_mean_s") > 0.98 * mean("request_latency"));
    let measurement = trial.entry.measurement().unwrap();
    assert_eq!(measurement.get("itl_mean_s"), None, "chunk times were not kept");
    // Each request has as many tokens as the next, so the means over tokens and requests agree.
    close(value(trial, "tpot_mean_s"), mean("inter_token_latency_ms") / 1e3);
    assert_eq!(loaded.set.manifest.backend.model, "tiny");
    assert!(loaded.set.manifest.created.starts_with("2026-11-28T03:12:"));
}

#[test]
fn a_client_that_was_late_is_no_measurement_of_the_server() {
    let (told, loaded, _folder) = imported(&[source(capture("guidellm-constant.json"))]);
    let State::Told { outcome: Outcome::Failed(reason), .. } = &loaded.set.trials[0].entry.state
    else {
        panic!("{:?}", loaded.set.trials[0])
    };
    assert_eq!(reason.class, "client_late");
    assert!(told.trials[0].reason.contains("late (P99)"), "{}", told.trials[0].reason);
    let id = loaded.set.trials[0].entry.trial.id;
    assert_eq!(loaded.requests("imported", id).unwrap().expect("kept").len(), 8);
}

/// A changed capture, as a file of its own.
fn changed(name: &str, change: impl FnOnce(&mut Value)) -> (TempDir, Source) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut json = json_of(name);
    change(&mut json);
    let file = folder.path().join("changed.json");
    fs::write(&file, json.to_string()).expect("writable");
    (folder, source(file))
}

#[test]
fn guidellm_s_sample_of_requests_is_not_taken_for_all_of_them() {
    let (_file, source) = changed("guidellm-concurrent.json", |json| {
        json["benchmarks"][0]["requests"]["successful"].as_array_mut().unwrap().truncate(2);
    });
    let (told, loaded, _folder) = imported(&[source]);
    assert_eq!(told.trials[0].origin, Origin::Aggregates);
    let trial = &loaded.set.trials[0];
    let file = json_of("guidellm-concurrent.json");
    let latency = &file["benchmarks"][0]["metrics"]["request_latency"]["successful"];
    near(value(trial, "e2e_p95_s"), latency["percentiles"]["p95"].as_f64().unwrap());
    assert_eq!(trial.caveats[0].class, CaveatClass::OtherTool);
}

#[test]
fn a_failed_request_enters_no_latency() {
    let (_file, source) = changed("bench-serve-detailed.json", |json| {
        json["errors"][2] = json!("Internal Server Error");
        for name in ["latencies", "ttfts"] {
            json[name][2] = json!(0.0);
        }
        json["itls"][2] = json!([]);
        json["output_lens"][2] = json!(0);
        json["completed"] = json!(11);
        json["failed"] = json!(1);
    });
    let (_, loaded, _folder) = imported(&[source]);
    near(value(&loaded.set.trials[0], "completed_share"), 11.0 / 12.0);
    let records =
        loaded.requests("imported", loaded.set.trials[0].entry.trial.id).unwrap().unwrap();
    assert_eq!(records[2].first_token_s, None);
}

#[test]
fn appended_results_are_a_trial_each() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("appended.json");
    let one = json_of("bench-serve-detailed.json");
    fs::write(&file, format!("{one}\n{one}")).unwrap();
    let (told, ..) = imported(&[source(file)]);
    let labels: Vec<&str> = told.trials.iter().map(|trial| &*trial.label).collect();
    assert_eq!(labels, ["appended#0", "appended#1"]);
}

#[test]
fn a_bad_file_is_named_with_its_field_and_nothing_is_written() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 10] = [
        (
            "bench-serve-detailed.json",
            |j| j["itls"][3][1] = json!("x"),
            "`itls[3][1]` is \"x\", but must be a number",
        ),
        (
            "bench-serve-detailed.json",
            |j| j["ttfts"] = json!([]),
            "`ttfts` has 0 entries, but there are 12 requests",
        ),
        (
            "bench-serve-detailed.json",
            |j| j["output_lens"][0] = json!(-1),
            "`output_lens[0]` is -1, but must be a whole number",
        ),
        (
            "bench-serve-detailed.json",
            |j| j["completed"] = json!(13),
            "`completed` is 13, but 12 requests have",
        ),
        (
            "bench-serve-detailed.json",
            |j| {
                j.as_object_mut().unwrap().remove("duration");
            },
            "`duration` is missing; it must be a number",
        ),
        (
            "bench-serve-detailed.json",
            |j| *j = json!({"a": 1}),
            "is no result of `vllm bench serve`",
        ),
        (
            "bench-serve-aggregates.json",
            |j| j["p95_ttft_ms"] = json!([1]),
            "`p95_ttft_ms` is [1], but must be a number",
        ),
        (
            "guidellm-concurrent.json",
            |j| j["metadata"]["version"] = json!(3),
            "`metadata.version` is 3, but this slotune knows 1 and 2; upgrade slotune",
        ),
        (
            "guidellm-concurrent.json",
            |j| {
                j.as_object_mut().unwrap().remove("metadata");
            },
            "GuideLLM before 0.4",
        ),
        (
            "guidellm-concurrent.json",
            |j| j["benchmarks"][0]["requests"]["successful"][4]["output_tokens"] = json!(null),
            "`benchmarks[0].requests.successful[4].output_tokens` is missing",
        ),
    ];
    for (name, change, expected) in cases {
        let (_file, source) = changed(name, change);
        let folder = tempfile::tempdir().unwrap();
        let error = import(std::slice::from_ref(&source), &options(), folder.path()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("changed.json: "), "{message}");
        assert!(message.contains(expected), "{message}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{message}");
    }
}

#[test]
fn files_that_do_not_go_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |sources: &[Source], options: &ImportOptions| {
        import(sources, options, folder.path()).unwrap_err()
    };
    let good = || source(capture("bench-serve-detailed.json"));
    let (_file, other) = changed("bench-serve-detailed.json", |j| j["model_id"] = json!("large"));
    let error = refuse(&[good(), other], &options());
    assert!(matches!(error, ImportError::TwoModels { .. }), "{error}");

    let unknown = ImportOptions { parameters: Configuration::new(), ..options() };
    let error = refuse(&[good()], &unknown);
    assert!(error.to_string().contains("--parameter max_num_seqs=256"), "{error}");

    let wrong = Configuration::new().with("max_num_seq", 16);
    let error = refuse(&[good()], &ImportOptions { parameters: wrong, ..options() });
    assert!(error.to_string().contains("did you mean `max_num_seqs`?"), "{error}");

    let objective = Objective::minimise("e2e_p9_s");
    let error = refuse(&[good()], &ImportOptions { objective, ..options() });
    assert!(matches!(error, ImportError::Metric(_)), "{error}");

    assert!(matches!(refuse(&[], &options()), ImportError::NothingGiven));
    let error = refuse(&[source("absent.json".into())], &options());
    assert!(error.to_string().starts_with("absent.json cannot be read"), "{error}");
    let torn = folder.path().join("torn.json");
    fs::write(&torn, "{\"date\": ").unwrap();
    let error = refuse(&[source(torn)], &options());
    assert!(error.to_string().contains("torn.json is not JSON: EOF"), "{error}");
}
