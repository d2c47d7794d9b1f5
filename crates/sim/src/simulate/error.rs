//! What no run can be made of.

use slotune_serving::{Load, engine_arguments::ResolvedEngineArguments};

use super::RunOptions;

/// An input that no run can be made of.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// An arrival time that is no time.
    #[error("arrival_s of request {index} is {value}: it must be finite and at least 0")]
    Arrival {
        /// Position in the schedule.
        index: u32,
        /// The value.
        value: f64,
    },
    /// A closed loop of nobody.
    #[error("concurrency of the closed loop is 0: it must be at least 1")]
    Concurrency,
    /// An arrival before that of the request before it.
    #[error(
        "arrival_s of request {index} is {value}, before the {earlier_s} of the one before it: give \
         the requests in the order of their arrival"
    )]
    Backwards {
        /// Position in the order given.
        index: u32,
        /// The value.
        value: f64,
        /// When the one before it arrives, seconds.
        earlier_s: f64,
    },
    /// More requests than can be numbered.
    #[error("there are more than {} requests: split them into several runs", u32::MAX)]
    Requests,
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

/// Checks what is known before the first request.
pub(super) fn check(
    arguments: &ResolvedEngineArguments,
    kv_blocks: u64,
    load: Load,
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
    if load == (Load::Closed { concurrency: 0 }) {
        return Err(InputError::Concurrency);
    }
    match options.time_limit_s {
        Some(value) if value.is_nan() || value < 0.0 => {
            Err(InputError::Number { field: "time_limit_s", value, allowed: "at least 0" })
        }
        _ => Ok(()),
    }
}
