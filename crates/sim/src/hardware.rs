//! GPUs: memory and the rates that a step reaches on them.
//!
//! Only the H100 SXM was measured. The rates of the other presets are estimates from the
//! literature, so results on them are for demonstrations only.

use crate::model::ModelShape;

/// Bytes a millisecond in 1 GB/s.
const GB_PER_S: f64 = 1e6;
/// Operations a millisecond in 1 TFLOP/s.
const TFLOP_PER_S: f64 = 1e9;
/// Share of the peak that the H100 reached, fitted to measured step times (spec coefficients
/// `eta_bw`, `eta_flop`, `eta_attn`).
const BANDWIDTH_SHARE: f64 = 0.801;
const MATMUL_SHARE: f64 = 0.693;
const ATTENTION_SHARE: f64 = 0.443;

/// A GPU, by its memory and the rates reached in a step, not by its peaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpu {
    /// Short name, such as `h100-sxm`.
    pub name: String,
    /// Memory that CUDA reports, GiB.
    pub memory_gib: f64,
    /// Bytes of weights read in a millisecond.
    pub weight_bytes_per_ms: f64,
    /// Bytes of keys and values read in a millisecond of decode attention.
    pub cache_bytes_per_ms: f64,
    /// Operations of matrix products in a millisecond.
    pub matmul_operations_per_ms: f64,
    /// Operations of prefill attention in a millisecond.
    pub attention_operations_per_ms: f64,
    /// Whether vLLM's defaults treat it as an A100.
    pub is_a100: bool,
}

/// What is known of an unmeasured GPU: its data sheet, and times of Qwen2.5-7B in bf16 from the
/// literature.
struct Estimate {
    name: &'static str,
    memory_gib: f64,
    bandwidth_gb_per_s: f64,
    peak_tflops: f64,
    /// Milliseconds to read the weights once.
    floor_ms: f64,
    /// Microseconds of matrix products a token.
    slope_us: f64,
    /// Microseconds of decode attention a token of context; without it, bandwidth decides.
    attention_us: Option<f64>,
    is_a100: bool,
}

impl Gpu {
    /// H100 SXM, 80 GB: **measured** with vLLM 0.25.1 and Qwen2.5-7B.
    pub fn h100_sxm() -> Self {
        Self {
            name: "h100-sxm".into(),
            memory_gib: 79.19,
            weight_bytes_per_ms: BANDWIDTH_SHARE * 3350.0 * GB_PER_S,
            cache_bytes_per_ms: BANDWIDTH_SHARE * 3350.0 * GB_PER_S,
            matmul_operations_per_ms: MATMUL_SHARE * 989.0 * TFLOP_PER_S,
            attention_operations_per_ms: ATTENTION_SHARE * 989.0 * TFLOP_PER_S,
            is_a100: false,
        }
    }

    /// A100, 80 GB: not measured, **estimate from the literature**.
    pub fn a100_80gb() -> Self {
        Self::estimated(&Estimate {
            name: "a100-80gb",
            memory_gib: 79.2,
            bandwidth_gb_per_s: 2039.0,
            peak_tflops: 312.0,
            floor_ms: 9.5,
            slope_us: 49.0,
            attention_us: Some(0.0354),
            is_a100: true,
        })
    }

    /// RTX 4090: not measured, **estimate from the literature**.
    pub fn rtx_4090() -> Self {
        Self::estimated(&Estimate {
            name: "rtx-4090",
            memory_gib: 23.6,
            bandwidth_gb_per_s: 1008.0,
            peak_tflops: 165.0,
            floor_ms: 14.7,
            slope_us: 85.0,
            attention_us: Some(0.061),
            is_a100: false,
        })
    }

    /// A10G: not measured, **estimate from the literature**.
    pub fn a10g() -> Self {
        Self::estimated(&Estimate {
            name: "a10g",
            memory_gib: 22.1,
            bandwidth_gb_per_s: 600.0,
            peak_tflops: 70.0,
            floor_ms: 27.0,
            slope_us: 233.0,
            attention_us: None,
            is_a100: false,
        })
    }

    /// L4: not measured, **estimate from the literature**.
    pub fn l4() -> Self {
        Self::estimated(&Estimate {
            name: "l4",
            memory_gib: 22.1,
            bandwidth_gb_per_s: 300.0,
            peak_tflops: 121.0,
            floor_ms: 54.0,
            slope_us: 154.0,
            attention_us: None,
            is_a100: false,
        })
    }

    /// All presets, the measured one first.
    pub fn presets() -> [Self; 5] {
        [Self::h100_sxm(), Self::a100_80gb(), Self::rtx_4090(), Self::a10g(), Self::l4()]
    }

    /// Rates that give the estimated times for Qwen2.5-7B, so that other models scale by bytes
    /// and operations. Prefill attention, of which nothing is known, gets the H100's share of peak.
    fn estimated(estimate: &Estimate) -> Self {
        let qwen = ModelShape::qwen2_5_7b();
        let cache_bytes_per_ms = estimate
            .attention_us
            .map_or(BANDWIDTH_SHARE * estimate.bandwidth_gb_per_s * GB_PER_S, |attention_us| {
                qwen.kv_bytes_per_token() / (attention_us / 1e3)
            });
        Self {
            name: estimate.name.into(),
            memory_gib: estimate.memory_gib,
            weight_bytes_per_ms: qwen.step_weight_bytes() / estimate.floor_ms,
            cache_bytes_per_ms,
            matmul_operations_per_ms: qwen.matmul_operations_per_token()
                / (estimate.slope_us / 1e3),
            attention_operations_per_ms: ATTENTION_SHARE * estimate.peak_tflops * TFLOP_PER_S,
            is_a100: estimate.is_a100,
        }
    }
}
