//! The numbers of a GPU and of what work costs on it and its host: their names and units in a preset's
//! file, the fields that they set, and what they may be.

use super::GpuPreset;
use crate::{FrontEndCosts, Gpu, HostCosts, StepCosts};

/// Bytes a millisecond in 1 GB/s.
const GB_PER_S: f64 = 1e6;
/// Operations a millisecond in 1 TFLOP/s.
const TFLOP_PER_S: f64 = 1e9;
/// Milliseconds in a microsecond.
const US: f64 = 1e-3;

/// A field, and what its number in a file is in the field's unit.
pub(crate) struct Number<'a> {
    pub(crate) name: &'static str,
    pub(crate) field: &'a mut f64,
    pub(crate) unit: f64,
    pub(crate) least: Least,
}

/// What a finite number may be.
#[derive(Clone, Copy)]
pub(crate) enum Least {
    Above0,
    From0,
    From1,
}

impl Least {
    pub(crate) fn allows(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Self::Above0 => value > 0.0,
                Self::From0 => value >= 0.0,
                Self::From1 => value >= 1.0,
            }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Above0 => "finite and above 0",
            Self::From0 => "finite and at least 0",
            Self::From1 => "finite and at least 1",
        }
    }
}

/// All numbers, in the order of a file: the rates, then the costs, each with its table's name and a dot
/// before its own.
pub(crate) fn numbers<'a>(
    gpu: &'a mut Gpu,
    step: &'a mut StepCosts,
    host: &'a mut HostCosts,
    front_end: &'a mut FrontEndCosts,
) -> impl Iterator<Item = Number<'a>> {
    let rates = [
        ("memory_gib", &mut gpu.memory_gib, 1.0),
        ("weights_gb_per_s", &mut gpu.weight_bytes_per_ms, GB_PER_S),
        ("cache_gb_per_s", &mut gpu.cache_bytes_per_ms, GB_PER_S),
        ("matmul_tflop_per_s", &mut gpu.matmul_operations_per_ms, TFLOP_PER_S),
        ("attention_tflop_per_s", &mut gpu.attention_operations_per_ms, TFLOP_PER_S),
        ("link_gb_per_s", &mut gpu.link_bytes_per_ms, GB_PER_S),
        ("link_latency_us", &mut gpu.link_latency_ms, US),
    ];
    let rates = rates.into_iter().map(|(name, field, unit)| {
        let least = if name == "link_latency_us" { Least::From0 } else { Least::Above0 };
        Number { name, field, unit, least }
    });
    let costs = step.numbers().chain(host.numbers()).chain(front_end.numbers());
    rates.chain(costs.map(|(name, field)| {
        let least = if name == "step.norm" { Least::From1 } else { Least::From0 };
        Number { name, field, unit: 1.0, least }
    }))
}

/// Names of all numbers, in the order of a file.
pub(super) fn names() -> Vec<&'static str> {
    GpuPreset::empty(String::new(), String::new(), false)
        .numbers()
        .map(|number| number.name)
        .collect()
}

/// The table that a number stands in, if in any.
pub(super) fn table_of(name: &str) -> Option<&str> {
    name.split_once('.').map(|(table, _)| table)
}

impl GpuPreset {
    /// All its numbers.
    pub(super) fn numbers(&mut self) -> impl Iterator<Item = Number<'_>> {
        numbers(&mut self.gpu, &mut self.step, &mut self.host, &mut self.front_end)
    }
}
