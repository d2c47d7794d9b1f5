//! What a server that serves is answered with.

use std::{path::Path, process::Command, sync::Arc};

use serde_json::Value;
use slotune::{
    serving::{
        EngineArguments, Load, Schedule, TrialRequest,
        metrics::{MeasureOptions, measure},
        workload::Trace,
    },
    sim::{CacheState, ServerModel, Simulator},
};

use crate::fixture::{Fixture, json, slotune};

/// Each number is what the library gives for the same request list, arguments and seed.
#[test]
fn the_answer_is_the_librarys() {
    let fixture = Fixture::new();
    let flags =
        ["--max-num-seqs", "64", "--max-num-batched-tokens", "1024", "--no-noise", "--json"];
    let output = fixture.simulate(&flags);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let answer = json(&output);

    let server = ServerModel::measured();
    let arguments = EngineArguments {
        max_num_seqs: Some(64),
        max_num_batched_tokens: Some(1024),
        ..EngineArguments::default()
    };
    let warm = CacheState::warm(&server.resolve(&arguments));
    let requests = Trace::read(&fixture.requests).unwrap().requests;
    let trial = TrialRequest {
        arguments,
        schedule: Arc::new(Schedule { load: Load::Open, requests }),
        seed: 0,
        record_chunk_times: true,
        give_up: vec![],
    };
    let run = Simulator::new(server).with_cache_reset_to(warm).run(&trial).unwrap();
    let measured = measure(&run, &MeasureOptions::default()).unwrap();
    for latency in ["e2e", "ttft", "tpot", "itl"] {
        for statistic in ["mean", "p50", "p95", "p99"] {
            let value = measured.value(&format!("{latency}_{statistic}_s"));
            assert_eq!(answer[latency][statistic].as_f64(), value, "{latency} {statistic}");
            assert!(value.is_some_and(|value| value > 0.0), "{latency} {statistic}");
        }
    }
    let throughput = measured.value("output_throughput_tok_per_s");
    assert_eq!(answer["output_throughput"].as_f64(), throughput);
    assert_eq!(answer["queue_share"].as_f64(), measured.value("queue_share"));
    assert_eq!(answer["kv_blocks"].as_u64(), run.server.kv_blocks);
    assert_eq!(answer["preemptions"].as_u64(), Some(0));
    assert_eq!(answer["start_up_s"].as_f64(), Some(run.server.start_up_s));
    assert_eq!(answer["completed"].as_u64(), Some(150));
    assert_eq!(answer["arguments"]["max_num_seqs"].as_u64(), Some(64));
    assert_eq!(answer["arguments"]["gpu_memory_utilization"].as_f64(), Some(0.92));
    assert!(answer["basis"].as_str().unwrap().starts_with("fitted to vLLM 0.25.1"));
}

#[test]
fn noise_follows_the_seed_and_none_ignores_it() {
    let fixture = Fixture::new();
    let with = |arguments: &[&str]| {
        let output = fixture.simulate(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        output.stdout
    };
    assert_eq!(with(&[]), with(&["--seed", "0"]));
    assert_ne!(with(&["--seed", "1"]), with(&["--seed", "2"]));
    assert_eq!(with(&["--seed", "1", "--no-noise"]), with(&["--seed", "2", "--no-noise"]));
    assert_ne!(with(&[]), with(&["--no-noise"]));
}

#[test]
fn without_json_the_answer_is_a_table() {
    let output = Fixture::new().simulate(&["--no-noise"]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.starts_with("Qwen/Qwen2.5-7B-Instruct on h100-sxm, simulated: 150 of 150"),
        "{table}"
    );
    for row in ["E2E ", "TTFT ", "TPOT ", "ITL ", "output throughput ", "KV blocks ", "start-up "] {
        assert!(table.lines().any(|line| line.starts_with(row)), "{row} in {table}");
    }
}

/// What several GPUs and a first start change.
#[test]
fn flags_reach_the_server() {
    let fixture = Fixture::new();
    let with = |arguments: &[&str]| {
        let output = fixture.simulate(&[arguments, &["--no-noise", "--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        json(&output)
    };
    let plain = with(&[]);
    let number = |answer: &Value, key: &str| answer[key].as_f64().unwrap();
    let split = with(&["--tensor-parallel-size", "2"]);
    assert!(number(&split, "kv_blocks") > 2.0 * number(&plain, "kv_blocks"));
    assert!(split["tpot"]["mean"].as_f64() < plain["tpot"]["mean"].as_f64());
    let is_estimate = |answer: &Value| answer["basis"].as_str().unwrap().contains("several GPUs");
    assert!(is_estimate(&split) && !is_estimate(&plain));
    let cold = with(&["--cold"]);
    assert!(number(&cold, "start_up_s") > 50.0 + number(&plain, "start_up_s"));
    assert!(number(&cold, "kv_blocks") < number(&plain, "kv_blocks"));
    let set = with(&[
        "--no-enable-prefix-caching",
        "--no-async-scheduling",
        "--enable-chunked-prefill",
        "--scheduling-policy",
        "priority",
        "--cudagraph-mode",
        "FULL_DECODE_ONLY",
        "--stream-interval",
        "4",
        "--block-size",
        "32",
        "--max-model-len",
        "4096",
        "--long-prefill-token-threshold",
        "256",
        "--max-cudagraph-capture-size",
        "64",
    ]);
    let arguments = &set["arguments"];
    for (name, value) in [
        ("enable_prefix_caching", Value::from(false)),
        ("async_scheduling", false.into()),
        ("enable_chunked_prefill", true.into()),
        ("scheduling_policy", "priority".into()),
        ("cudagraph_mode", "full_decode_only".into()),
        ("stream_interval", 4.into()),
        ("block_size", 32.into()),
        ("max_model_len", 4096.into()),
        ("long_prefill_token_threshold", 256.into()),
        ("max_cudagraph_capture_size", 64.into()),
    ] {
        assert_eq!(arguments[name], value, "{name}");
    }
}

/// Half of the cache left free beside what runs: others wait where they would have been preempted.
#[test]
fn admission_is_an_argument_too() {
    let rows: Vec<String> =
        (0..60).map(|index| format!("{},300,500", f64::from(index) / 60.0)).collect();
    let fixture = Fixture::with(&rows.join("\n"));
    let with = |arguments: &[&str]| {
        let small = ["--gpu-memory-utilization", "0.2", "--max-num-batched-tokens", "2048"];
        let rest = ["--max-num-seqs", "256", "--max-model-len", "8192", "--no-noise", "--json"];
        json(&fixture.simulate(&[&small[..], &rest, arguments].concat()))
    };
    let preemptions = |answer: &Value| answer["preemptions"].as_u64().expect("a number");
    let (plain, spared) = (with(&[]), with(&["--watermark", "0.5"]));
    assert!(preemptions(&spared) < preemptions(&plain), "{plain} {spared}");
    assert_eq!(preemptions(&with(&["--scheduler-reserve-full-isl"])), preemptions(&plain));
    // Without graphs and compilation a server needs more memory than that.
    let ample = ["--gpu-memory-utilization", "0.9", "--max-num-batched-tokens", "2048"];
    let eager = [&ample[..], &["--max-num-seqs", "256", "--enforce-eager", "--json"]].concat();
    let eager = json(&fixture.simulate(&eager));
    assert_eq!(eager["arguments"]["cudagraph_mode"], "none");
}

/// Every engine argument of the library is a flag.
#[test]
fn every_engine_argument_has_a_flag() {
    let help = slotune(&["--help"]).stdout;
    let help = String::from_utf8(help).unwrap();
    for name in EngineArguments::names() {
        assert!(help.contains(&format!("--{}", name.replace('_', "-"))), "{name}");
    }
}

#[test]
fn a_single_token_has_no_tpot() {
    let answer = json(&Fixture::with("0,100,1\n").simulate(&["--json"]));
    assert!(answer["tpot"]["mean"].is_null() && answer["itl"]["p99"].is_null(), "{answer}");
    assert!(answer["ttft"]["mean"].is_f64());
}

/// The command that `--help` teaches works as it stands.
#[test]
fn the_example_in_the_help_runs() {
    let help = String::from_utf8(slotune(&["--help"]).stdout).unwrap();
    let example: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Example:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .collect();
    let example = example.join("\n");
    let folder = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_slotune"));
    let script = example.replace("slotune simulate", &format!("'{}' simulate", binary.display()));
    assert_ne!(script, example);
    let output = Command::new("sh").arg("-ec").arg(script).current_dir(&folder).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(json(&output)["completed"], 3);
}
