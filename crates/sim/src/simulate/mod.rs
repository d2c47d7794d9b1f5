//! One simulated run of a list of requests against a server that has started.

mod error;

use slotune_serving::{
    Load, RequestRecord, RequestSpec, RequestStatus, Schedule,
    engine_arguments::ResolvedEngineArguments,
};

use crate::{
    blocks::{BlockPool, KeyedPool},
    cost::StepTimer,
    engine::{Engine, StepNoise},
    front_end::{Arrivals, Client, EventLoop, FrontEnd, FrontEndSettings, check_arrival},
    noise::Noise,
    scheduler::{Admission, Bookkeeping, Request, Scheduler},
    server::ServerModel,
    start_up::{OutOfMemory, StepMemory},
};

pub use error::InputError;

/// How to simulate a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunOptions {
    /// Spread of the simulated times.
    pub noise: Noise,
    /// Root of the noise; without any it changes nothing.
    pub seed: u64,
    /// Root of the noise that runs on one start share: the speed of host, front end and GPU. Without it each run is a start
    /// of its own, as a trial is. Which of the two real machines follow is not known.
    pub boot_seed: Option<u64>,
    /// Whether to keep the time of every chunk.
    pub record_chunk_times: bool,
    /// Simulated seconds after which the run ends, whatever is unfinished.
    pub time_limit_s: Option<f64>,
    /// What steps may take of the GPU's memory before the engine dies, as its start told
    /// ([`StartUp::step_memory`](crate::StartUp::step_memory)); without it, anything.
    pub step_memory: Option<StepMemory>,
    /// When the server admits a waiting request.
    pub admission: Admission,
    /// In which order the front end does what there is to do.
    pub event_loop: EventLoop,
}

/// What a simulated run gave.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedRun {
    /// One record for each request of the schedule, in its order.
    pub records: Vec<RequestRecord>,
    /// What it came to.
    pub totals: RunTotals,
}

/// What a simulated run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunTotals {
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

/// Simulates `schedule` against a started server with `kv_blocks` KV-cache blocks.
///
/// The result is a function of the arguments alone. A request that the server would refuse is
/// recorded as such; one that could never be finished, because the cache is too small for it, stays
/// unfinished, as do those behind it. Requests of an open loop may be given in any order.
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
    let specs = &schedule.requests;
    let count = u32::try_from(specs.len()).map_err(|_| InputError::Requests)?;
    for (index, spec) in (0..count).zip(specs) {
        check_arrival(index, spec.arrival_s)?;
    }
    let position = |index: u32| index as usize;
    let mut order: Vec<u32> = (0..count).collect();
    if schedule.load == Load::Open {
        let arrival_s = |index: u32| specs[position(index)].arrival_s;
        order.sort_by(|&a, &b| arrival_s(a).total_cmp(&arrival_s(b)));
    }
    let mut records: Vec<Option<RequestRecord>> = vec![None; specs.len()];
    let requests = order.iter().map(|&index| specs[position(index)].clone());
    let totals = simulate_each(
        server,
        arguments,
        kv_blocks,
        schedule.load,
        requests,
        options,
        |mut record| {
            record.index = order[position(record.index)];
            let place = position(record.index);
            records[place] = Some(record);
        },
    )?;
    let records = (0..count)
        .zip(records)
        .map(|(index, record)| {
            record.unwrap_or_else(|| {
                // In a closed loop a request is due when another ends, so this one was not due yet.
                let due_s = match schedule.load {
                    Load::Open => specs[position(index)].arrival_s,
                    Load::Closed { .. } => totals.end_s,
                };
                let mut client = Client::new(index, due_s, specs[position(index)].clone(), None);
                RequestRecord { status: RequestStatus::NotSent, ..client.record(None) }
            })
        })
        .collect();
    Ok(SimulatedRun { records, totals })
}

/// Simulates requests as they come out of an iterator, and hands out the record of each as it ends,
/// so that memory is needed only for those under way.
///
/// Requests of an open loop come in the order of their arrival; `index` in a record counts them.
/// What is [unfinished](RequestStatus::Unfinished) when the run ends is handed out last. Requests
/// that are due after the time limit are neither simulated nor handed out, so the iterator may be
/// endless if its arrivals pass the limit.
///
/// ```
/// use slotune_serving::{EngineArguments, Load, RequestSpec};
/// use slotune_sim::{RunOptions, ServerModel, simulate_each};
///
/// let server = ServerModel::measured();
/// let arguments = server.resolve(&EngineArguments::default());
/// let ten_a_second = (0..1000).map(|number| RequestSpec {
///     arrival_s: 0.1 * f64::from(number),
///     prompt_tokens: 300,
///     output_tokens: 80,
///     shared_prefix: vec![],
/// });
/// let options = RunOptions::default();
/// let mut slowest_s: f64 = 0.0;
/// simulate_each(&server, &arguments, 66_946, Load::Open, ten_a_second, &options, |record| {
///     slowest_s = slowest_s.max(record.last_token_s.unwrap_or(f64::INFINITY) - record.intended_s);
/// })?;
/// assert!(slowest_s < 1.0);
/// # Ok::<(), slotune_sim::InputError>(())
/// ```
///
/// # Errors
/// [`InputError`] for a value that no run can be made of. Where the iterator gives it, records of
/// the requests before it have been handed out.
pub fn simulate_each(
    server: &ServerModel,
    arguments: &ResolvedEngineArguments,
    kv_blocks: u64,
    load: Load,
    requests: impl IntoIterator<Item = RequestSpec>,
    options: &RunOptions,
    each: impl FnMut(RequestRecord),
) -> Result<RunTotals, InputError> {
    server.check()?;
    options.noise.check()?;
    options.admission.check()?;
    error::check(arguments, kv_blocks, load, options)?;
    let arrivals = Arrivals::new(load, Box::new(requests.into_iter()));
    let bookkeeping = cheapest_bookkeeping(arguments, kv_blocks, options);
    let engine = build(server, arguments, kv_blocks, arrivals, options, bookkeeping);
    run(engine, options, each)
}

/// Runs an engine until nothing is left to do or the time is up.
fn run(
    mut engine: Engine<'_>,
    options: &RunOptions,
    mut each: impl FnMut(RequestRecord),
) -> Result<RunTotals, InputError> {
    let end_s = options.time_limit_s.unwrap_or(f64::INFINITY);
    let mut totals = RunTotals::default();
    let mut hand_out = |record: RequestRecord| {
        totals.end_s = totals.end_s.max(record.last_token_s.unwrap_or(0.0));
        totals.queue_time_sum_s += record.queue_time_s.unwrap_or(0.0);
        each(record);
    };
    engine.run(end_s, &mut hand_out)?;
    let now_s = engine.now_s();
    let Engine { front_end, scheduler, steps, death, .. } = engine;
    let (under_way, mut arrivals) = front_end.unfinished();
    let was_cut_short = !under_way.is_empty() || arrivals.has_more();
    for (slot, mut client) in under_way {
        let request = scheduler.requests.get(slot).filter(|request| request.rank == client.index);
        hand_out(client.record(request.and_then(Request::queue_time_s)));
    }
    // Sent, but the front end was too busy to take them in.
    while let Some(due) = arrivals.pop(end_s) {
        hand_out(Client::new(due.index, due.time_s, due.spec, None).record(None));
    }
    arrivals.error().map_or(Ok(()), Err)?;
    if was_cut_short {
        totals.end_s = if end_s.is_finite() && death.is_none() { end_s } else { now_s };
    }
    Ok(RunTotals {
        engine_steps: steps,
        preemptions: scheduler.counts.preemptions,
        prefix_cache_queries: scheduler.counts.prefix_queries,
        prefix_cache_hits: scheduler.counts.prefix_hits,
        death,
        ..totals
    })
}

/// What of a run must be kept for its records to be whole.
fn cheapest_bookkeeping(
    arguments: &ResolvedEngineArguments,
    kv_blocks: u64,
    options: &RunOptions,
) -> Bookkeeping {
    let longest_blocks = arguments.max_model_len.div_ceil(arguments.block_size);
    // A request that is cut short, or outgrows the cache, has as many tokens as it had then.
    let may_stay_unfinished = options.time_limit_s.is_some()
        || u64::from(longest_blocks) > kv_blocks - 1
        || looked_at(options.step_memory, arguments).is_some();
    if may_stay_unfinished || options.record_chunk_times || arguments.stream_interval > 1 {
        Bookkeeping::Lists
    } else {
        Bookkeeping::Marks
    }
}

/// The memory, where not every step is sure to fit in it.
fn looked_at(
    memory: Option<StepMemory>,
    arguments: &ResolvedEngineArguments,
) -> Option<StepMemory> {
    memory.filter(|memory| {
        memory.check(arguments.max_num_batched_tokens, arguments.max_num_seqs).is_err()
    })
}

/// An engine with requests on their way.
pub(crate) fn build<'a>(
    server: &ServerModel,
    arguments: &ResolvedEngineArguments,
    kv_blocks: u64,
    arrivals: Arrivals<'a>,
    options: &RunOptions,
    bookkeeping: Bookkeeping,
) -> Engine<'a> {
    // vLLM keeps one block unused. Beyond some number more blocks are as good as no limit.
    let usable = u32::try_from(kv_blocks - 1).unwrap_or(u32::MAX).min(u32::MAX / 2);
    let settings = FrontEndSettings {
        stream_interval: arguments.stream_interval,
        keeps_chunk_times: options.record_chunk_times,
        end_s: options.time_limit_s.unwrap_or(f64::INFINITY),
        longest: arguments.max_model_len,
        event_loop: options.event_loop,
        looks_at_each: bookkeeping != Bookkeeping::Marks,
    };
    let boot_seed = options.boot_seed.unwrap_or(options.seed);
    let blocks = if arguments.enable_prefix_caching {
        BlockPool::Keyed(KeyedPool::new(usable, arguments.block_size))
    } else {
        BlockPool::Counted { free: usable }
    };
    Engine::new(
        StepTimer::new(server, arguments),
        server.host,
        StepNoise::new(&options.noise, options.seed, boot_seed),
        arguments.async_scheduling,
        looked_at(options.step_memory, arguments),
        Scheduler::new(arguments, &options.admission, blocks, bookkeeping),
        FrontEnd::new(
            server.front_end.slower_by(options.noise.front_end_factor(boot_seed)),
            settings,
            options.noise.front_end_jobs(options.seed),
            arrivals,
        ),
    )
}

#[cfg(test)]
mod tests;
