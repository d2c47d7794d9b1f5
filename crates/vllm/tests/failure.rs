//! What logs of failed servers mean: captures of a real vLLM, and texts of its source where there is
//! no capture (`tests/data`, each folder with a README).

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use slotune_serving::{
    BackendError,
    InfeasibleClass::{self, CrashUnderLoad, Invalid, Memory},
};
use slotune_vllm::failure::{
    Evidence,
    Phase::{self, Load, StartUp},
    Verdict, classify,
};

/// The verdict without its message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Infeasible(InfeasibleClass),
    Failed,
    Broken,
}

use Kind::{Broken, Failed, Infeasible};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn judge(name: &str, code: i32, phase: Phase, gpu_is_shared: Option<bool>) -> (Kind, String) {
    let read = |stream: &str| {
        fs::read_to_string(data().join(format!("{name}.{stream}.log"))).unwrap_or_default()
    };
    let (stdout, stderr) = (read("stdout"), read("stderr"));
    assert!(!(stdout.is_empty() && stderr.is_empty()), "no log of {name}");
    let verdict = classify(&Evidence {
        // A wait status holds the exit code in its second byte (`wait(2)`).
        exit: Some(ExitStatus::from_raw(code << 8)),
        stdout: &stdout,
        stderr: &stderr,
        phase,
        gpu_is_shared,
        version: Some("0.32.0"),
        log: Path::new("logs/trial"),
    });
    match verdict {
        Verdict::Infeasible { class, message } => (Infeasible(class), message),
        Verdict::Failed { message } => (Failed, message),
        Verdict::Broken { message } => (Broken, message),
    }
}

#[test]
fn captured_failures_to_start_are_told_apart() {
    let table = [
        ("unknown-flag", 2, Broken, "--no-such-flag"),
        ("bad-flag-value", 2, Infeasible(Invalid), "--max-num-seqs: invalid int value: 'many'"),
        ("model-flag-not-positional", 2, Broken, "unrecognized arguments: <model>"),
        (
            "batched-tokens-below-max-num-seqs",
            1,
            Infeasible(Invalid),
            "max_num_batched_tokens (8) must be greater than or equal to max_num_seqs (16).",
        ),
        ("max-model-len-over-model", 1, Infeasible(Invalid), "max_model_len (100000)"),
        ("unknown-model-offline", 1, Broken, "Cannot find an appropriate cached snapshot"),
        ("model-path-missing", 1, Broken, "'<nowhere>'"),
        ("port-in-use", 1, Failed, "Address already in use"),
        (
            "kv-cache-below-max-model-len",
            1,
            Infeasible(Memory),
            "ValueError: To serve at least one request with the model's max seq len (2048)",
        ),
        (
            "kv-cache-no-room",
            1,
            Infeasible(Memory),
            "ValueError: No available memory for the cache blocks.",
        ),
        ("kv-cache-over-memory", 1, Infeasible(Memory), "requested memory for kv (500.0 GiB)"),
    ];
    for (name, code, kind, text) in table {
        let (found, message) = judge(&format!("startup-failures/{name}"), code, StartUp, None);
        assert_eq!(found, kind, "{name}: {message}");
        assert!(message.contains(text), "{name}: {message}");
        assert!(!message.contains("pid=") && !message.contains("[type="), "{name}: {message}");
    }
    let logs = fs::read_dir(data().join("startup-failures")).unwrap();
    let names: std::collections::BTreeSet<_> = logs
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .map(|name| name.split('.').next().unwrap().to_owned())
        .collect();
    assert_eq!(names, table.iter().map(|row| row.0.to_owned()).collect(), "each capture is judged");
}

#[test]
fn texts_of_the_source_are_told_apart() {
    let table = [
        ("gpu-free-memory", StartUp, Some(false), Infeasible(Memory)),
        ("gpu-free-memory", StartUp, Some(true), Failed),
        ("gpu-free-memory", StartUp, None, Failed),
        ("gpu-sampler-warm-up", StartUp, None, Infeasible(Memory)),
        ("gpu-out-of-memory", StartUp, Some(false), Infeasible(Memory)),
        ("gpu-out-of-memory", StartUp, Some(true), Failed),
        ("gpu-out-of-memory-under-load", Load, Some(false), Infeasible(CrashUnderLoad)),
        ("gpu-out-of-memory-under-load", Load, None, Infeasible(CrashUnderLoad)),
        ("gpu-out-of-memory-under-load", Load, Some(true), Failed),
        ("gpu-no-driver", StartUp, None, Broken),
        ("gpu-profiling-disturbed", StartUp, Some(true), Failed),
        ("disk-full", StartUp, None, Broken),
    ];
    for (name, phase, shared, kind) in table {
        let (found, message) = judge(&format!("written-failures/{name}"), 1, phase, shared);
        assert_eq!(found, kind, "{name}, shared {shared:?}: {message}");
        assert!(!message.contains("See root cause above"), "{name}: {message}");
    }
}

#[test]
fn deaths_under_load_are_crashes_although_vllm_exits_with_0() {
    let (kind, message) = judge("load-failures/engine-gone", 0, Load, None);
    assert_eq!(kind, Infeasible(CrashUnderLoad));
    assert!(message.contains("VllmWorker-0 died unexpectedly"), "{message}");

    let (kind, message) = judge("load-failures/illegal-instruction", 0, Load, None);
    assert_eq!(kind, Broken, "no configuration runs on this processor: {message}");
    assert!(message.contains("exit code: -4"), "{message}");
}

#[test]
fn a_verdict_becomes_the_error_of_a_backend() {
    let message = || "m".to_owned();
    let verdicts = [
        Verdict::Infeasible { class: Memory, message: message() },
        Verdict::Failed { message: message() },
        Verdict::Broken { message: message() },
    ];
    let errors = verdicts.map(|verdict| verdict.into_error(2.5));
    let [infeasible, failed, broken] = &errors;
    assert!(matches!(infeasible, BackendError::Infeasible { class: Memory, .. }));
    assert!(matches!(failed, BackendError::Failed { .. }));
    assert!(matches!(broken, BackendError::Broken { .. }));
    assert!(errors.iter().all(|error| (error.cost_s() - 2.5).abs() < 1e-12));
}
