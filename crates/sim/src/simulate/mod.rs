//! One simulated run of a schedule against a server that has started.

use std::collections::VecDeque;

use slotune_serving::{
    Load, RequestRecord, RequestSpec, RequestStatus, Schedule,
    engine_arguments::ResolvedEngineArguments,
};

use crate::{
    blocks::{BlockPool, KeyedPool, PromptKeys},
    cost::StepTimer,
    engine::{Engine, StepNoise},
    front_end::{Client, FrontEnd, FrontEndSettings},
    noise::Noise,
    scheduler::{Request, Scheduler},
    server::ServerModel,
    start_up::{OutOfMemory, StepMemory},
};

/// How to simulate a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunOptions {
    /// Spread of the simulated times.
    pub noise: Noise,
    /// Root of the noise; without any it changes nothing.
    pub seed: u64,
    /// Root of the noise that runs on one start share: the host's speed. Without it each run is a start
    /// of its own, as a trial is. Which of the two real hosts follow is not known.
    pub boot_seed: Option<u64>,
    /// Whether to keep the time of every chunk.
    pub record_chunk_times: bool,
    /// Simulated seconds after which the run ends, whatever is unfinished.
    pub time_limit_s: Option<f64>,
    /// What steps may take of the GPU's memory before the engine dies, as its start told
    /// ([`StartUp::step_memory`](crate::StartUp::step_memory)); without it, anything.
    pub step_memory: Option<StepMemory>,
}

/// What a simulated run gave.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedRun {
    /// One record for each request of the schedule, in its order.
    pub records: Vec<RequestRecord>,
    /// When the last request ended, or the time limit where that cut the run short, seconds.
    pub end_s: f64,
    /// Steps of the engine.
    pub engine_steps: u64,
    /// Requests that lost their blocks to others.
    pub preemptions: u64,
    /// Sum of the queue times of all scheduled requests, seconds.
    pub queue_time_sum_s: f64,
    /// Prompt tokens looked up in the prefix cache; 0 without one.
    pub prefix_cache_queries: u64,
    /// Prompt tokens found there.
    pub prefix_cache_hits: u64,
    /// The end of the engine, if it ran out of memory: what was under way stays unfinished.
    pub death: Option<EngineDeath>,
}

/// An engine that died under load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineDeath {
    /// When, seconds from the start of the run.
    pub time_s: f64,
    /// Why.
    pub cause: OutOfMemory,
}

/// An input that no run can be made of.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// An arrival time that is no time.
    #[error("arrival_s of request {index} is {value}: it must be finite and at least 0")]
    Arrival {
        /// Position in the schedule.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A closed loop of nobody.
    #[error("concurrency of the closed loop is 0: it must be at least 1")]
    Concurrency,
    /// More requests than can be numbered.
    #[error("the schedule has {requests} requests: split it into runs of at most {}", u32::MAX)]
    Requests {
        /// How many.
        requests: usize,
    },
    /// An argument outside what can be simulated.
    #[error("{argument} is {value}: it must be between {least} and {most} to be simulated")]
    Argument {
        /// Its name.
        argument: &'static str,
        /// Its value.
        value: u64,
        /// Least value.
        least: u64,
        /// Greatest value.
        most: u64,
    },
    /// A number that no time can be made of.
    #[error("{field} is {value}: it must be {allowed}")]
    Number {
        /// Where it stands.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
}

/// Simulates `schedule` against a started server with `kv_blocks` KV-cache blocks.
///
/// The result is a function of the arguments alone. A request that the server would refuse is
/// recorded as such; one that could never be finished, because the cache is too small for it, stays
/// unfinished, as do those behind it.
///
/// # Errors
/// [`InputError`] for a value that no run can be made of.
pub fn simulate(
    server: &ServerModel,
    arguments: &ResolvedEngineArguments,
    kv_blocks: u64,
    schedule: &Schedule,
    options: &RunOptions,
) -> Result<SimulatedRun, InputError> {
    server.check()?;
    options.noise.check()?;
    check(arguments, kv_blocks, schedule, options)?;
    let end_s = options.time_limit_s.unwrap_or(f64::INFINITY);
    let mut engine = build(server, arguments, kv_blocks, schedule, options);
    engine.run(end_s);
    Ok(collect(engine, schedule, arguments.max_model_len, end_s))
}

fn check(
    arguments: &ResolvedEngineArguments,
    kv_blocks: u64,
    schedule: &Schedule,
    options: &RunOptions,
) -> Result<(), InputError> {
    // Far above any server, and far below where a sum of two would overflow.
    const MOST: u64 = 1 << 24;
    for (argument, value, least, most) in [
        ("max_num_seqs", u64::from(arguments.max_num_seqs), 1, MOST),
        ("max_num_batched_tokens", u64::from(arguments.max_num_batched_tokens), 1, MOST),
        ("max_model_len", u64::from(arguments.max_model_len), 1, MOST),
        ("block_size", u64::from(arguments.block_size), 1, MOST),
        ("stream_interval", u64::from(arguments.stream_interval), 1, u64::from(u32::MAX)),
        ("tensor_parallel_size", u64::from(arguments.tensor_parallel_size), 1, MOST),
        ("kv_blocks", kv_blocks, 1, u64::MAX),
    ] {
        if !(least..=most).contains(&value) {
            return Err(InputError::Argument { argument, value, least, most });
        }
    }
    if schedule.load == (Load::Closed { concurrency: 0 }) {
        return Err(InputError::Concurrency);
    }
    if u32::try_from(schedule.requests.len()).is_err() {
        return Err(InputError::Requests { requests: schedule.requests.len() });
    }
    for (index, request) in schedule.requests.iter().enumerate() {
        let value = request.arrival_s;
        if !(value.is_finite() && value >= 0.0) {
            return Err(InputError::Arrival { index, value });
        }
    }
    match options.time_limit_s {
        Some(value) if value.is_nan() || value < 0.0 => {
            Err(InputError::Number { field: "time_limit_s", value, allowed: "at least 0" })
        }
        _ => Ok(()),
    }
}

/// An engine with the schedule's requests on their way.
pub(crate) fn build(
    server: &ServerModel,
    arguments: &ResolvedEngineArguments,
    kv_blocks: u64,
    schedule: &Schedule,
    options: &RunOptions,
) -> Engine {
    let specs = &schedule.requests;
    let mut order: Vec<usize> = (0..specs.len()).collect();
    if schedule.load == Load::Open {
        order.sort_by(|&a, &b| specs[a].arrival_s.total_cmp(&specs[b].arrival_s));
    }
    let (arrivals, unreleased) = match schedule.load {
        Load::Open => {
            (order.iter().map(|&id| (specs[id].arrival_s, id)).collect(), VecDeque::new())
        }
        Load::Closed { concurrency } => {
            let (first, later) = order.split_at(order.len().min(concurrency as usize));
            (first.iter().map(|&id| (0.0, id)).collect(), later.iter().copied().collect())
        }
    };
    let longest = arguments.max_model_len;
    let mut requests: Vec<Request> =
        specs.iter().map(|spec| Request::new(spec.prompt_tokens, spec.output_tokens, 0)).collect();
    for (rank, &id) in (0..).zip(&order) {
        requests[id].rank = rank;
    }
    let clients = specs
        .iter()
        .map(|spec| {
            let is_rejected = rejection(spec, longest).is_some();
            // A prompt that is too long is refused before it is read to its end.
            Client::new(spec.prompt_tokens.min(longest), spec.output_tokens, is_rejected)
        })
        .collect();
    let settings = FrontEndSettings {
        stream_interval: arguments.stream_interval,
        keeps_chunk_times: options.record_chunk_times,
        end_s: options.time_limit_s.unwrap_or(f64::INFINITY),
    };
    let front_end = FrontEnd::new(
        server.front_end,
        settings,
        options.noise.front_end_jobs(options.seed),
        clients,
        arrivals,
        unreleased,
    );
    Engine::new(
        StepTimer::new(server, arguments),
        server.host,
        StepNoise::new(&options.noise, options.seed, options.boot_seed.unwrap_or(options.seed)),
        arguments.async_scheduling,
        // Where even the largest step fits, none needs to be looked at.
        options.step_memory.filter(|memory| {
            memory.check(arguments.max_num_batched_tokens, arguments.max_num_seqs).is_err()
        }),
        Scheduler::new(arguments, requests, block_pool(arguments, kv_blocks, specs)),
        front_end,
    )
}

fn block_pool(
    arguments: &ResolvedEngineArguments,
    kv_blocks: u64,
    specs: &[RequestSpec],
) -> BlockPool {
    let is_served = |index: usize| rejection(&specs[index], arguments.max_model_len).is_none();
    // More blocks than all requests together could hold change nothing.
    let demand: u64 = (0..specs.len())
        .filter(|&index| is_served(index))
        .map(|index| {
            let tokens = specs[index].prompt_tokens + specs[index].output_tokens;
            u64::from(tokens.div_ceil(arguments.block_size))
        })
        .sum();
    // vLLM keeps one block unused.
    let usable = u32::try_from((kv_blocks - 1).min(demand)).unwrap_or(u32::MAX - 1);
    if arguments.enable_prefix_caching {
        let keys = PromptKeys::new(specs, arguments.block_size, is_served);
        BlockPool::Keyed(KeyedPool::new(usable, keys, specs.len()))
    } else {
        BlockPool::Counted { free: usable }
    }
}

/// Why the front end refuses a request, in vLLM's words.
fn rejection(spec: &RequestSpec, longest: u32) -> Option<String> {
    let (prompt, output) = (spec.prompt_tokens, spec.output_tokens);
    let total = u64::from(prompt) + u64::from(output);
    if prompt == 0 {
        Some("Either prompt or prompt_embeds must be provided and non-empty.".into())
    } else if output == 0 {
        Some("max_tokens must be at least 1, got 0.".into())
    } else if prompt > longest {
        Some(format!(
            "This model's maximum context length is {longest} tokens. However, your prompt \
             contains {prompt} input tokens, which exceeds this limit even without any output \
             tokens. Please reduce the length of the input prompt."
        ))
    } else if total > u64::from(longest) {
        Some(format!(
            "This model's maximum context length is {longest} tokens. However, you requested \
             {output} output tokens and your prompt contains {prompt} input tokens, for a total of \
             {total} tokens. Please reduce the length of the input prompt or the number of \
             requested output tokens."
        ))
    } else {
        None
    }
}

fn collect(engine: Engine, schedule: &Schedule, longest: u32, end_s: f64) -> SimulatedRun {
    let ended_s = if end_s.is_finite() && engine.death.is_none() { end_s } else { engine.now_s() };
    let Engine { front_end, scheduler, steps, death, .. } = engine;
    let mut queue_time_sum_s = 0.0;
    let mut records = Vec::with_capacity(schedule.requests.len());
    for (index, ((spec, client), request)) in
        (0..).zip(schedule.requests.iter().zip(front_end.clients).zip(scheduler.requests))
    {
        let queue_time_s = request.first_scheduled_s.map(|first_s| first_s - request.queued_s);
        queue_time_sum_s += queue_time_s.unwrap_or(0.0);
        let status = match rejection(spec, longest) {
            Some(text) if client.sent_s.is_some() => RequestStatus::Rejected(text),
            None if client.received == spec.output_tokens => RequestStatus::Completed,
            _ if client.sent_s.is_none() => RequestStatus::NotSent,
            _ => RequestStatus::Unfinished,
        };
        // In a closed loop a request is due when another ends; one never sent was not due yet.
        let (intended_s, sent_s) = match (schedule.load, client.sent_s) {
            (Load::Open, sent_s) => (spec.arrival_s, sent_s.unwrap_or(spec.arrival_s)),
            (Load::Closed { .. }, sent_s) => (sent_s.unwrap_or(ended_s), sent_s.unwrap_or(ended_s)),
        };
        records.push(RequestRecord {
            index,
            prompt_tokens: spec.prompt_tokens,
            output_tokens: client.received,
            intended_s,
            sent_s,
            first_token_s: client.first_s,
            last_token_s: client.last_s,
            queue_time_s,
            chunk_times_s: client.chunk_times_s,
            status,
        });
    }
    let was_cut_short = records
        .iter()
        .any(|record| matches!(record.status, RequestStatus::Unfinished | RequestStatus::NotSent));
    let last_s = records.iter().filter_map(|record| record.last_token_s).fold(0.0, f64::max);
    SimulatedRun {
        records,
        end_s: if was_cut_short { ended_s } else { last_s },
        engine_steps: steps,
        preemptions: scheduler.counts.preemptions,
        queue_time_sum_s,
        prefix_cache_queries: scheduler.counts.prefix_queries,
        prefix_cache_hits: scheduler.counts.prefix_hits,
        death,
    }
}

#[cfg(test)]
mod tests;
