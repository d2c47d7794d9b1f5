//! What logs of failed servers mean: captures of a real vLLM, and texts of its source where there is
//! no capture (`tests/data`, each folder with a README).

use std::{
    collections::BTreeSet,
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

/// Names of the captures in a folder: none where there is no folder, which no table equals.
fn captures(folder: &str) -> impl Iterator<Item = String> {
    fs::read_dir(data().join(folder)).into_iter().flatten().flatten().filter_map(|entry| {
        let file = entry.file_name().into_string().ok()?;
        file.strip_suffix(".log")?.split('.').next().map(str::to_owned)
    })
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
    let names: BTreeSet<_> =
        captures("startup-failures").filter(|name| !name.starts_with("gpu-")).collect();
    assert_eq!(names, table.iter().map(|row| row.0.to_owned()).collect(), "each capture is judged");
}

/// The same log condemns the configuration or the machine, by who else is on the GPU.
#[test]
fn captured_failures_on_a_gpu_are_the_configurations_only_where_it_is_alone() {
    let free = "Free memory on device cuda:0 (48.15/79.18 GiB) on startup is less than desired";
    let sampler = "CUDA out of memory occurred when warming up sampler with 8192 dummy requests.";
    let memory = "CUDA out of memory. Tried to allocate";
    let alone = Some(false);
    let table = [
        ("gpu-free-memory", StartUp, alone, Infeasible(Memory), free),
        ("gpu-free-memory", StartUp, Some(true), Failed, free),
        ("gpu-free-memory", StartUp, None, Failed, free),
        ("gpu-sampler-warm-up", StartUp, alone, Infeasible(Memory), sampler),
        ("gpu-sampler-warm-up", StartUp, None, Infeasible(Memory), sampler),
        ("gpu-kernel-warm-up", StartUp, alone, Infeasible(Memory), memory),
        ("gpu-kernel-warm-up", StartUp, Some(true), Failed, memory),
        ("gpu-out-of-memory", StartUp, alone, Infeasible(Memory), memory),
        ("gpu-out-of-memory", StartUp, Some(true), Failed, memory),
        ("gpu-out-of-memory", Load, alone, Infeasible(CrashUnderLoad), memory),
        ("gpu-out-of-memory", Load, None, Infeasible(CrashUnderLoad), memory),
        ("gpu-out-of-memory", Load, Some(true), Failed, memory),
    ];
    for (name, phase, shared, kind, text) in table {
        // A server whose engine dies under load exits with 0.
        let (folder, code) = match phase {
            StartUp => ("startup-failures", 1),
            Load => ("load-failures", 0),
        };
        let (found, message) = judge(&format!("{folder}/{name}"), code, phase, shared);
        assert_eq!(found, kind, "{name}, {phase:?}, shared {shared:?}: {message}");
        assert!(message.contains(text), "{name}, {phase:?}, shared {shared:?}: {message}");
    }
    let judged: BTreeSet<_> = table.iter().map(|row| row.0.to_owned()).collect();
    let captured = captures("startup-failures").chain(captures("load-failures"));
    assert_eq!(judged, captured.filter(|name| name.starts_with("gpu-")).collect());
}

#[test]
fn texts_of_the_source_are_told_apart() {
    let table = [
        ("block-size", None, Infeasible(Invalid)),
        ("gpu-no-driver", None, Broken),
        ("gpu-profiling-disturbed", Some(true), Failed),
        ("disk-full", None, Broken),
    ];
    for (name, shared, kind) in table {
        let (found, message) = judge(&format!("written-failures/{name}"), 1, StartUp, shared);
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
