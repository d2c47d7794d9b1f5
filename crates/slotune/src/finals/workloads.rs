//! Workloads of the finals that follow from that of the search, for those who name none.

use slotune_serving::{
    Schedule, Workload,
    workload::{
        Arrivals, Lengths, Replay, ReplayRate, Size, Synthetic, TraceSource, WorkloadError,
    },
};

/// How many times as many requests as the search's a sustained workload has.
const LONGER: u32 = 5;

/// The workload of the search, held for five times as many requests and without its lulls: where it
/// replays a trace, requests arrive at its mean rate in a Poisson process, with lengths drawn from the
/// trace.
///
/// # Errors
/// When the trace cannot be read or its window is none.
pub fn sustained(own: &Workload, seed: u64) -> Result<Workload, WorkloadError> {
    let synthetic = match own {
        Workload::Synthetic(own) => Synthetic { size: longer(own.size), ..own.clone() },
        Workload::Replay(own) => {
            let schedule = Workload::Replay(own.clone()).schedule()?;
            let requests = u32::try_from(schedule.requests.len()).unwrap_or(u32::MAX);
            let arrivals = match schedule.summary().rate_per_s() {
                Some(rate_per_s) => Arrivals::Poisson { rate_per_s },
                // They all come at once.
                None => Arrivals::Closed { concurrency: requests },
            };
            let lengths = Lengths::Empirical { from: own.trace.clone() };
            Synthetic { arrivals, lengths, size: longer(Size::Requests(requests)), seed }
        }
        Workload::OfEachTrial { .. } => return own.schedule().map(|_| own.clone()),
    };
    Ok(Workload::Synthetic(synthetic))
}

fn longer(size: Size) -> Size {
    match size {
        Size::Requests(requests) => Size::Requests(requests.saturating_mul(LONGER)),
        Size::DurationS(duration_s) => Size::DurationS(f64::from(LONGER) * duration_s),
    }
}

/// As many requests of the built-in trace as the search has, at the rate at which they ask for as many
/// tokens a second; at the recorded rate where the search has no rate. `None` where the search replays a
/// trace itself.
///
/// # Errors
/// When the workload of the search gives no requests.
pub fn realistic(own: &Workload) -> Result<Option<Workload>, WorkloadError> {
    let Workload::Synthetic(_) = own else { return Ok(None) };
    let schedule = own.schedule()?;
    let trace = TraceSource::AzureConversation2023;
    let recorded = trace.trace()?.requests.len();
    let requests = u32::try_from(schedule.requests.len().min(recorded)).unwrap_or(u32::MAX);
    let size = Some(Size::Requests(requests));
    let replay = Replay { trace, start_s: 0.0, size, rate: ReplayRate::Recorded };
    let replayed = Workload::Replay(replay.clone()).schedule()?;
    let rate = match (tokens_per_s(&schedule), tokens_per_s(&replayed)) {
        (Some(wanted), Some(recorded)) => ReplayRate::Factor(wanted / recorded),
        _ => ReplayRate::Recorded,
    };
    Ok(Some(Workload::Replay(Replay { rate, ..replay })))
}

/// Tokens of prompts and outputs asked for, tokens/s; `None` where requests have no times.
fn tokens_per_s(schedule: &Schedule) -> Option<f64> {
    let summary = schedule.summary();
    let per_request =
        (summary.prompt_tokens + summary.output_tokens) as f64 / summary.requests as f64;
    Some(per_request * summary.rate_per_s()?)
}
