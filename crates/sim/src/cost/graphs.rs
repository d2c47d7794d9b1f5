//! CUDA graphs: which batch sizes are captured, and how a step runs.

use slotune_serving::engine_arguments::{CudagraphMode, ResolvedEngineArguments};

/// How a step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepMode {
    /// As one CUDA graph.
    Full,
    /// As graphs between the attention layers.
    Piecewise,
    /// Kernel by kernel.
    Eager,
}

/// The captured batch sizes of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphPlan {
    mode: CudagraphMode,
    /// Sizes captured for steps of any mode, ascending.
    sizes: Vec<u32>,
    /// Largest size captured as a full graph; 0 without any.
    largest_full: u32,
    /// Captured size by number of tokens.
    padded: Vec<u32>,
}

impl GraphPlan {
    /// vLLM's sizes for these arguments: 1, 2, 4, multiples of 8 below 256, multiples of 16 from
    /// there, up to `max_cudagraph_capture_size` and `max_num_batched_tokens`; full graphs only up
    /// to `max_num_seqs` (measured: 51, 35, 19, 11 full graphs for 512, 256, 128, 64 sequences).
    pub fn new(arguments: &ResolvedEngineArguments) -> Self {
        let mode = arguments.cudagraph_mode;
        let limit = match mode {
            CudagraphMode::None => 0,
            CudagraphMode::FullDecodeOnly => {
                arguments.max_cudagraph_capture_size.min(arguments.max_num_seqs)
            }
            CudagraphMode::FullAndPiecewise => arguments.max_cudagraph_capture_size,
        }
        .min(arguments.max_num_batched_tokens);
        let sizes: Vec<u32> = [1, 2, 4]
            .into_iter()
            .chain((8..256).step_by(8))
            .chain((256..=limit.max(256)).step_by(16))
            .take_while(|&size| size <= limit)
            .collect();
        let largest_full =
            sizes.iter().copied().rfind(|&size| size <= arguments.max_num_seqs).unwrap_or(0);
        let mut padded = vec![0];
        for &size in &sizes {
            padded.resize(size as usize + 1, size);
        }
        Self { mode, sizes, largest_full, padded }
    }

    /// How a step of `tokens` runs. A decode step too large for a full graph runs as one with
    /// prefill does.
    pub fn mode(&self, tokens: u32, has_prefill: bool) -> StepMode {
        if !has_prefill && tokens <= self.largest_full {
            StepMode::Full
        } else if self.mode == CudagraphMode::FullAndPiecewise && tokens <= self.largest() {
            StepMode::Piecewise
        } else {
            StepMode::Eager
        }
    }

    /// Largest captured size, 0 without any.
    pub fn largest(&self) -> u32 {
        self.sizes.last().copied().unwrap_or(0)
    }

    /// Smallest captured size that holds `tokens`, which must not exceed [`GraphPlan::largest`].
    pub(crate) fn padded(&self, tokens: u32) -> u32 {
        self.padded[tokens as usize]
    }

    /// Number of full graphs.
    pub fn full(&self) -> u32 {
        self.count(|size| size <= self.largest_full)
    }

    /// Number of piecewise graphs.
    pub fn piecewise(&self) -> u32 {
        match self.mode {
            CudagraphMode::FullAndPiecewise => self.count(|_| true),
            CudagraphMode::FullDecodeOnly | CudagraphMode::None => 0,
        }
    }

    fn count(&self, keep: impl Fn(u32) -> bool) -> u32 {
        self.sizes.iter().map(|&size| u32::from(keep(size))).sum()
    }
}
