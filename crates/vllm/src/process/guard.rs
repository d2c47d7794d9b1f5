//! The guard: a process that leads the server's group and kills it when the tuner dies.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process_group, test_kill_process_group},
};

use super::{ProcessError, table::ProcessName};

/// Blocks in `read` until the tuner's end of the pipe closes, which the kernel does however the
/// tuner ends. Each line lists the processes that left the group; the last one counts. `kill 0`
/// means the guard's own group, the guard included. Signals sent to the group do not end the guard;
/// SIGKILL does, and then whoever sent it killed the group with it.
///
/// All commands are built into the shell, so that the script needs no PATH.
const SCRIPT: &str = "\
trap '' HUP INT QUIT TERM
strays=
while read -r line; do strays=$line; done
for stray in $strays; do kill -KILL \"$stray\"; done
kill -KILL 0
";

const SHELL: &str = "/bin/sh";

/// Leads a group and kills it when it is dropped or when this process dies.
#[derive(Debug)]
pub(super) struct Guard {
    /// Its standard input is the pipe. This process alone holds the writing end, which is closed
    /// on exec, so no child of ours can keep it open.
    process: Child,
    group: Pid,
    told: Vec<ProcessName>,
    reaped: bool,
}

impl Guard {
    /// Starts the guard as the leader of a new group.
    pub(super) fn start() -> Result<Self, ProcessError> {
        let process = Command::new(SHELL)
            .args(["-c", SCRIPT, "slotune-guard"])
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| ProcessError::Guard { shell: SHELL, source })?;
        let group = Pid::from_child(&process);
        Ok(Self { process, group, told: Vec::new(), reaped: false })
    }

    /// Number of the group. It stays ours until the guard is reaped.
    pub(super) fn group(&self) -> Pid {
        self.group
    }

    /// Tells it which processes to kill beside the group.
    pub(super) fn tell(&mut self, strays: &[ProcessName]) {
        if self.told == strays {
            return;
        }
        let mut line = String::new();
        for stray in strays {
            line.push_str(&stray.pid.to_string());
            line.push(' ');
        }
        line.push('\n');
        if let Some(pipe) = &mut self.process.stdin {
            // A guard that was killed is no reason to stop a run: the group is still known.
            let _ = pipe.write_all(line.as_bytes());
        }
        strays.clone_into(&mut self.told);
    }

    /// SIGKILL to the whole group, the guard included.
    pub(super) fn kill_group(&self) {
        if !self.reaped {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }

    /// Reaps the killed guard; from then on the number of the group may come to mean another one.
    pub(super) fn reap(&mut self) {
        if !self.reaped {
            let _ = self.process.wait();
            self.reaped = true;
        }
    }

    pub(super) fn is_reaped(&self) -> bool {
        self.reaped
    }

    /// Whether the group has members, where there is no `/proc` to tell who they are.
    pub(super) fn group_exists(&self) -> bool {
        test_kill_process_group(self.group) != Err(Errno::SRCH)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.kill_group();
        self.reap();
    }
}
