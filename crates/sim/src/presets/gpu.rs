//! GPU presets: rates and costs, each with where it is from.

use std::{collections::BTreeMap, fmt, path::Path};

use serde::Deserialize;
use slotune_serving::nearest::{did_you_mean, nearest};
use toml::Spanned;

use super::{GPUS, PresetError, file::File, find, read};
use crate::{FrontEndCosts, Gpu, HostCosts, ModelShape, ServerModel, StepCosts};

/// Bytes a millisecond in 1 GB/s.
const GB_PER_S: f64 = 1e6;
/// Operations a millisecond in 1 TFLOP/s.
const TFLOP_PER_S: f64 = 1e9;
/// Milliseconds in a microsecond.
const US: f64 = 1e-3;

/// A GPU, what a step costs on it and its host beside its rates, and where each number is from.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuPreset {
    /// What it is, for people.
    pub description: String,
    /// Memory and rates.
    pub gpu: Gpu,
    /// Costs of a step on the GPU.
    pub step: StepCosts,
    /// Costs of a step in the engine core.
    pub host: HostCosts,
    /// Costs in the API server.
    pub front_end: FrontEndCosts,
    /// The numbers as the file gives them, in its order of tables. Costs that the file leaves out
    /// are those of the measured host and not here.
    pub coefficients: Vec<Coefficient>,
}

/// A number of a preset, and where it is from.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficient {
    /// Its name in the file, with its unit, such as `memory_gib` or `step.fixed_ms`.
    pub name: String,
    /// Its value in the unit that the name ends in.
    pub value: f64,
    /// How far it can be trusted.
    pub status: Status,
    /// Where it is from, in a sentence.
    pub source: String,
}

/// How far a number can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Read off a real machine.
    Measured,
    /// Fitted so that the simulator gives what was measured.
    Fitted,
    /// From a data sheet, from other people's numbers or by analogy.
    Estimated,
}

/// A file's fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    name: String,
    description: String,
    #[serde(default)]
    is_a100: bool,
    memory_gib: CoefficientFields,
    weights_gb_per_s: CoefficientFields,
    cache_gb_per_s: CoefficientFields,
    matmul_tflop_per_s: CoefficientFields,
    attention_tflop_per_s: CoefficientFields,
    link_gb_per_s: CoefficientFields,
    link_latency_us: CoefficientFields,
    step: Option<Spanned<CostFields>>,
    host: Option<Spanned<CostFields>>,
    front_end: Option<Spanned<CostFields>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CoefficientFields {
    value: Spanned<f64>,
    status: Status,
    source: String,
}

type CostFields = BTreeMap<String, CoefficientFields>;

impl GpuPreset {
    /// Names of the shipped presets, the measured one first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        GPUS.into_iter().map(|(name, _)| name)
    }

    /// The shipped preset of that name, or the only one whose name begins so.
    ///
    /// ```
    /// use slotune_sim::{GpuPreset, Status};
    /// let l4 = GpuPreset::named("l4")?;
    /// assert!(l4.coefficients.iter().all(|number| number.status == Status::Estimated));
    /// # Ok::<(), slotune_sim::PresetError>(())
    /// ```
    ///
    /// # Errors
    /// [`PresetError::Unknown`] offers the most similar name.
    pub fn named(name: &str) -> Result<Self, PresetError> {
        let (name, text) = find("GPU", &GPUS, name)?;
        Self::parse(name, text)
    }

    /// The preset in a user's file.
    ///
    /// # Errors
    /// [`PresetError`] names the file, and where it can the line and the field.
    pub fn read(path: &Path) -> Result<Self, PresetError> {
        Self::parse(&path.display().to_string(), &read(path)?)
    }

    /// The preset in the text of a file; `file` names it in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(file: &str, text: &str) -> Result<Self, PresetError> {
        let file = File { name: file, text, example: "h100-sxm" };
        let fields: Fields = file.fields()?;
        let mut coefficients = Vec::new();
        let mut take = |name: &str, number: CoefficientFields| {
            let coefficient = number.checked(&file, name)?;
            coefficients.push(coefficient.clone());
            if coefficient.value > 0.0 {
                Ok(coefficient.value)
            } else {
                let value = coefficient.value;
                Err(file.value(name, &number.value.span(), value, "finite and above 0"))
            }
        };
        let gpu = Gpu {
            name: fields.name,
            memory_gib: take("memory_gib", fields.memory_gib)?,
            weight_bytes_per_ms: GB_PER_S * take("weights_gb_per_s", fields.weights_gb_per_s)?,
            cache_bytes_per_ms: GB_PER_S * take("cache_gb_per_s", fields.cache_gb_per_s)?,
            matmul_operations_per_ms: TFLOP_PER_S
                * take("matmul_tflop_per_s", fields.matmul_tflop_per_s)?,
            attention_operations_per_ms: TFLOP_PER_S
                * take("attention_tflop_per_s", fields.attention_tflop_per_s)?,
            link_bytes_per_ms: GB_PER_S * take("link_gb_per_s", fields.link_gb_per_s)?,
            link_latency_ms: US * take("link_latency_us", fields.link_latency_us)?,
            is_a100: fields.is_a100,
        };
        let mut preset = Self {
            description: fields.description,
            gpu,
            step: StepCosts::MEASURED,
            host: HostCosts::MEASURED,
            front_end: FrontEndCosts::MEASURED,
            coefficients,
        };
        let all = &mut preset.coefficients;
        fill(&file, "step", fields.step, step_costs(&mut preset.step), all)?;
        fill(&file, "host", fields.host, host_costs(&mut preset.host), all)?;
        fill(&file, "front_end", fields.front_end, front_end_costs(&mut preset.front_end), all)?;
        Ok(preset)
    }

    /// A server with this GPU, these costs and `model`.
    pub fn server(&self, model: ModelShape) -> ServerModel {
        let Self { gpu, step, host, front_end, .. } = self.clone();
        ServerModel { step, host, front_end, ..ServerModel::new(gpu, model) }
    }
}

impl CoefficientFields {
    /// The coefficient, if its value is finite and at least 0.
    fn checked(&self, file: &File<'_>, name: &str) -> Result<Coefficient, PresetError> {
        let value = *self.value.get_ref();
        if !(value.is_finite() && value >= 0.0) {
            return Err(file.value(name, &self.value.span(), value, "finite and at least 0"));
        }
        let (name, source) = (name.to_owned(), self.source.clone());
        Ok(Coefficient { name, value, status: self.status, source })
    }
}

/// Sets all costs of a table, if there is one: a table that left some out would mix two hosts.
fn fill<const N: usize>(
    file: &File<'_>,
    table: &str,
    given: Option<Spanned<CostFields>>,
    costs: [(&'static str, &mut f64); N],
    coefficients: &mut Vec<Coefficient>,
) -> Result<(), PresetError> {
    let Some(given) = given else { return Ok(()) };
    let line = file.line(&given.span());
    let mut given = given.into_inner();
    let known: Vec<&str> = costs.iter().map(|(name, _)| *name).collect();
    if let Some((name, number)) = given.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        let line = file.line(&number.value.span());
        let offer = did_you_mean(nearest(name, known.iter().copied()));
        let problem =
            format!("unknown field `{table}.{name}`{offer}, known are {}", known.join(", "));
        return Err(file.format(line, problem));
    }
    for (name, cost) in costs {
        let Some(number) = given.remove(name) else {
            return Err(file.format(line, format!("missing field `{table}.{name}`")));
        };
        let coefficient = number.checked(file, &format!("{table}.{name}"))?;
        *cost = coefficient.value;
        coefficients.push(coefficient);
    }
    Ok(())
}

/// The fields of a struct with their names, in their order.
macro_rules! fields {
    ($value:expr, $type:ident { $($field:ident),+ $(,)? }) => {{
        // Without `..`: a new field is one of the file too.
        let $type { $($field),+ } = $value;
        [$((stringify!($field), $field)),+]
    }};
}

fn step_costs(costs: &mut StepCosts) -> [(&'static str, &mut f64); 4] {
    fields!(costs, StepCosts { fixed_ms, per_sequence_ms, mixed_ms, norm })
}

fn host_costs(costs: &mut HostCosts) -> [(&'static str, &mut f64); 13] {
    fields!(
        costs,
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
    )
}

fn front_end_costs(costs: &mut FrontEndCosts) -> [(&'static str, &mut f64); 7] {
    fields!(
        costs,
        FrontEndCosts {
            per_request_ms,
            per_prompt_token_ms,
            per_step_ms,
            per_token_ms,
            per_chunk_ms,
            to_engine_ms,
            to_client_ms,
        }
    )
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Measured => "measured",
            Self::Fitted => "fitted",
            Self::Estimated => "estimated",
        })
    }
}
