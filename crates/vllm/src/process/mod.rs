//! A server process of our own: started in a guarded group, watched, and stopped so that nothing of
//! it is left, however the tuner ends.
//!
//! - `guard`: the process that kills the group when the tuner dies, even by SIGKILL.
//! - `family`: which processes belong to the server, those that left its group included.
//! - `logs`: standard output and error, each in a file.
//! - `port`: free before the start, free after the stop.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

mod error;
mod family;
mod guard;
mod logs;
pub mod port;
mod table;

pub use error::ProcessError;
pub use logs::Logs;
pub use table::ProcessName;

use family::Family;
use guard::Guard;

/// How often a running server is looked at: its family and the size of its logs.
const WATCH: Duration = Duration::from_secs(2);
/// How often one looks whether processes that were told to end have ended.
const LOOK: Duration = Duration::from_millis(50);
/// Most time for killed processes to be gone. A driver takes seconds to unmap a large GPU's memory.
const GONE: Duration = Duration::from_mins(1);
/// Most time for the port to be free once the processes are gone.
const PORT_FREE: Duration = Duration::from_secs(10);

/// What to start.
#[derive(Clone)]
pub struct Launch {
    /// Program and arguments, run without a shell.
    pub command: Vec<String>,
    /// Variables to set on top of the tuner's own. They may hold secrets.
    pub environment: BTreeMap<String, String>,
    /// Address that the server will listen on.
    pub address: SocketAddr,
    /// Stem of the two log files: `STEM.stdout.log` and `STEM.stderr.log`.
    pub log: PathBuf,
    /// Most bytes of one log file; a server that writes more is reported by
    /// [`ServerProcess::exited`].
    pub log_limit_bytes: u64,
}

/// Without values of variables and without arguments: either may be a secret.
impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("program", &self.command.first())
            .field("arguments", &self.command.len().saturating_sub(1))
            .field("environment", &self.environment.keys())
            .field("address", &self.address)
            .field("log", &self.log)
            .field("log_limit_bytes", &self.log_limit_bytes)
            .finish()
    }
}

/// A server that runs.
///
/// To drop it kills its whole family at once, without waiting until it is gone; so does the death of
/// this process, whatever its cause. [`stop`](Self::stop) is the gentle way.
///
/// # Limits
/// A process that leaves the server's group is known from the next look at it on (every two seconds
/// while [`exited`](Self::exited) is awaited, and when the server is stopped). One that leaves the
/// group and loses its parent before a look is not found. Where there is no `/proc`, only the
/// group is looked after.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    pid: Pid,
    family: Family,
    guard: Guard,
    logs: Logs,
    log_limit_bytes: u64,
    address: SocketAddr,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Its exit status.
    pub status: ExitStatus,
    /// Whether it, or a process of its family, had to be killed after the grace.
    pub killed: bool,
}

impl ServerProcess {
    /// Starts the server in a group of its own, under a guard.
    ///
    /// The guard is started first and leads the group, so that the server lives at no moment
    /// without it and the number of the group cannot come to mean another one.
    ///
    /// # Errors
    /// [`ProcessError`] when the port is taken, a log cannot be written, or the guard or the program
    /// cannot be started. Then nothing is left running.
    ///
    /// # Panics
    /// Outside a tokio runtime that has I/O enabled.
    pub fn start(launch: &Launch) -> Result<Self, ProcessError> {
        let (program, arguments) = launch.command.split_first().ok_or(ProcessError::NoCommand)?;
        port::check_free(launch.address)?;
        let (logs, stdout, stderr) = Logs::create(&launch.log)?;
        let guard = Guard::start()?;
        let child = Command::new(program)
            .args(arguments)
            .envs(&launch.environment)
            .process_group(guard.group().as_raw_nonzero().get())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(|source| ProcessError::Program { program: program.clone(), source })?;
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .expect("a child has a number until somebody waits for it");
        Ok(Self {
            child,
            pid,
            family: Family::new(guard.group(), pid),
            guard,
            logs,
            log_limit_bytes: launch.log_limit_bytes,
            address: launch.address,
        })
    }

    /// Number of the server's process.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Number of the group, which is that of the guard.
    pub fn group(&self) -> u32 {
        self.guard.group().as_raw_nonzero().get().cast_unsigned()
    }

    /// Where its output goes.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Waits until the server ends and gives its exit status; answers at once when it has ended. May
    /// be dropped and called again.
    ///
    /// While it waits, it watches the family and the logs.
    ///
    /// # Errors
    /// [`ProcessError::LogTooLong`] when a log outgrows its limit; the server still runs then.
    pub async fn exited(&mut self) -> Result<ExitStatus, ProcessError> {
        let mut watch = interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                status = self.child.wait() => return status.map_err(ProcessError::Wait),
                _ = watch.tick() => self.look().await?,
            }
        }
    }

    /// Looks once at what [`exited`](Self::exited) watches: which processes belong to the server
    /// now, and whether a log outgrew its limit.
    ///
    /// # Errors
    /// As [`exited`](Self::exited).
    pub async fn look(&mut self) -> Result<(), ProcessError> {
        // On another thread: hundreds of small files are read, while requests are being timed.
        let table = tokio::task::spawn_blocking(table::read).await.ok().flatten();
        if let Some(table) = table {
            self.family.observe(&table);
            self.guard.tell(&self.family.strays(&table));
        }
        self.logs.check(self.log_limit_bytes)
    }

    /// Stops the server: SIGTERM to the server alone, which stops its own workers in order; when it
    /// or one of its family is still there after `grace`, SIGKILL to all of them. Then it looks that
    /// nobody is left and that the port is free.
    ///
    /// Close the connections to the server first: vLLM does not end while a client streams.
    ///
    /// # Errors
    /// [`ProcessError::Survivors`] and [`ProcessError::PortTaken`] when something is left. When the
    /// future is dropped, everything is killed.
    pub async fn stop(mut self, grace: Duration) -> Result<Stopped, ProcessError> {
        self.observe();
        // While nobody has waited for the child, its number cannot belong to another process.
        if self.child.id().is_some() {
            let _ = kill_process(self.pid, Signal::TERM);
        }
        let left_in_time = timeout(grace, self.all_left()).await.is_ok();
        self.kill_family();
        let Ok(status) = timeout(GONE, self.child.wait()).await else {
            return Err(self.survivors());
        };
        let status = status.map_err(ProcessError::Wait)?;
        if timeout(GONE, self.none_alive()).await.is_err() {
            return Err(self.survivors());
        }
        self.guard.reap();
        port::wait_until_free(self.address, PORT_FREE).await?;
        Ok(Stopped { status, killed: !left_in_time })
    }

    /// Waits until the server and its family, the guard apart, have left by themselves. The workers
    /// outlive the server by moments in which they clean up shared memory.
    async fn all_left(&mut self) {
        let _ = self.child.wait().await;
        while table::read().is_some_and(|table| !self.family.alive(&table).is_empty()) {
            sleep(LOOK).await;
        }
    }

    /// Waits until nobody of a killed family is alive. Zombies are dead.
    async fn none_alive(&mut self) {
        loop {
            let left = if let Some(table) = table::read() {
                self.family.observe(&table);
                self.family.kill_strays(&table);
                !self.family.alive(&table).is_empty()
            } else {
                self.guard.reap();
                self.guard.group_exists()
            };
            if !left {
                return;
            }
            sleep(LOOK).await;
        }
    }

    fn observe(&mut self) {
        if let Some(table) = table::read() {
            self.family.observe(&table);
        }
    }

    /// SIGKILL to the group, guard included, and to those that left it.
    fn kill_family(&mut self) {
        let table = table::read();
        if let Some(table) = &table {
            self.family.observe(table);
        }
        self.guard.kill_group();
        if let Some(table) = &table {
            self.family.kill_strays(table);
        }
    }

    fn survivors(&self) -> ProcessError {
        let alive = table::read().map(|table| self.family.alive(&table)).unwrap_or_default();
        ProcessError::Survivors { group: self.group(), processes: alive }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if !self.guard.is_reaped() {
            self.kill_family();
        }
    }
}
