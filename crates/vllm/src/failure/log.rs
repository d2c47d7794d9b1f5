//! Lines of vLLM's logs: `(EngineCore pid=7) ERROR 11-24 13:05:44 [core.py:1510] TEXT`, or plain
//! text such as Python's tracebacks.

use super::MESSAGE_LIMIT;

/// A line that may tell an error: the text without the log's prefix.
pub(super) type Line<'a> = &'a str;

/// Lines of the log that may tell an error: those logged as errors, and those that no logger wrote.
pub(super) fn errors(text: &str) -> impl DoubleEndedIterator<Item = Line<'_>> {
    text.lines().filter_map(|line| {
        let line = without_process(line);
        match line.split_once(' ') {
            Some(("DEBUG" | "INFO" | "WARNING", rest)) if rest.contains("] ") => None,
            Some(("ERROR" | "CRITICAL", rest)) => {
                Some(rest.split_once("] ").map_or(rest, |(_, text)| text))
            }
            _ => Some(line),
        }
    })
}

/// Without `(EngineCore pid=7) `.
fn without_process(line: &str) -> &str {
    let inside = |line: &str| line.starts_with('(') && line.contains(" pid=");
    match line.split_once(") ") {
        Some((process, rest)) if inside(process) => rest,
        _ => line,
    }
}

/// The line that names the cause: the last error as Python tells it (`ValueError: …`) that is not
/// only the echo of a failure in another process, or the death of that process, or the echo.
pub(super) fn root_cause<'a>(lines: &[Line<'a>]) -> Option<Line<'a>> {
    let last = |tells: fn(&str) -> bool| lines.iter().rev().copied().find(|line| tells(line));
    last(|line| is_exception(line) && !is_echo(line))
        .or_else(|| last(|line| line.contains("died unexpectedly")))
        .or_else(|| last(is_exception))
}

/// Whether the API server reports that its engine is dead, after which it ends with code 0.
pub(super) fn engine_died(lines: &[Line<'_>]) -> bool {
    lines.iter().any(|line| line.contains("EngineDeadError") || line.contains(FATAL))
}

const FATAL: &str = "EngineCore encountered a fatal error";

/// `package.module.NameError: TEXT`, at the beginning of the line.
fn is_exception(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| {
        let known = ["Error", "Exception", "Interrupt"].iter().any(|end| name.ends_with(end));
        known && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
    })
}

fn is_echo(line: &str) -> bool {
    ["Engine core initialization failed", "EngineDeadError", "RuntimeError: cancelled"]
        .iter()
        .any(|echo| line.contains(echo))
}

/// What a line tells, for a message: without pydantic's wrapping, in bounded length.
pub(super) fn told(line: Line<'_>) -> String {
    let line = line.trim();
    let line = line.strip_prefix("Value error, ").unwrap_or(line);
    let line = line.split_once(" [type=").map_or(line, |(text, _)| text);
    bounded(line)
}

/// At most [`MESSAGE_LIMIT`] characters.
pub(super) fn bounded(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_taken_off_and_information_is_left_out() {
        let text = "(EngineCore pid=7) ERROR 11-24 13:05:44 [core.py:1510] ValueError: x [a] b\n\
                    (APIServer pid=1) INFO 11-24 13:05:44 [a.py:1] fine\n\
                    WARNING 11-24 13:05:44 [a.py:1] beware\n\
                    (APIServer pid=1) Traceback (most recent call last):\n\
                    INFO is the first word of this line\n\
                    RuntimeError: (no process) y\n";
        assert_eq!(
            errors(text).collect::<Vec<_>>(),
            [
                "ValueError: x [a] b",
                "Traceback (most recent call last):",
                "INFO is the first word of this line",
                "RuntimeError: (no process) y",
            ]
        );
    }

    #[test]
    fn the_root_cause_is_the_last_error_that_is_no_echo() {
        let died =
            "Worker proc VllmWorker-0 died unexpectedly (exit code: 1), shutting down executor.";
        assert_eq!(root_cause(&[died, "RuntimeError: cancelled"]), Some(died));
        assert_eq!(root_cause(&["RuntimeError: cancelled"]), Some("RuntimeError: cancelled"));
        let lines = [
            "torch.OutOfMemoryError: first",
            "KeyError: 'cause'",
            "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See …",
            "RuntimeError: Engine core initialization failed. See root cause above.",
            "see the Error: above",
        ];
        assert_eq!(root_cause(&lines), Some("KeyError: 'cause'"));
    }
}
