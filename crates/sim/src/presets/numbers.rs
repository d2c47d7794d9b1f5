//! The numbers of a GPU preset: their names and units in a file, and the fields that they set.

use super::GpuPreset;
use crate::{FrontEndCosts, HostCosts, StepCosts};

/// Bytes a millisecond in 1 GB/s.
const GB_PER_S: f64 = 1e6;
/// Operations a millisecond in 1 TFLOP/s.
const TFLOP_PER_S: f64 = 1e9;
/// Milliseconds in a microsecond.
const US: f64 = 1e-3;

/// Memory and rates, which every file has.
pub(super) const RATES: [&str; 7] = [
    "memory_gib",
    "weights_gb_per_s",
    "cache_gb_per_s",
    "matmul_tflop_per_s",
    "attention_tflop_per_s",
    "link_gb_per_s",
    "link_latency_us",
];

/// Names of all numbers, in the order of a file.
pub(super) fn names() -> impl Iterator<Item = String> {
    let costs = Table::ALL
        .into_iter()
        .flat_map(|table| table.costs().iter().map(move |cost| format!("{}.{cost}", table.name())));
    RATES.into_iter().map(str::to_owned).chain(costs)
}

/// A field, and what its number in a file is in the field's unit.
pub(super) struct Number<'a> {
    pub(super) field: &'a mut f64,
    pub(super) unit: f64,
    pub(super) least: Least,
}

/// What a finite number may be.
#[derive(Clone, Copy)]
pub(super) enum Least {
    Above0,
    From0,
    From1,
}

impl Least {
    pub(super) fn allows(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Self::Above0 => value > 0.0,
                Self::From0 => value >= 0.0,
                Self::From1 => value >= 1.0,
            }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Above0 => "finite and above 0",
            Self::From0 => "finite and at least 0",
            Self::From1 => "finite and at least 1",
        }
    }
}

/// A table of costs, which a file may have.
#[derive(Clone, Copy)]
pub(super) enum Table {
    Step,
    Host,
    FrontEnd,
}

impl Table {
    pub(super) const ALL: [Self; 3] = [Self::Step, Self::Host, Self::FrontEnd];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Host => "host",
            Self::FrontEnd => "front_end",
        }
    }

    /// Names of its costs.
    pub(super) fn costs(self) -> &'static [&'static str] {
        match self {
            Self::Step => &STEP,
            Self::Host => &HOST,
            Self::FrontEnd => &FRONT_END,
        }
    }
}

impl GpuPreset {
    /// The number of that name.
    pub(super) fn number(&mut self, name: &str) -> Option<Number<'_>> {
        if name.contains('.') {
            return self.cost(name);
        }
        let gpu = &mut self.gpu;
        let (field, unit) = match name {
            "memory_gib" => (&mut gpu.memory_gib, 1.0),
            "weights_gb_per_s" => (&mut gpu.weight_bytes_per_ms, GB_PER_S),
            "cache_gb_per_s" => (&mut gpu.cache_bytes_per_ms, GB_PER_S),
            "matmul_tflop_per_s" => (&mut gpu.matmul_operations_per_ms, TFLOP_PER_S),
            "attention_tflop_per_s" => (&mut gpu.attention_operations_per_ms, TFLOP_PER_S),
            "link_gb_per_s" => (&mut gpu.link_bytes_per_ms, GB_PER_S),
            "link_latency_us" => (&mut gpu.link_latency_ms, US),
            _ => return None,
        };
        Some(Number { field, unit, least: Least::Above0 })
    }

    fn cost(&mut self, name: &str) -> Option<Number<'_>> {
        let (table, cost) = name.split_once('.')?;
        let field = match Table::ALL.into_iter().find(|known| known.name() == table)? {
            Table::Step => step_field(&mut self.step, cost)?,
            Table::Host => host_field(&mut self.host, cost)?,
            Table::FrontEnd => front_end_field(&mut self.front_end, cost)?,
        };
        let least = if name == "step.norm" { Least::From1 } else { Least::From0 };
        Some(Number { field, unit: 1.0, least })
    }
}

/// Names of a struct's fields, and the field of a name.
macro_rules! named_fields {
    ($names:ident, $count:literal, $function:ident, $type:ident { $($field:ident),+ $(,)? }) => {
        const $names: [&str; $count] = [$(stringify!($field)),+];

        fn $function<'a>(costs: &'a mut $type, name: &str) -> Option<&'a mut f64> {
            // Without `..`: a new field is one of the file too.
            let $type { $($field),+ } = costs;
            $(if name == stringify!($field) {
                return Some($field);
            })+
            None
        }
    };
}

named_fields!(STEP, 4, step_field, StepCosts { fixed_ms, per_sequence_ms, mixed_ms, norm });
named_fields!(
    HOST,
    13,
    host_field,
    HostCosts {
        full_ms,
        full_per_request_ms,
        piecewise_ms,
        piecewise_per_prefill_ms,
        piecewise_gap_per_prefill_ms,
        eager_ms,
        eager_gap_ms,
        eager_gap_per_prefill_ms,
        eager_uncompiled_ms,
        eager_uncompiled_gap_ms,
        eager_uncompiled_gap_per_prefill_ms,
        launch_ms,
        launch_tail_ms,
    }
);
named_fields!(
    FRONT_END,
    7,
    front_end_field,
    FrontEndCosts {
        per_request_ms,
        per_prompt_token_ms,
        per_step_ms,
        per_token_ms,
        per_chunk_ms,
        to_engine_ms,
        to_client_ms,
    }
);
