//! How much this client can take: chunks per second and core, and how late it reads them.
//!
//! The load generator, as it is, receives paced streams of the [stub](crate::stub), which runs on a
//! thread of its own. Each chunk holds one event with one token and is a write of its own, as
//! vLLM's are.
//!
//! - **Chunks per second and core**: chunks received / CPU seconds of the client, which are those of
//!   the process less those of the stub's thread. Chunks are paced, so that each is read by itself:
//!   an unpaced stub would have the client read many at once, which is cheaper (so does one that
//!   sends more than 1,000 chunks/s in a stream, since its timer ticks once a millisecond). The
//!   lower the rate, the fewer streams are read in one turn of the event loop, and the more a chunk
//!   costs: a number goes with its rate. On the loopback device the sender's thread does part of
//!   the kernel's receiving, which a network card's interrupts would do elsewhere; the client is
//!   charged for the rest.
//! - **Added latency**: when the client says that it read a chunk, less when the stub was about to
//!   write it. The kernel's way from one socket to the other is part of it.
//!
//! Both need a core for the client beside that of the stub. If the stub does not reach the rate,
//! half of it is tried, and so on; the rate that was reached is part of the answer.

use std::{
    future::pending,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use slotune_serving::{Load, RequestSpec, Schedule, Silent, metrics::percentile};

use crate::{
    client::{Client, ClientError},
    clock::{now, process_cpu, seconds_between},
    load::{self, LoadError, Options, Outcome},
    stub::{Script, Served, Stub},
};

/// Share of the rate that must be reached.
const LEAST_RATE: f64 = 0.95;

/// Rates that are tried, each half of the one before.
const TRIES: u32 = 5;

/// Time from the origin to the first arrival of the run.
const LEAD: Duration = Duration::from_millis(100);

/// How the client is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitOptions {
    /// Streams at the same time.
    pub streams: u32,
    /// Chunks per second, of all streams together.
    pub chunks_per_s: f64,
    /// How long each stream lasts, seconds.
    pub duration_s: f64,
}

impl Default for LimitOptions {
    /// 20,000 chunks/s in 64 streams, for 3 s.
    fn default() -> Self {
        Self { streams: 64, chunks_per_s: 20_000.0, duration_s: 3.0 }
    }
}

/// What the client could take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientLimit {
    /// Streams at the same time.
    pub streams: u32,
    /// Chunks received.
    pub chunks: u64,
    /// Chunks per second that were sent, of all streams together.
    pub chunks_per_second: f64,
    /// CPU time that the client took, seconds.
    pub client_cpu_s: f64,
    /// Chunks that a core can receive in a second.
    pub chunks_per_second_per_core: f64,
    /// Median of the time from a chunk's sending to its reading, milliseconds.
    pub added_p50_ms: f64,
    /// 99th percentile of the same.
    pub added_p99_ms: f64,
}

/// Why the client could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// An option cannot be used.
    #[error("`{field}` must be {allowed}")]
    Unusable {
        /// Which.
        field: &'static str,
        /// What may be given.
        allowed: &'static str,
    },
    /// The stub could not be started.
    #[error("the stub server cannot start: {0}")]
    Stub(#[from] std::io::Error),
    /// The stub cannot be talked to.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The load generator could not start.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A stream broke off.
    #[error("a stream from the stub did not end well: {0}; is something filtering loopback?")]
    Stream(String),
    /// No rate could be kept up.
    #[error("the stub cannot send even {0:.0} chunks/s; the machine is too busy to measure")]
    Busy(f64),
}

/// Measures the client on the runtime of the caller.
///
/// # Errors
/// When the stub cannot be run or the machine is too busy.
pub async fn client_limit(options: &LimitOptions) -> Result<ClientLimit, LimitError> {
    check(options)?;
    let mut chunks_per_s = options.chunks_per_s;
    for _ in 0..TRIES {
        let paced = Paced::new(&LimitOptions { chunks_per_s, ..*options });
        let limit = paced.measure().await?;
        if limit.chunks_per_second >= LEAST_RATE * chunks_per_s {
            return Ok(limit);
        }
        chunks_per_s /= 2.0;
    }
    Err(LimitError::Busy(2.0 * chunks_per_s))
}

fn check(options: &LimitOptions) -> Result<(), LimitError> {
    let unusable = |field, allowed| Err(LimitError::Unusable { field, allowed });
    if !(1..=16_384).contains(&options.streams) {
        return unusable("streams", "from 1 to 16,384");
    }
    if !(f64::from(options.streams)..=1e6).contains(&options.chunks_per_s) {
        return unusable("chunks_per_s", "from 1 for each stream to 1,000,000 in all");
    }
    if !(0.01..=60.0).contains(&options.duration_s) {
        return unusable("duration_s", "from 0.01 to 60");
    }
    Ok(())
}

/// Streams that a stub sends at a pace.
struct Paced {
    streams: u32,
    chunks_per_stream: u32,
    gap_s: f64,
}

impl Paced {
    fn new(options: &LimitOptions) -> Self {
        let gap_s = f64::from(options.streams) / options.chunks_per_s;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the 60 million chunks that the options allow"
        )]
        let chunks_per_stream = ((options.duration_s / gap_s) as u32).max(2);
        Self { streams: options.streams, chunks_per_stream, gap_s }
    }

    async fn measure(&self) -> Result<ClientLimit, LimitError> {
        let cpu = process_cpu();
        let stub = Stub::start(self.script())?;
        let client = Client::new(&stub.base_url(), None)?;
        let options = Options { record_chunk_times: true, ..Options::new("stub", 3..1000) };
        let origin = now() + LEAD;
        let schedule = self.schedule();
        let outcome = load::run(&client, &schedule, &options, origin, pending(), &Silent).await?;
        let served = stub.served();
        let stub_cpu = stub.stop();
        let client_cpu_s = process_cpu().saturating_sub(cpu + stub_cpu).as_secs_f64();
        self.sum_up(&outcome, &served, origin, client_cpu_s)
    }

    /// A stream is known by the length of its prompt.
    fn schedule(&self) -> Schedule {
        let spread_s = self.gap_s / f64::from(self.streams);
        let request = |i| RequestSpec {
            arrival_s: f64::from(i) * spread_s,
            prompt_tokens: i + 1,
            output_tokens: self.chunks_per_stream,
            shared_prefix: vec![],
        };
        Schedule { load: Load::Open, requests: (0..self.streams).map(request).collect() }
    }

    fn script(&self) -> Script {
        Script {
            max_model_len: u32::MAX,
            slots: self.streams as usize,
            token: Duration::from_secs_f64(self.gap_s),
            keep_send_times: true,
            ..Script::default()
        }
    }

    fn sum_up(
        &self,
        outcome: &Outcome,
        served: &[Served],
        origin: Instant,
        client_cpu_s: f64,
    ) -> Result<ClientLimit, LimitError> {
        let mut added_s = vec![];
        let mut chunks_per_second = 0.0;
        for record in &outcome.records {
            let sent = served.iter().find(|served| served.prompt_tokens == record.prompt_tokens);
            let Some(sent) = sent.filter(|_| record.is_completed()) else {
                return Err(LimitError::Stream(format!("{:?}", record.status)));
            };
            for (read_s, sent) in record.chunk_times_s.iter().zip(&sent.sent) {
                added_s.push(read_s - seconds_between(origin, *sent));
            }
            if let [first, .., last] = sent.sent.as_slice() {
                let gaps = (sent.sent.len() - 1) as f64;
                chunks_per_second += gaps / last.duration_since(*first).as_secs_f64();
            }
        }
        added_s.sort_by(f64::total_cmp);
        let added_ms = |percent| 1e3 * percentile(&added_s, percent).unwrap_or_default();
        let chunks = added_s.len() as u64;
        Ok(ClientLimit {
            streams: self.streams,
            chunks,
            chunks_per_second,
            client_cpu_s,
            chunks_per_second_per_core: chunks as f64 / client_cpu_s,
            added_p50_ms: added_ms(50.0),
            added_p99_ms: added_ms(99.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_client_is_measured_with_as_many_chunks_as_were_sent() {
        let options = LimitOptions { streams: 4, chunks_per_s: 400.0, duration_s: 0.2 };
        let limit = client_limit(&options).await.expect("measured");
        assert_eq!(limit.chunks % 4, 0);
        assert!(limit.added_p50_ms > 0.0 && limit.added_p50_ms <= limit.added_p99_ms, "{limit:?}");
        assert!(limit.client_cpu_s > 0.0 && limit.chunks_per_second_per_core > 0.0, "{limit:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_tried_is_named() {
        let usable = LimitOptions::default();
        for (options, field) in [
            (LimitOptions { streams: 0, ..usable }, "streams"),
            (LimitOptions { chunks_per_s: f64::NAN, ..usable }, "chunks_per_s"),
            (LimitOptions { duration_s: -1.0, ..usable }, "duration_s"),
        ] {
            let error = client_limit(&options).await.expect_err(field);
            assert!(error.to_string().contains(field), "{error}");
        }
    }
}
