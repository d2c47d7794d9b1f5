//! CUDA graphs: which batch sizes are captured, and how a step runs.

use slotune_serving::engine_arguments::{CudagraphMode, ResolvedEngineArguments};

/// How a step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepMode {
    /// As one CUDA graph.
    Full,
    /// As graphs between the attention layers.
    Piecewise,
    /// Kernel by kernel.
    Eager,
}

/// The captured batch sizes of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GraphPlan {
    mode: CudagraphMode,
    /// Sizes captured for steps of any mode, ascending.
    sizes: Vec<u32>,
    /// Largest size captured as a full graph; 0 without any.
    largest_full: u32,
}

impl GraphPlan {
    /// vLLM's sizes for these arguments: 1, 2, 4, multiples of 8 below 256, multiples of 16 from
    /// there, up to `max_cudagraph_capture_size` and `max_num_batched_tokens`; full graphs only up
    /// to `max_num_seqs` (measured: 51, 35, 19, 11 full graphs for 512, 256, 128, 64 sequences).
    pub(crate) fn new(arguments: &ResolvedEngineArguments) -> Self {
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
        Self { mode, sizes, largest_full }
    }

    /// How a step of `tokens` runs. A decode step too large for a full graph runs as one with
    /// prefill does.
    pub(crate) fn mode(&self, tokens: u32, has_prefill: bool) -> StepMode {
        if !has_prefill && tokens <= self.largest_full {
            StepMode::Full
        } else if self.mode == CudagraphMode::FullAndPiecewise && tokens <= self.largest() {
            StepMode::Piecewise
        } else {
            StepMode::Eager
        }
    }

    /// All captured sizes, ascending.
    pub(crate) fn sizes(&self) -> &[u32] {
        &self.sizes
    }

    /// Place in [`sizes`](Self::sizes) of the smallest that holds `tokens`.
    pub(crate) fn place(&self, tokens: u32) -> usize {
        self.sizes.partition_point(|&size| size < tokens)
    }

    /// Number of full graphs.
    pub(crate) fn full(&self) -> usize {
        self.sizes.partition_point(|&size| size <= self.largest_full)
    }

    /// Number of piecewise graphs.
    pub(crate) fn piecewise(&self) -> usize {
        match self.mode {
            CudagraphMode::FullAndPiecewise => self.sizes.len(),
            CudagraphMode::FullDecodeOnly | CudagraphMode::None => 0,
        }
    }

    fn largest(&self) -> u32 {
        self.sizes.last().copied().unwrap_or(0)
    }
}
