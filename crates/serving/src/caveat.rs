//! What limits what a run says, and whether it can be used at all.

use serde::{Deserialize, Serialize};

use crate::{
    Load, RequestRecord, RequestStatus, Run, Schedule,
    metrics::{percentile, steady_state},
};

/// Latest that the client may send a request, as the 99th percentile, seconds.
const LATEST_SEND_S: f64 = 0.005;

/// The same as a share of the median TTFT, where that is more.
const LATEST_SEND_OF_TTFT: f64 = 0.02;

/// Least share of the intended rate that the client must achieve.
const LEAST_RATE: f64 = 0.98;

/// Largest share of its cores that the client may use: above it, chunks wait to be read.
const LARGEST_CPU_SHARE: f64 = 0.9;

/// How far client and server may disagree on token counts.
const TOKEN_DISAGREEMENT: f64 = 0.01;

/// Share of prompt tokens found in the prefix cache above which a workload of unlike prompts was
/// not what it seemed.
const STRAY_CACHE_HITS: f64 = 0.01;

/// Something that limits what a run says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caveat {
    /// What kind.
    pub class: CaveatClass,
    /// What was seen, in a sentence.
    pub message: String,
}

/// Kinds of caveats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CaveatClass {
    /// The client sent requests late.
    ClientLate,
    /// The client did not achieve the intended rate.
    ClientRate,
    /// The client was short of CPU.
    ClientCpu,
    /// Client and server count tokens differently.
    TokenCounts,
    /// Prompts that should be unlike any other were found in the prefix cache.
    PrefixCache,
    /// Latency never settled.
    NotSteady,
    /// The server refused some requests, whose latencies are not among those measured.
    Rejected,
    /// The run was stopped since the server did not keep up.
    Overload,
    /// The run was stopped since its outcome was decided.
    Decided,
    /// The server did not become idle before or after the run.
    NotDrained,
    /// Somebody else used the machine.
    Shared,
    /// The server is not what it was said to be.
    Server,
    /// Another tool measured it, and cannot tell what slotune would.
    OtherTool,
}

impl CaveatClass {
    /// Its name in stored tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientLate => "client_late",
            Self::ClientRate => "client_rate",
            Self::ClientCpu => "client_cpu",
            Self::TokenCounts => "token_counts",
            Self::PrefixCache => "prefix_cache",
            Self::NotSteady => "not_steady",
            Self::Rejected => "rejected",
            Self::Overload => "overload",
            Self::Decided => "decided",
            Self::NotDrained => "not_drained",
            Self::Shared => "shared",
            Self::Server => "server",
            Self::OtherTool => "other_tool",
        }
    }

    /// Whether a run with it measures the client rather than the server, and must not be used.
    pub fn is_disqualifying(self) -> bool {
        matches!(self, Self::ClientLate | Self::ClientRate | Self::ClientCpu)
    }
}

impl Caveat {
    /// A caveat of this class, with what was seen.
    pub fn new(class: CaveatClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }
}

impl Run {
    /// Adds to the caveats what the records show of client, counts and steadiness.
    pub fn examine(&mut self, schedule: &Schedule) {
        let seen = [
            self.late_client(),
            self.slow_client(schedule),
            self.busy_client(),
            self.token_counts(),
            self.stray_cache_hits(schedule),
            self.unsteadiness(),
            self.rejections(),
        ];
        self.caveats.extend(seen.into_iter().flatten());
    }

    /// The first caveat for which the run must not be used.
    pub fn disqualification(&self) -> Option<&Caveat> {
        self.caveats.iter().find(|caveat| caveat.class.is_disqualifying())
    }

    /// 99th percentile of how late requests were sent, seconds; `None` where none was sent.
    pub fn dispatch_lag_p99_s(&self) -> Option<f64> {
        let lags = self.sent().map(|(intended_s, sent_s)| sent_s - intended_s);
        percentile_of(lags.collect(), 99.0)
    }

    /// Intended and real send times of all requests that were sent, in the schedule's order.
    fn sent(&self) -> impl Iterator<Item = (f64, f64)> {
        self.records
            .iter()
            .filter(|record| record.status != RequestStatus::NotSent)
            .map(|record| (record.intended_s, record.sent_s))
    }

    fn late_client(&self) -> Option<Caveat> {
        let lag_s = self.dispatch_lag_p99_s()?;
        let ttft_s = self.records.iter().filter_map(RequestRecord::ttft_s).collect();
        let ttft_p50_s = percentile_of(ttft_s, 50.0).unwrap_or_default();
        let limit_s = LATEST_SEND_S.max(LATEST_SEND_OF_TTFT * ttft_p50_s);
        let worst =
            [("sent requests", Some(lag_s)), ("woke", self.client.map(|c| c.wake_lag_p99_s))];
        let (what, lag_s) = worst
            .into_iter()
            .filter_map(|(what, lag_s)| Some((what, lag_s.filter(|lag_s| *lag_s > limit_s)?)))
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Caveat::new(
            CaveatClass::ClientLate,
            format!(
                "the client {what} up to {:.1} ms late (P99), more than {:.1} ms; give it a core of its own",
                1e3 * lag_s,
                1e3 * limit_s
            ),
        ))
    }

    fn slow_client(&self, schedule: &Schedule) -> Option<Caveat> {
        if schedule.load != Load::Open {
            return None;
        }
        let (first, last) = (self.sent().next()?, self.sent().last()?);
        let intended_s = last.0 - first.0;
        let sent_s = last.1 - first.1;
        let achieved = intended_s / sent_s;
        (intended_s > 0.0 && achieved < LEAST_RATE).then(|| {
            Caveat::new(
                CaveatClass::ClientRate,
                format!(
                    "the client achieved {:.1} % of the intended rate, less than {:.0} %; give it a core of its own, or lower the rate",
                    100.0 * achieved,
                    100.0 * LEAST_RATE
                ),
            )
        })
    }

    fn busy_client(&self) -> Option<Caveat> {
        let client = self.client?;
        let share = client.cpu_s / (client.wall_s * f64::from(client.cores.max(1)));
        (share > LARGEST_CPU_SHARE).then(|| {
            Caveat::new(
                CaveatClass::ClientCpu,
                format!(
                    "the client used {:.0} % of its {} cores, more than {:.0} %; give it more cores, or lower the rate",
                    100.0 * share,
                    client.cores,
                    100.0 * LARGEST_CPU_SHARE
                ),
            )
        })
    }

    /// Compares what completed; requests that broke off count differently on both sides.
    fn token_counts(&self) -> Option<Caveat> {
        let completed = self.records.iter().filter(|record| record.is_completed());
        let (prompt, output) = completed.fold((0_u64, 0_u64), |(prompt, output), record| {
            (prompt + u64::from(record.prompt_tokens), output + u64::from(record.output_tokens))
        });
        let all_completed = self.records.iter().all(RequestRecord::is_completed);
        let counts = [
            ("prompt tokens", prompt, self.server.prompt_tokens),
            ("output tokens", output, self.server.output_tokens),
            ("completed requests", self.completed() as u64, self.server.completed_requests),
        ];
        let (what, client, server) = counts
            .into_iter()
            .filter_map(|(what, client, server)| Some((what, client, server?)))
            .filter(|_| all_completed)
            .find(|(_, client, server)| {
                client.abs_diff(*server) as f64 > TOKEN_DISAGREEMENT * *client.max(server) as f64
            })?;
        Some(Caveat::new(
            CaveatClass::TokenCounts,
            format!(
                "the client counted {client} {what}, the server {server}; somebody else may use the server"
            ),
        ))
    }

    fn completed(&self) -> usize {
        self.records.iter().filter(|record| record.is_completed()).count()
    }

    fn stray_cache_hits(&self, schedule: &Schedule) -> Option<Caveat> {
        let shares_prefixes =
            schedule.requests.iter().any(|request| !request.shared_prefix.is_empty());
        let (hits, queries) = (self.server.prefix_cache_hits?, self.server.prefix_cache_queries?);
        let share = hits as f64 / queries as f64;
        (!shares_prefixes && queries > 0 && share > STRAY_CACHE_HITS).then(|| {
            Caveat::new(
                CaveatClass::PrefixCache,
                format!(
                    "{:.1} % of the prompt tokens were found in the prefix cache although the prompts share none; something else warmed it",
                    100.0 * share
                ),
            )
        })
    }

    fn rejections(&self) -> Option<Caveat> {
        let texts: Vec<&str> = self.records.iter().filter_map(RequestRecord::rejection).collect();
        let first = texts.first()?;
        Some(Caveat::new(
            CaveatClass::Rejected,
            format!(
                "the server refused {} of {} requests, so latencies are those of the others; the first: {first}",
                texts.len(),
                self.records.len()
            ),
        ))
    }

    fn unsteadiness(&self) -> Option<Caveat> {
        let steady = steady_state(&self.records)?;
        (!steady.is_reached()).then(|| {
            Caveat::new(
                CaveatClass::NotSteady,
                "latency did not settle in the first half of the run; lengthen the workload, or lower the load",
            )
        })
    }
}

fn percentile_of(mut values: Vec<f64>, percent: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    percentile(&values, percent)
}
