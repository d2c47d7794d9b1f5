//! The one table of arguments: each name is spelt here, and in the structs, and nowhere else.

use std::fmt;

use slotune_core::Value;

use super::{CudagraphMode, EngineArguments, SchedulingPolicy};

/// What is known of one argument.
pub(super) struct Argument {
    /// vLLM's name, as in Python; with dashes, also its flag.
    pub(super) name: &'static str,
    pub(super) allowed: Allowed,
    pub(super) flag: Flag,
    pub(super) get: fn(&EngineArguments) -> Option<Value>,
    /// Sets it, unless the value's type does not fit.
    pub(super) set: fn(&mut EngineArguments, &Value) -> Option<()>,
}

/// The values an argument may take.
pub(super) enum Allowed {
    /// Whole numbers that fit `u32`, from this one.
    From(u32),
    /// Numbers above 0, up to 1.
    Share,
    Switch,
    Names(&'static [&'static str]),
}

/// How the server's command spells an argument.
pub(super) enum Flag {
    /// `--name value`, or `--name` and `--no-name` for a switch.
    Own,
    /// A field of the JSON text that `--compilation-config` takes.
    CompilationConfig,
}

macro_rules! argument {
    ($field:ident, $allowed:expr) => {
        argument!($field, $allowed, Flag::Own)
    };
    ($field:ident, $allowed:expr, $flag:expr) => {
        Argument {
            name: stringify!($field),
            allowed: $allowed,
            flag: $flag,
            get: |arguments| arguments.$field.map(ArgumentValue::into_value),
            set: |arguments, value| {
                arguments.$field = Some(ArgumentValue::from_value(value)?);
                Some(())
            },
        }
    };
}

/// All arguments, those tuned most first. Bounds: `vllm/config/scheduler.py`, `cache.py`,
/// `parallel.py` and `compilation.py` of vLLM 0.33.0.
pub(super) const ARGUMENTS: [Argument; 14] = [
    argument!(max_num_seqs, Allowed::From(1)),
    argument!(max_num_batched_tokens, Allowed::From(1)),
    argument!(gpu_memory_utilization, Allowed::Share),
    argument!(max_model_len, Allowed::From(1)),
    argument!(block_size, Allowed::From(1)),
    argument!(enable_chunked_prefill, Allowed::Switch),
    argument!(long_prefill_token_threshold, Allowed::From(0)),
    argument!(enable_prefix_caching, Allowed::Switch),
    argument!(async_scheduling, Allowed::Switch),
    argument!(scheduling_policy, Allowed::Names(&SchedulingPolicy::NAMES)),
    argument!(stream_interval, Allowed::From(1)),
    argument!(cudagraph_mode, Allowed::Names(&CudagraphMode::NAMES), Flag::CompilationConfig),
    argument!(max_cudagraph_capture_size, Allowed::From(1)),
    argument!(tensor_parallel_size, Allowed::From(1)),
];

impl Argument {
    /// Its flag without a value: `--max-num-seqs`.
    pub(super) fn dashed(&self) -> String {
        self.name.replace('_', "-")
    }
}

impl Allowed {
    pub(super) fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::From(least), Value::Integer(value)) => {
                u32::try_from(*value).is_ok_and(|value| value >= *least)
            }
            (Self::Share, value) => value.number().is_some_and(|share| share > 0.0 && share <= 1.0),
            (Self::Switch, Value::Boolean(_)) => true,
            (Self::Names(names), Value::Text(name)) => names.contains(&name.as_str()),
            _ => false,
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(least) => write!(f, "a whole number from {least} to {}", u32::MAX),
            Self::Share => f.write_str("a number above 0 and at most 1"),
            Self::Switch => f.write_str("true or false"),
            Self::Names(names) => write!(f, "one of {}", names.join(", ")),
        }
    }
}

/// A field's type as a value of a configuration.
trait ArgumentValue: Sized {
    fn from_value(value: &Value) -> Option<Self>;
    fn into_value(self) -> Value;
}

impl ArgumentValue for u32 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(value) => Self::try_from(*value).ok(),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        self.into()
    }
}

impl ArgumentValue for f64 {
    fn from_value(value: &Value) -> Option<Self> {
        value.number()
    }

    fn into_value(self) -> Value {
        self.into()
    }
}

impl ArgumentValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        self.into()
    }
}

impl ArgumentValue for SchedulingPolicy {
    fn from_value(value: &Value) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| *value == Value::from(policy.name()))
    }

    fn into_value(self) -> Value {
        self.name().into()
    }
}

impl ArgumentValue for CudagraphMode {
    fn from_value(value: &Value) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| *value == Value::from(mode.name()))
    }

    fn into_value(self) -> Value {
        self.name().into()
    }
}
