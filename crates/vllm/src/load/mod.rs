//! The load generator: sends the requests of a schedule when they are due, and records what comes
//! back and when.
//!
//! The schedule is absolute: a thread of its own sleeps until each arrival and hands the request,
//! whose body was written before, to the runtime of the caller. How late that was is in the
//! record, and so is how late the runtime woke: a slow client shows, and is not taken for a slow
//! server. Nothing is sent twice, and nothing that failed enters a latency.
//!
//! A time-stamp is taken when a piece of the answer is read; all events in one piece share it.
//!
//! A request has *completed* when as many tokens came as were asked for, and the stream said that
//! it is over: by `[DONE]` or, since proxies swallow that, by a reason to finish and the usage. It
//! was *rejected* if the server answered with another status than 200. Otherwise it *failed*: no
//! connection, a stream that broke, an error among its events, silence, an event without end, or
//! other tokens than asked for, as when vLLM cuts `max_tokens` to what fits into the model's length.

mod answer;
mod early_stop;
mod exchange;
mod prompt;
mod release;
mod sse;
mod vigilance;

use std::{future::Future, io, ops::Range, pin::pin, sync::Arc, time::Duration, time::Instant};

use serde::{Deserialize, Serialize};
use slotune_serving::{
    Caveat, ClientFacts, GiveUp, Load, Progress, RequestRecord, RequestSpec, RequestStatus,
    Schedule, Stage,
};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};

use crate::{
    client::Client,
    clock::{now, seconds_between},
};
use early_stop::EarlyStop;
use exchange::Exchange;
use vigilance::Vigilance;

/// How often progress is told and an early stop considered.
const TICK: Duration = Duration::from_millis(100);

/// How requests are made and when the run ends early.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Name of the model, as the server calls it.
    pub model: String,
    /// Where requests go.
    pub endpoint: Endpoint,
    /// Root of the prompts. A server with a prefix cache knows the prompts of an earlier run with
    /// the same seed.
    pub seed: u64,
    /// Token ids that prompts are drawn from; those at the start are often special.
    pub vocabulary: Range<u32>,
    /// Whether to keep the arrival time of every event with tokens.
    pub record_chunk_times: bool,
    /// When the outcome is decided.
    pub give_up: Vec<GiveUp>,
    /// Longest that an open loop may go on after its last arrival, seconds.
    pub overrun_limit_s: f64,
    /// Longest that a request may be without any byte of an answer, seconds; it has failed then.
    pub silence_limit_s: f64,
}

/// Which of the server's endpoints requests go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    #[default]
    /// `/v1/completions`, with prompts of token ids: their lengths are exact.
    Completions,
    /// `/v1/chat/completions`, with prompts of words: their lengths are about what is wanted, and
    /// the record keeps what the server counted.
    Chat,
}

impl Endpoint {
    fn path(self) -> &'static str {
        match self {
            Self::Completions => "/v1/completions",
            Self::Chat => "/v1/chat/completions",
        }
    }
}

impl Options {
    /// Completions for this model with prompts of these token ids, seed 0, without chunk times or
    /// giving up; a minute of overrun and ten of silence.
    pub fn new(model: impl Into<String>, vocabulary: Range<u32>) -> Self {
        Self {
            model: model.into(),
            endpoint: Endpoint::Completions,
            seed: 0,
            vocabulary,
            record_chunk_times: false,
            give_up: vec![],
            overrun_limit_s: 60.0,
            silence_limit_s: 600.0,
        }
    }
}

/// What came of a schedule. Times are seconds from the origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// One record for each request, in the order of the schedule.
    pub records: Vec<RequestRecord>,
    /// When the last request ended, or the run was stopped.
    pub end_s: f64,
    /// What the client cost.
    pub client: ClientFacts,
    /// Why the run was stopped before all requests had ended, unless the caller cancelled it.
    pub stopped: Option<Caveat>,
    /// Completed requests whose tokens had to be counted by events, since the server gave no usage.
    pub without_usage: usize,
}

/// Why no load could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// An option or a field of the schedule cannot be used.
    #[error("`{field}` {problem}")]
    Unusable {
        /// Which.
        field: &'static str,
        /// What is wrong with it, and the remedy.
        problem: String,
    },
    /// The machine gave no thread or socket.
    #[error("the load generator cannot start: {0}; the machine is short of threads or open files")]
    Machine(#[from] io::Error),
}

/// Sends the requests of `schedule` and returns what came of them. Must run in a tokio runtime with
/// I/O and time, which then reads all answers; give it a core of its own.
///
/// Time 0 of the run is `origin`. It should lie some 0.1 s ahead, so that the first bodies are
/// written before they are due. In an open loop, a request is intended at its arrival. In a closed
/// one it is due as soon as one ends; the first ones, which no arrival times order, are due when
/// the client gets to them, since a server cannot be sent a thousand requests at one instant.
///
/// The run ends early when [`Options::give_up`] is certain ([`Decided`]), when an open loop will
/// not end within the overrun limit or has not ([`Overload`]), and when `cancelled` completes,
/// which says that the server is gone. Dropping the future stops all requests.
///
/// The process's limit of open files is raised as far as the system lets it, since each request
/// under way takes one.
///
/// [`Decided`]: slotune_serving::CaveatClass::Decided
/// [`Overload`]: slotune_serving::CaveatClass::Overload
///
/// # Errors
/// When options or schedule cannot be used, or the machine gives no thread or socket.
pub async fn run(
    client: &Client,
    schedule: &Schedule,
    options: &Options,
    origin: Instant,
    cancelled: impl Future<Output = ()>,
    progress: &dyn Progress,
) -> Result<Outcome, LoadError> {
    check(schedule, options)?;
    raise_open_files();
    let vigilance = Vigilance::begin()?;
    let (stop, stopped) = watch::channel(None);
    let (report, mut reports) = mpsc::unbounded_channel();
    let exchange = Arc::new(Exchange::new(client, options, origin, report, stopped));
    let mut release = Some(release::start(schedule, options, exchange)?);

    let scheduled = schedule.requests.len();
    let mut early_stop = EarlyStop::new(schedule, options);
    let mut seen = Seen { records: vec![None; scheduled], ended: 0, end_s: 0.0, without_usage: 0 };
    let mut outcome_stopped = None;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut cancelled, mut is_cancelled) = (pin!(cancelled), false);
    loop {
        tokio::select! {
            report = reports.recv() => match report {
                Some(report) => {
                    early_stop.hear(&report);
                    seen.take(report);
                }
                // Nobody is left to report.
                None => break,
            },
            _ = ticks.tick() => {
                progress.stage(Stage::Measuring { ended: seen.ended, scheduled });
                let now_s = seconds_between(origin, now());
                if outcome_stopped.is_none() && !is_cancelled
                    && let Some(caveat) = early_stop.verdict(now_s)
                {
                    outcome_stopped = Some(caveat);
                    drop(release.take());
                    stop.send_replace(Some(Stop::Early));
                }
            }
            () = &mut cancelled, if !is_cancelled => {
                is_cancelled = true;
                drop(release.take());
                stop.send_replace(Some(Stop::ServerGone));
            }
        }
    }
    progress.stage(Stage::Measuring { ended: seen.ended, scheduled });
    let client = vigilance.end().await;
    let end_s = seen.end_s;
    let without_usage = seen.without_usage;
    let records = seen.complete(schedule);
    Ok(Outcome { records, end_s, client, stopped: outcome_stopped, without_usage })
}

/// Why requests under way are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Their outcome is not needed any more.
    Early,
    /// The server will not answer.
    ServerGone,
}

/// What is told of a request while the run goes on. Times are seconds from the origin.
#[derive(Debug)]
enum Report {
    /// It is being sent.
    Sent { index: u32, intended_s: f64 },
    /// Its first token came.
    FirstToken { index: u32 },
    /// It ended.
    Ended { record: RequestRecord, lacks_usage: bool, at_s: f64 },
}

/// What has ended.
struct Seen {
    records: Vec<Option<RequestRecord>>,
    ended: usize,
    end_s: f64,
    without_usage: usize,
}

impl Seen {
    fn take(&mut self, report: Report) {
        let Report::Ended { record, lacks_usage, at_s } = report else { return };
        self.ended += 1;
        self.end_s = self.end_s.max(at_s);
        // One that was broken off had no chance to be told.
        self.without_usage += usize::from(lacks_usage && record.is_completed());
        if let Some(place) = self.records.get_mut(record.index as usize) {
            *place = Some(record);
        }
    }

    /// Adds the records of requests that were not sent.
    fn complete(self, schedule: &Schedule) -> Vec<RequestRecord> {
        let due_s = |spec: &RequestSpec| match schedule.load {
            Load::Open => spec.arrival_s,
            Load::Closed { .. } => self.end_s,
        };
        let pairs = (0..).zip(self.records).zip(&schedule.requests);
        pairs
            .map(|((index, record), spec)| {
                record.unwrap_or_else(|| RequestRecord {
                    index,
                    prompt_tokens: spec.prompt_tokens,
                    output_tokens: 0,
                    intended_s: due_s(spec),
                    sent_s: due_s(spec),
                    first_token_s: None,
                    last_token_s: None,
                    queue_time_s: None,
                    chunk_times_s: vec![],
                    status: RequestStatus::NotSent,
                })
            })
            .collect()
    }
}

fn check(schedule: &Schedule, options: &Options) -> Result<(), LoadError> {
    let unusable = |field, problem: String| Err(LoadError::Unusable { field, problem });
    if options.vocabulary.is_empty() {
        return unusable("vocabulary", "is empty; give the ids that prompts may hold".to_owned());
    }
    for (field, limit_s) in
        [("overrun_limit_s", options.overrun_limit_s), ("silence_limit_s", options.silence_limit_s)]
    {
        // Three years, which a duration holds with room for sums.
        if !(0.0..=1e8).contains(&limit_s) {
            return unusable(field, format!("is {limit_s}; give seconds from 0 to 1e8"));
        }
    }
    if schedule.load == (Load::Closed { concurrency: 0 }) {
        return unusable("concurrency", "is 0; give at least 1 request in flight".to_owned());
    }
    let arrivals = schedule.requests.iter().map(|request| request.arrival_s);
    match arrivals.enumerate().find(|(_, arrival_s)| !(0.0..=1e8).contains(arrival_s)) {
        Some((i, arrival_s)) => unusable(
            "arrival_s",
            format!("of request {i} is {arrival_s}; give seconds from 0 to 1e8"),
        ),
        None => Ok(()),
    }
}

/// Raises the soft limit of open files to the hard one. Where the system refuses, requests that
/// find no file fail and say so.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, ..limit };
        setrlimit(Resource::Nofile, raised).ok();
    }
}
