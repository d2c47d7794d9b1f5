//! What vLLM, PyTorch, Hugging Face and Python say when a server fails, and what it means.
//!
//! The texts are those of vLLM 0.32.0 and of what it installs; `tests/data` holds each in its
//! surroundings.

use super::log::Line;

/// What a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The server rejects the values of its arguments.
    Invalid,
    /// The configuration needs more memory than there is.
    Memory,
    /// Memory ran out, which is the configuration's fault only if no other process holds some.
    MemoryIfAlone,
    /// The server does not know an argument, or not in this form.
    UnknownFlag,
    /// The world was in the way; here is the remedy.
    World(&'static str),
    /// The world is broken for every configuration; here is the remedy.
    Broken(&'static str),
}

use Meaning::{Broken, Invalid, Memory, MemoryIfAlone, UnknownFlag, World};

const MODEL: &str = "the model cannot be loaded; check its path or name and the access to it";
const DRIVER: &str =
    "the GPU cannot be used; check the driver (`nvidia-smi`) and what this process may see";
const PORT: &str = "a port is taken; stop what holds it or choose another";
const PROCESSOR: &str = "this build of vLLM uses instructions that this processor lacks (SIGILL)";
const KILLED: &str =
    "a process of the server was killed from outside, perhaps because the machine's memory ran out";
const DISK: &str = "a disk is full; make room (/dev/shm counts as one)";

/// Texts by falling precedence: what is said of the cause stands before what is said of its effects.
const TEXTS: &[(&str, Meaning)] = &[
    // vLLM: vllm/config/scheduler.py, model.py, parallel.py.
    ("must be greater than or equal to max_num_seqs", Invalid),
    ("is greater than the derived max_model_len", Invalid),
    ("is smaller than max_model_len", Invalid),
    ("must be divisible by tensor parallel size", Invalid),
    ("is larger than the number of available GPUs", Invalid),
    // vLLM: vllm/platforms/cuda.py, of blocks that no attention kernel takes.
    ("block_size not supported", Invalid),
    // vLLM: vllm/v1/core/kv_cache_utils.py, v1/worker/gpu_model_runner.py, utils.py, cpu_worker.py.
    ("No available memory for the cache blocks", Memory),
    ("To serve at least one request with the model's max seq len", Memory),
    ("CUDA out of memory occurred when warming up", Memory),
    ("on kv cache allocation is less than requested memory for kv", Memory),
    ("is less than desired GPU memory utilization", MemoryIfAlone),
    ("is less than desired CPU memory utilization", MemoryIfAlone),
    (
        "Error in memory profiling. Initial free memory",
        World("another process freed GPU memory meanwhile"),
    ),
    // PyTorch: c10/cuda.
    ("CUDA out of memory", MemoryIfAlone),
    ("Found no NVIDIA driver on your system", Broken(DRIVER)),
    ("No CUDA GPUs are available", Broken(DRIVER)),
    ("The NVIDIA driver on your system is too old", Broken(DRIVER)),
    ("CUDA driver version is insufficient for CUDA runtime version", Broken(DRIVER)),
    ("Failed to infer device type", Broken(DRIVER)),
    // Hugging Face, and vLLM's own words for the same.
    ("HFValidationError", Broken(MODEL)),
    ("LocalEntryNotFoundError", Broken(MODEL)),
    ("RepositoryNotFoundError", Broken(MODEL)),
    ("GatedRepoError", Broken(MODEL)),
    ("is not a valid model identifier", Broken(MODEL)),
    ("does not appear to have a file named config.json", Broken(MODEL)),
    ("Invalid repository ID or local directory specified", Broken(MODEL)),
    ("Cannot find any model weights with", Broken(MODEL)),
    // vLLM: v1/executor/multiproc_executor.py. A negative exit code is a signal's number.
    ("died unexpectedly (exit code: -4)", Broken(PROCESSOR)),
    ("died unexpectedly (exit code: -9)", World(KILLED)),
    ("died unexpectedly (exit code: -15)", World(KILLED)),
    // Python and the operating system.
    (
        "No module named 'vllm'",
        Broken("vLLM is not installed where the server's command looks for it"),
    ),
    ("No space left on device", Broken(DISK)),
    ("Address already in use", World(PORT)),
    ("EADDRINUSE", World(PORT)),
    (
        "PermissionError: ",
        Broken("the server may not use a file or port; check their owner and mode"),
    ),
];

/// The line that tells the failure and what it means, if any text is known.
pub(super) fn find<'a>(lines: &[Line<'a>]) -> Option<(Line<'a>, Meaning)> {
    let text = TEXTS.iter().find_map(|(text, meaning)| {
        let line = lines.iter().rev().find(|line| line.contains(text))?;
        Some((*line, *meaning))
    });
    text.or_else(|| usage(lines)).or_else(|| rejected(lines))
}

/// A usage error (Python's argparse): `vllm serve: error: TEXT`.
fn usage<'a>(lines: &[Line<'a>]) -> Option<(Line<'a>, Meaning)> {
    let (line, text) = lines.iter().rev().find_map(|line| {
        let (program, text) = line.split_once(": error: ")?;
        (program.starts_with("vllm") || program == "api_server.py").then_some((*line, text))
    })?;
    let value_is_wrong = text.starts_with("argument -") && text.contains(": invalid ");
    Some((line, if value_is_wrong { Invalid } else { UnknownFlag }))
}

/// A check of vLLM's configuration classes (pydantic) that is not in the table: the line after
/// `1 validation error for SchedulerConfig`. Those of the model's class also tell of models that
/// are broken, so only known texts count there.
fn rejected<'a>(lines: &[Line<'a>]) -> Option<(Line<'a>, Meaning)> {
    lines.windows(2).rev().find_map(|pair| {
        let (_, class) = pair[0].split_once("validation error")?;
        let class = class.trim_start_matches('s').strip_prefix(" for ")?.trim();
        let known = class.ends_with("Config") && class != "ModelConfig";
        (known && pair[1].starts_with("  ")).then_some((pair[1], Invalid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_stands_before_its_effects() {
        let lines = [
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
            "RuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy requests.",
            "OSError: [Errno 98] Address already in use",
        ];
        assert_eq!(find(&lines), Some((lines[1], Memory)));
    }

    #[test]
    fn usage_errors_tell_a_wrong_value_from_an_unknown_flag() {
        let meaning = |line| find(&[line]).map(|(_, meaning)| meaning);
        assert_eq!(
            meaning("vllm serve: error: argument --kv-cache-dtype: invalid choice: 'fp9'"),
            Some(Invalid)
        );
        assert_eq!(
            meaning("vllm: error: unrecognized arguments: --no-such-flag 3"),
            Some(UnknownFlag)
        );
        assert_eq!(
            meaning("vllm: error: argument subparser: invalid choice: 'srve'"),
            Some(UnknownFlag)
        );
        assert_eq!(
            meaning("vllm serve: error: argument --max-num-seqs: expected one argument"),
            Some(UnknownFlag)
        );
        assert_eq!(meaning("clang: error: no input files"), None);
    }

    #[test]
    fn an_unknown_check_of_a_configuration_class_is_a_rejection_but_not_the_models() {
        let line = "  Input should be greater than 0 [type=greater_than, input_value=0]";
        let of = |class| find(&[class, line]).map(|(_, meaning)| meaning);
        assert_eq!(
            of("pydantic_core._pydantic_core.ValidationError: 2 validation errors for CacheConfig"),
            Some(Invalid)
        );
        assert_eq!(of("pydantic.ValidationError: 1 validation error for ModelConfig"), None);
    }
}
