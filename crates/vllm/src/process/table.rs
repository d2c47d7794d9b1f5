//! The table of processes, as `/proc` gives it (`proc_pid_stat(5)`).

use std::{fmt, fs};

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// When it started, clock ticks since boot.
    pub(super) start: u64,
    /// Whether it runs; a zombie does not.
    pub(super) alive: bool,
    command: String,
}

/// Number and short name of a process. The name is the kernel's, at most 15 bytes, and holds no
/// arguments, which may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessName {
    /// Number of the process.
    pub pid: i32,
    /// Its short name.
    pub command: String,
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.pid, self.command)
    }
}

impl Process {
    pub(super) fn name(&self) -> ProcessName {
        ProcessName { pid: self.pid, command: self.command.clone() }
    }
}

/// All processes that can be seen, or nothing where there is no `/proc`.
pub(super) fn read() -> Option<Vec<Process>> {
    fs::metadata("/proc/self/stat").ok()?;
    let entries = fs::read_dir("/proc").ok()?;
    Some(entries.filter_map(|entry| process(entry.ok()?.file_name().to_str()?)).collect())
}

/// The process of this number, if it is there.
pub(super) fn process(pid: &str) -> Option<Process> {
    pid.parse::<u32>().ok()?;
    parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
}

/// Reads `PID (COMMAND) STATE PARENT GROUP …`; the command may hold spaces and brackets.
fn parse(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (command, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Field 3 of the manual page is the first after the command; the start time is field 22.
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
        alive: !matches!(*fields.first()?, "Z" | "X" | "x"),
        command: command.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_hold_spaces_and_brackets() {
        let stat =
            "77 (VLLM::Engine) (a b) Z 5 70 70 0 -1 4194304 1 0 0 0 2 3 0 0 20 0 1 0 4321 0 0";
        let process = parse(stat).unwrap();
        assert_eq!(process.name().to_string(), "77 (VLLM::Engine) (a b)");
        assert_eq!(
            (process.parent, process.group, process.start, process.alive),
            (5, 70, 4321, false)
        );
        assert_eq!(parse("77 (cut"), None);
    }

    #[test]
    fn this_process_is_in_the_table() {
        let Some(table) = read() else { return };
        let own = std::process::id().cast_signed();
        assert!(table.iter().any(|process| process.pid == own && process.alive));
    }
}
