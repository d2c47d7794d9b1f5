//! GPUs: memory and the rates that a step reaches on them.
//!
//! The numbers stand in `presets/gpus`, each with its status and source; see
//! [`GpuPreset`](crate::GpuPreset). Only those of the H100 SXM and the H200 were fitted to measurements:
//! results on the others are for demonstrations only.

use crate::presets::{GpuPreset, PresetError};

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
    /// Bytes that it sends to its neighbours in a millisecond.
    pub link_bytes_per_ms: f64,
    /// What an exchange of a single byte between neighbours takes, ms.
    pub link_latency_ms: f64,
    /// Whether vLLM's defaults treat it as an A100.
    pub is_a100: bool,
}

impl Gpu {
    /// H100 SXM, 80 GB: **measured** with vLLM 0.25.1 and Qwen2.5-7B.
    pub fn h100_sxm() -> Self {
        GpuPreset::measured().gpu.clone()
    }

    /// The GPU of a shipped preset; the unmeasured ones are **estimates**.
    ///
    /// # Errors
    /// [`PresetError::Unknown`] offers the most similar name.
    pub fn named(name: &str) -> Result<Self, PresetError> {
        GpuPreset::named(name).map(|preset| preset.gpu)
    }

    /// Milliseconds for `gpus` of these to add up an array of `bytes` that each of them holds: each
    /// sends and receives 2·(n − 1)/n of it (ring, Patarasuk and Yuan 2009). An estimate.
    pub(crate) fn all_reduce_ms(&self, bytes: f64, gpus: u32) -> f64 {
        if gpus < 2 {
            return 0.0;
        }
        let n = f64::from(gpus);
        self.link_latency_ms + 2.0 * (n - 1.0) / n * bytes / self.link_bytes_per_ms
    }
}
