//! Why a server failed, read from its logs, its exit status and the moment.
//!
//! - `log`: lines of the log without their prefixes, and the line that names the root cause.
//! - `signature`: what vLLM, PyTorch and Python say, and what it means.
//!
//! What is not known is a failure of the world: a configuration is never called infeasible by guess.

use std::{os::unix::process::ExitStatusExt, path::Path, process::ExitStatus};

use slotune_serving::{BackendError, InfeasibleClass};

mod log;
mod signature;

use log::Line;
use signature::Meaning;

/// Most characters of the server's own text in a message.
const MESSAGE_LIMIT: usize = 600;
/// Lines of the log that are shown when nothing in it is understood.
const LAST_LINES: usize = 5;

/// What is known about a failed server.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Its exit status, or nothing while it still runs.
    pub exit: Option<ExitStatus>,
    /// End of its standard output, to which the engine process reports.
    pub stdout: &'a str,
    /// End of its standard error, to which the API server reports.
    pub stderr: &'a str,
    /// When it failed.
    pub phase: Phase,
    /// Whether processes of others held memory of the GPU before the start, where that is known.
    pub gpu_is_shared: Option<bool>,
    /// Version of vLLM, where it is known.
    pub version: Option<&'a str>,
    /// Where its logs are, for the reader of the message.
    pub log: &'a Path,
}

/// When a server failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before it was ready.
    StartUp,
    /// While it served requests.
    Load,
}

/// What a failure means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The configuration cannot work. A [`CrashUnderLoad`](InfeasibleClass::CrashUnderLoad) may be
    /// chance: measure once more before it is believed.
    Infeasible {
        /// What kind of impossibility.
        class: InfeasibleClass,
        /// The server's own line.
        message: String,
    },
    /// The world was in the way, and another attempt may go well.
    Failed {
        /// What happened.
        message: String,
    },
    /// The world is broken for every configuration until a person mends it.
    Broken {
        /// What is broken, and the remedy.
        message: String,
    },
}

impl Verdict {
    /// As a backend reports it, after `cost_s` seconds.
    pub fn into_error(self, cost_s: f64) -> BackendError {
        match self {
            Self::Infeasible { class, message } => {
                BackendError::Infeasible { class, message, cost_s }
            }
            Self::Failed { message } => BackendError::Failed { message, cost_s },
            Self::Broken { message } => BackendError::Broken { message, cost_s },
        }
    }
}

/// Says what a failure means.
///
/// The first known text of the table in `signature` decides, then the exit status; under load, a
/// server that dies by itself crashed.
pub fn classify(evidence: &Evidence<'_>) -> Verdict {
    // Standard output first: the API server's last words, on standard error, only say that the
    // engine failed.
    let lines: Vec<Line<'_>> =
        log::errors(evidence.stdout).chain(log::errors(evidence.stderr)).collect();
    match signature::find(&lines) {
        Some((line, meaning)) => known(evidence, &log::told(line), meaning),
        None => unknown(evidence, &lines),
    }
}

fn known(evidence: &Evidence<'_>, said: &str, meaning: Meaning) -> Verdict {
    let infeasible = |class| Verdict::Infeasible { class, message: said.to_owned() };
    match meaning {
        Meaning::Invalid => infeasible(InfeasibleClass::Invalid),
        Meaning::Memory => infeasible(InfeasibleClass::Memory),
        Meaning::MemoryIfAlone => match (evidence.gpu_is_shared, evidence.phase) {
            (Some(false), Phase::StartUp) => infeasible(InfeasibleClass::Memory),
            (Some(false) | None, Phase::Load) => infeasible(InfeasibleClass::CrashUnderLoad),
            (Some(true), _) => Verdict::Failed {
                message: format!("other processes hold memory of the GPU; free it: {said}"),
            },
            (None, Phase::StartUp) => Verdict::Failed {
                message: format!(
                    "out of memory, and whether other processes hold memory of the GPU is not \
                     known: {said}"
                ),
            },
        },
        Meaning::UnknownFlag => Verdict::Broken {
            message: format!(
                "vLLM {} does not know an argument; correct the server's command or the name of \
                 the parameter, or install a version that has it: {said}",
                evidence.version.unwrap_or("of the server's command")
            ),
        },
        Meaning::World(remedy) => Verdict::Failed { message: format!("{remedy}: {said}") },
        Meaning::Broken(remedy) => Verdict::Broken { message: format!("{remedy}: {said}") },
    }
}

/// No text is known: the behaviour decides.
fn unknown(evidence: &Evidence<'_>, lines: &[Line<'_>]) -> Verdict {
    let cause = log::root_cause(lines).map(log::told);
    let log = evidence.log.display();
    if let Some(signal) = evidence.exit.and_then(stopped_from_outside) {
        let perhaps =
            if signal == "SIGKILL" { ", perhaps because the machine's memory ran out" } else { "" };
        let message =
            format!("the server was stopped from outside by {signal}{perhaps}; see {log}");
        return Verdict::Failed { message };
    }
    let ended = match evidence.exit {
        None => "the server does not answer".to_owned(),
        Some(status) => format!("the server ended with {status}"),
    };
    // vLLM ends with code 0 when its engine died.
    let by_itself = evidence.exit.is_some_and(|status| !status.success());
    if evidence.phase == Phase::Load && (by_itself || log::engine_died(lines)) {
        let message = cause.unwrap_or(ended);
        return Verdict::Infeasible { class: InfeasibleClass::CrashUnderLoad, message };
    }
    let cause = cause.unwrap_or_else(|| last_lines(evidence));
    Verdict::Failed { message: format!("{ended}: {cause}; see {log}") }
}

/// The signal by which somebody else ended the server. A program may also catch it and exit with
/// 128 more than its number, as shells and vLLM do.
fn stopped_from_outside(status: ExitStatus) -> Option<&'static str> {
    let number = status.signal().or_else(|| Some(status.code()? - 128))?;
    let signals = [(1, "SIGHUP"), (2, "SIGINT"), (9, "SIGKILL"), (15, "SIGTERM")];
    signals.iter().find(|(signal, _)| *signal == number).map(|(_, name)| *name)
}

fn last_lines(evidence: &Evidence<'_>) -> String {
    let text = if evidence.stderr.trim().is_empty() { evidence.stdout } else { evidence.stderr };
    let mut last: Vec<&str> =
        text.lines().rev().filter(|line| !line.trim().is_empty()).take(LAST_LINES).collect();
    last.reverse();
    if last.is_empty() { "it wrote nothing".to_owned() } else { log::bounded(&last.join(" | ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(exit: Option<i32>, phase: Phase, stderr: &str) -> Evidence<'_> {
        Evidence {
            exit: exit.map(ExitStatus::from_raw),
            stdout: "",
            stderr,
            phase,
            gpu_is_shared: None,
            version: None,
            log: Path::new("logs/trial-7"),
        }
    }

    /// A wait status (`wait(2)`): the exit code is in the second byte, the signal in the first.
    const fn code(code: i32) -> i32 {
        code << 8
    }

    #[test]
    fn what_nobody_knows_is_never_infeasible_at_start_up() {
        let stderr = "Traceback (most recent call last):\nKeyError: 'something new'\n";
        for exit in [Some(code(1)), Some(code(2)), Some(11), Some(code(0)), None] {
            let verdict = classify(&evidence(exit, Phase::StartUp, stderr));
            let Verdict::Failed { message } = verdict else { panic!("{verdict:?}") };
            assert!(message.contains("KeyError: 'something new'"), "{message}");
            assert!(message.contains("logs/trial-7"), "{message}");
        }
    }

    #[test]
    fn a_server_that_dies_under_load_crashed_unless_somebody_stopped_it() {
        let stderr = "RuntimeError: CUDA error: an illegal memory access was encountered\n";
        for exit in [Some(code(1)), Some(11), Some(6)] {
            let verdict = classify(&evidence(exit, Phase::Load, stderr));
            let class = InfeasibleClass::CrashUnderLoad;
            let message = stderr.trim().to_owned();
            assert_eq!(verdict, Verdict::Infeasible { class, message });
        }
        for exit in [Some(9), Some(15), Some(code(143)), Some(code(130)), Some(code(0)), None] {
            let verdict = classify(&evidence(exit, Phase::Load, ""));
            assert!(matches!(verdict, Verdict::Failed { .. }), "{exit:?}: {verdict:?}");
        }
    }

    #[test]
    fn a_log_that_says_nothing_is_shown_by_its_last_lines() {
        let verdict = classify(&evidence(Some(code(1)), Phase::StartUp, "a\nb\n\nc\n"));
        let Verdict::Failed { message } = verdict else { panic!("{verdict:?}") };
        assert!(message.contains("a | b | c"), "{message}");
        let Verdict::Failed { message } = classify(&evidence(Some(code(1)), Phase::StartUp, ""))
        else {
            panic!()
        };
        assert!(message.contains("it wrote nothing"), "{message}");
    }

    #[test]
    fn what_is_only_informed_about_is_no_error() {
        let stderr = "INFO 11-24 13:05:44 [core.py:1] No available memory for the cache blocks.\n\
                      (APIServer pid=1) WARNING 11-24 13:05:44 [core.py:1] CUDA out of memory\n";
        let verdict = classify(&evidence(Some(code(1)), Phase::StartUp, stderr));
        assert!(matches!(verdict, Verdict::Failed { .. }), "{verdict:?}");
    }

    #[test]
    fn a_message_is_bounded() {
        let stderr = format!("ValueError: {}\n", "ä".repeat(10_000));
        let verdict = classify(&evidence(Some(code(1)), Phase::StartUp, &stderr));
        let Verdict::Failed { message } = verdict else { panic!("{verdict:?}") };
        assert!(message.chars().count() < 2 * MESSAGE_LIMIT, "{}", message.len());
    }
}
