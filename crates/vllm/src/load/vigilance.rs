//! How awake the client was: CPU time, and how late its executor reads what has arrived.
//!
//! A thread writes the time into a socket every 10 ms, and a task on the runtime reads it, as
//! other tasks read the chunks of answers. The time between is how much later than it arrived a
//! chunk may have been read. A timer would not tell: tokio's fire up to 1 ms late by design.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream as Writer,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use slotune_serving::{ClientFacts, metrics::percentile};
use tokio::{io::AsyncReadExt, net::UnixStream, runtime::Handle, task::JoinHandle};

use crate::clock::{now, process_cpu};

/// Time between two looks.
const PERIOD: Duration = Duration::from_millis(10);

/// A look at the client that lasts until it is ended or dropped.
pub(super) struct Vigilance {
    begun: Instant,
    cpu: Duration,
    lags_s: JoinHandle<Vec<f64>>,
    /// Ends the writing thread when dropped.
    stop: mpsc::Sender<()>,
}

impl Vigilance {
    pub(super) fn begin() -> io::Result<Self> {
        let (writer, reader) = Writer::pair()?;
        reader.set_nonblocking(true)?;
        let reader = UnixStream::from_std(reader)?;
        let begun = now();
        let (stop, stopped) = mpsc::channel();
        let tick = move || write_times(writer, begun, &stopped);
        thread::Builder::new().name("slotune-ticks".to_owned()).spawn(tick)?;
        let lags_s = tokio::spawn(read_times(reader, begun));
        Ok(Self { begun, cpu: process_cpu(), lags_s, stop })
    }

    /// What was seen since the beginning.
    pub(super) async fn end(self) -> ClientFacts {
        let cpu_s = process_cpu().saturating_sub(self.cpu).as_secs_f64();
        let wall_s = self.begun.elapsed().as_secs_f64();
        drop(self.stop);
        let mut lags_s = self.lags_s.await.unwrap_or_default();
        lags_s.sort_by(f64::total_cmp);
        let wake_lag_p99_s = percentile(&lags_s, 99.0).unwrap_or_default();
        ClientFacts { cpu_s, wall_s, cores: cores(), wake_lag_p99_s }
    }
}

/// Cores that the answers are read with: those of the machine that this process may use, but no
/// more than the runtime has threads.
fn cores() -> u32 {
    let machine = thread::available_parallelism().map_or(1, usize::from);
    let cores = machine.min(Handle::current().metrics().num_workers());
    u32::try_from(cores).unwrap_or(u32::MAX)
}

fn write_times(mut writer: Writer, begun: Instant, stopped: &mpsc::Receiver<()>) {
    while stopped.recv_timeout(PERIOD) == Err(mpsc::RecvTimeoutError::Timeout) {
        if writer.write_all(&begun.elapsed().as_secs_f64().to_le_bytes()).is_err() {
            return;
        }
    }
}

/// How late each time was read, seconds, until no more comes.
async fn read_times(mut reader: UnixStream, begun: Instant) -> Vec<f64> {
    let (mut lags_s, mut time) = (vec![], [0; 8]);
    while reader.read_exact(&mut time).await.is_ok() {
        lags_s.push(begun.elapsed().as_secs_f64() - f64::from_le_bytes(time));
    }
    lags_s
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn facts(work: impl Future<Output = ()>) -> ClientFacts {
        let vigilance = Vigilance::begin().expect("a socket");
        work.await;
        vigilance.end().await
    }

    #[tokio::test]
    async fn a_blocked_executor_wakes_late() {
        let facts = facts(async {
            for _ in 0..3 {
                thread::sleep(Duration::from_millis(100));
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(facts.wake_lag_p99_s > 0.05, "{facts:?}");
        assert!(facts.wall_s >= 0.3 && facts.cpu_s < facts.wall_s, "{facts:?}");
        assert_eq!(facts.cores, 1);
    }
}
