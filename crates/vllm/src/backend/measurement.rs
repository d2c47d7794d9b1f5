//! One measurement of a server that is ready: warm up, drain, load, drain, and what the server
//! counted in between.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use slotune_serving::{
    Caveat, CaveatClass, ClientFacts, Load, Progress, RequestRecord, RequestSpec, Schedule,
    ServerFacts, ServerSample, Silent, TrialRequest, random::derive,
};
use tokio::time::sleep;

use super::service::Service;
use crate::{
    ServerConfiguration,
    clock::now,
    load::{self, LoadError},
    telemetry::{self, Counters},
};

/// How far ahead of now a run begins: its first requests are made in this time.
const AHEAD: Duration = Duration::from_millis(200);

/// Most output tokens of a warm-up request: it is the first steps that compile.
const WARM_UP_TOKENS: u32 = 64;

/// Least time that an open loop may go on after its last arrival, seconds.
const LEAST_OVERRUN_S: f64 = 60.0;

/// Longest wait for the server to have counted what the client received.
const COUNTED_WITHIN: Duration = Duration::from_secs(2);

/// What a measurement gave.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) records: Vec<RequestRecord>,
    pub(super) end_s: f64,
    pub(super) client: ClientFacts,
    /// Without what is known of the start.
    pub(super) server: ServerFacts,
    pub(super) timeline: Vec<ServerSample>,
    pub(super) caveats: Vec<Caveat>,
}

/// Measures the server; ends early when `gone` completes, which says that the server ended.
///
/// # Errors
/// When the machine gives no load, or the schedule cannot be sent.
pub(super) async fn measure(
    service: &Service,
    configuration: &ServerConfiguration,
    request: &TrialRequest,
    gone: impl Future<Output = ()>,
    progress: &dyn Progress,
) -> Result<Measured, LoadError> {
    let mut gone = std::pin::pin!(gone);
    let drain_limit = Duration::from_secs_f64(configuration.drain_limit_s);
    let mut caveats = Vec::new();
    warm_up(service, configuration, request, &mut gone).await?;
    if !service.drain(drain_limit).await {
        caveats.push(not_drained("before", "somebody else may use the server"));
    }
    service.reset_prefix_cache().await;
    let before = service.counters().await;

    let options = options(service, configuration, request);
    let origin = now() + AHEAD;
    let mut timeline = Vec::new();
    let outcome = {
        let watched = telemetry::watch(&service.client, &before, origin, &mut timeline);
        let loaded =
            load::run(&service.client, &request.schedule, &options, origin, gone, progress);
        tokio::select! {
            outcome = loaded => outcome?,
            never = watched => match never {},
        }
    };
    if !service.drain(drain_limit).await {
        caveats.push(not_drained("after", "it may still work on requests that were given up"));
    }
    let completed = outcome.records.iter().filter(|record| record.is_completed()).count();
    let after = counted(service, &before, completed).await;
    caveats.extend(outcome.stopped);
    if outcome.without_usage > 0 {
        caveats.push(Caveat::new(
            CaveatClass::TokenCounts,
            format!(
                "the server gave no usage for {} requests, whose tokens were counted by chunks",
                outcome.without_usage
            ),
        ));
    }
    Ok(Measured {
        records: outcome.records,
        end_s: outcome.end_s,
        client: outcome.client,
        server: ServerFacts {
            arguments: service.arguments.clone(),
            vllm_version: Some(service.version.clone()),
            ..after.since(&before)
        },
        timeline,
        caveats,
    })
}

/// Sends some of the requests, shortened, with prompts that the measurement does not repeat.
async fn warm_up(
    service: &Service,
    configuration: &ServerConfiguration,
    request: &TrialRequest,
    gone: impl Future<Output = ()>,
) -> Result<(), LoadError> {
    let specs = &request.schedule.requests;
    let count = configuration.warm_up_requests.min(u32::try_from(specs.len()).unwrap_or(u32::MAX));
    if count == 0 {
        return Ok(());
    }
    // Evenly over the schedule, so that long and short ones are among them.
    let every = specs.len() / count as usize;
    let requests = specs.iter().step_by(every).take(count as usize).map(|spec| RequestSpec {
        arrival_s: 0.0,
        output_tokens: spec.output_tokens.min(WARM_UP_TOKENS),
        shared_prefix: vec![],
        ..*spec
    });
    let warm_up = TrialRequest {
        schedule: Arc::new(Schedule {
            load: Load::Closed { concurrency: count },
            requests: requests.collect(),
        }),
        arguments: request.arguments.clone(),
        seed: derive(request.seed, "vllm/warm-up", 0),
        record_chunk_times: false,
        give_up: vec![],
    };
    let options = options(service, configuration, &warm_up);
    let origin: Instant = now();
    load::run(&service.client, &warm_up.schedule, &options, origin, gone, &Silent).await?;
    Ok(())
}

fn options(
    service: &Service,
    configuration: &ServerConfiguration,
    request: &TrialRequest,
) -> load::Options {
    let arrivals_s = request.schedule.summary().arrival_span_s;
    load::Options {
        model: service.model.clone(),
        endpoint: configuration.endpoint,
        seed: request.seed,
        vocabulary: service.vocabulary.clone(),
        record_chunk_times: request.record_chunk_times,
        give_up: request.give_up.clone(),
        overrun_limit_s: configuration.overrun_limit_s.unwrap_or(arrivals_s.max(LEAST_OVERRUN_S)),
        silence_limit_s: configuration.silence_limit_s,
    }
}

/// The counters after a run. A server counts a request moments after its last token was read.
async fn counted(service: &Service, before: &Counters, completed: usize) -> Counters {
    let until = now() + COUNTED_WITHIN;
    loop {
        let after = service.counters().await;
        let has_counted = after
            .since(before)
            .completed_requests
            .is_none_or(|requests| requests >= completed as u64);
        if has_counted || now() >= until {
            return after;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn not_drained(when: &str, perhaps: &str) -> Caveat {
    Caveat::new(
        CaveatClass::NotDrained,
        format!("the server did not become idle {when} the run; {perhaps}"),
    )
}
