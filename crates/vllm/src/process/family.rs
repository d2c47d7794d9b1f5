//! Which processes belong to a server: the members of its group, and descendants that left it.

use std::collections::BTreeSet;

use rustix::process::{Pid, Signal, kill_process};

use super::table::{self, Process, ProcessName};

/// The processes of one server.
#[derive(Debug)]
pub(super) struct Family {
    group: i32,
    /// All that were seen, in the group or not. The start time tells a process from a later one of
    /// the same number.
    known: BTreeSet<(i32, u64)>,
}

impl Family {
    /// The family of `server`, which nobody has waited for yet, in the group that its guard leads.
    pub(super) fn new(group: Pid, server: Pid) -> Self {
        let server = table::process(&server.as_raw_nonzero().to_string());
        Self {
            group: group.as_raw_nonzero().get(),
            known: server.map(|server| (server.pid, server.start)).into_iter().collect(),
        }
    }

    /// Learns who belongs to the family now.
    pub(super) fn observe(&mut self, table: &[Process]) {
        let mut numbers = BTreeSet::new();
        loop {
            let found: Vec<&Process> = table
                .iter()
                .filter(|process| self.belongs(process) || numbers.contains(&process.parent))
                .filter(|process| !numbers.contains(&process.pid))
                .collect();
            if found.is_empty() {
                return;
            }
            for process in found {
                numbers.insert(process.pid);
                self.known.insert((process.pid, process.start));
            }
        }
    }

    /// Those that are alive, the guard apart.
    pub(super) fn alive(&self, table: &[Process]) -> Vec<ProcessName> {
        self.select(table, |process| process.pid != self.group)
    }

    /// Those that are alive outside the group.
    pub(super) fn strays(&self, table: &[Process]) -> Vec<ProcessName> {
        self.select(table, |process| process.group != self.group)
    }

    /// SIGKILL to those outside the group.
    pub(super) fn kill_strays(&self, table: &[Process]) {
        for stray in self.strays(table) {
            if let Some(pid) = Pid::from_raw(stray.pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    fn select(&self, table: &[Process], which: impl Fn(&Process) -> bool) -> Vec<ProcessName> {
        table
            .iter()
            .filter(|process| process.alive && self.belongs(process) && which(process))
            .map(Process::name)
            .collect()
    }

    fn belongs(&self, process: &Process) -> bool {
        process.group == self.group || self.known.contains(&(process.pid, process.start))
    }
}
