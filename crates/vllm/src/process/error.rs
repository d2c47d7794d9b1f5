//! What can go wrong with a server process.

use std::{io, net::SocketAddr, path::PathBuf};

use super::table::ProcessName;
use crate::failure::Verdict;

/// Why a server process could not be started, watched or stopped. No message holds an argument or
/// the value of a variable: either may be a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// There is no program to run.
    #[error("the server's command is empty; give [\"vllm\", \"serve\", \"{{model}}\"]")]
    NoCommand,
    /// Somebody listens on the port.
    #[error(
        "port {} of {} is taken{}; stop that process or choose another port",
        address.port(), address.ip(), by(holder.as_ref())
    )]
    PortTaken {
        /// Where the server was to listen.
        address: SocketAddr,
        /// Who listens there, where that can be seen.
        holder: Option<ProcessName>,
    },
    /// One cannot listen on the address, whoever holds it.
    #[error(
        "cannot listen on {address}: {source}; give an address of this machine and a port that you may use"
    )]
    Address {
        /// Where the server was to listen.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// A log cannot be written.
    #[error("cannot write the server's log {}: {source}", path.display())]
    Log {
        /// The file or its folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The guard cannot be started.
    #[error("cannot start {shell}, which guards the server so that none is left behind: {source}")]
    Guard {
        /// The shell that was tried.
        shell: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The program cannot be started.
    #[error(
        "cannot start `{program}`: {source}; is it installed, on the PATH and executable, and is the interpreter in its first line there?"
    )]
    Program {
        /// The program, without its arguments.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system does not say how the server ended.
    #[error("cannot wait for the server: {0}")]
    Wait(#[source] io::Error),
    /// A log outgrew its limit.
    #[error("the server's log {} is longer than {limit_bytes} bytes; the log says what it repeats", path.display())]
    LogTooLong {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// Processes of the server outlived SIGKILL.
    #[error(
        "processes of the server (group {group}) are still there after SIGKILL: {}",
        list(processes)
    )]
    Survivors {
        /// Number of the group.
        group: u32,
        /// Who they are, where that can be seen.
        processes: Vec<ProcessName>,
    },
}

/// What it means to a study: some of it no retry mends.
impl From<ProcessError> for Verdict {
    fn from(error: ProcessError) -> Self {
        let message = error.to_string();
        match error {
            ProcessError::NoCommand
            | ProcessError::Address { .. }
            | ProcessError::Log { .. }
            | ProcessError::Guard { .. }
            | ProcessError::Program { .. } => Self::Broken { message },
            ProcessError::PortTaken { .. }
            | ProcessError::Wait(_)
            | ProcessError::LogTooLong { .. }
            | ProcessError::Survivors { .. } => Self::Failed { message },
        }
    }
}

fn by(holder: Option<&ProcessName>) -> String {
    holder.map(|holder| format!(" by process {holder}")).unwrap_or_default()
}

fn list(processes: &[ProcessName]) -> String {
    if processes.is_empty() {
        return "unknown".to_owned();
    }
    processes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
