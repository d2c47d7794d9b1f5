//! What a step costs: time on the GPU, time of the engine core on the host, and time of the front
//! end.
//!
//! The laws and the coefficients come from fits to measurements of vLLM 0.25.1 on H100s with
//! Qwen2.5-7B; `presets/gpus/h100-sxm.toml` says of each where it is from. Host and front-end times
//! are those of the measured machines' processors and do not follow the GPU.

mod coefficients;
mod graphs;

use slotune_serving::engine_arguments::{CudagraphMode, ResolvedEngineArguments};

pub use coefficients::{FrontEndCosts, HostCosts, StepCosts};
pub(crate) use graphs::{GraphPlan, StepMode};

use crate::server::ServerModel;

/// What a step computes, as far as its cost depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StepShape {
    /// Requests in the step.
    pub(crate) requests: u32,
    /// Tokens in the step.
    pub(crate) tokens: u32,
    /// Requests that compute prompt, or computed tokens again.
    pub(crate) prefills: u32,
    /// Requests that sample a token.
    pub(crate) samples: u32,
    /// Tokens of context that the decoding requests attend to, each its own token included.
    pub(crate) decode_context: u64,
    /// Twice the number of query-key pairs of the prefills: `n·(2c + n + 1)` for a chunk of `n`
    /// tokens after `c`.
    pub(crate) prefill_pairs_doubled: u64,
}

impl StepShape {
    /// Adds so many requests that decode, with this context in all.
    pub(crate) fn add_decodes(&mut self, requests: u32, context: u64) {
        self.requests += requests;
        self.tokens += requests;
        self.samples += requests;
        self.decode_context += context;
    }

    /// Adds a request that computes `tokens` after `computed` ones of a prompt of `prompt`.
    pub(crate) fn add(&mut self, tokens: u32, computed: u32, prompt: u32) {
        self.requests += 1;
        self.tokens += tokens;
        if tokens == 1 && computed >= prompt {
            self.decode_context += u64::from(computed) + 1;
        } else {
            let (n, c) = (u64::from(tokens), u64::from(computed));
            self.prefills += 1;
            self.prefill_pairs_doubled += n * (2 * c + n + 1);
        }
    }
}

/// What a step costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepTime {
    /// How it runs.
    pub(crate) mode: StepMode,
    /// Time on the GPU, s.
    pub(crate) gpu_s: f64,
    /// Time of the engine core, s.
    pub(crate) host_s: f64,
    /// Time in which the GPU waits after the step before, s.
    pub(crate) gap_s: f64,
}

/// The cost of steps on one server with one set of arguments.
#[derive(Clone, Debug)]
pub(crate) struct StepTimer {
    graphs: GraphPlan,
    costs: StepCosts,
    host: HostCosts,
    /// Whether eager steps run compiled code.
    is_compiled: bool,
    weights_ms: f64,
    matmul_ms_per_token: f64,
    cache_ms_per_token: f64,
    attention_ms_per_pair: f64,
    /// Time in which the GPUs of tensor parallelism add up what each computed: in every step, and
    /// for every token of it.
    all_reduce_ms: f64,
    all_reduce_ms_per_token: f64,
    /// Time of the weights by tokens before padding, as far as graphs go: the power is slow.
    graph_body_ms: Vec<f64>,
}

impl StepTimer {
    /// Cost of steps on `server` with `arguments`.
    pub(crate) fn new(server: &ServerModel, arguments: &ResolvedEngineArguments) -> Self {
        let gpu = &server.gpu;
        let gpus = arguments.tensor_parallel_size;
        let model = server.model.shard(gpus);
        // After the attention and the MLP of each layer, and after the embedding.
        let all_reduces = 2.0 * f64::from(model.layers) + 1.0;
        let latency_ms = gpu.all_reduce_ms(0.0, gpus);
        let token_ms = gpu.all_reduce_ms(model.residual_bytes_per_token(), gpus) - latency_ms;
        let graphs = GraphPlan::new(arguments);
        let mut timer = Self {
            costs: server.step,
            host: server.host,
            is_compiled: arguments.cudagraph_mode == CudagraphMode::FullAndPiecewise,
            weights_ms: model.step_weight_bytes() / gpu.weight_bytes_per_ms,
            matmul_ms_per_token: model.matmul_operations_per_token() / gpu.matmul_operations_per_ms,
            cache_ms_per_token: model.kv_bytes_per_token() / gpu.cache_bytes_per_ms,
            attention_ms_per_pair: model.attention_operations_per_pair()
                / gpu.attention_operations_per_ms,
            all_reduce_ms: all_reduces * latency_ms,
            all_reduce_ms_per_token: all_reduces * token_ms,
            graph_body_ms: Vec::new(),
            graphs,
        };
        let sizes = timer.graphs.sizes();
        let body_ms: Vec<f64> = sizes.iter().map(|&size| timer.body_ms(size)).collect();
        let largest = sizes.last().copied().unwrap_or(0);
        timer.graph_body_ms = (0..=largest)
            .map_while(|tokens| body_ms.get(timer.graphs.place(tokens)).copied())
            .collect();
        timer
    }

    /// What a step of this shape costs.
    ///
    /// The GPU needs `fixed + (W^q + (M·lin)^q)^(1/q) + context·kv + pairs·attention +
    /// samples·sequence (+ mixed)`, with `W` the time to read the weights, `M` the tokens after
    /// padding to a graph's size, and `q` the norm; with tensor parallelism of each GPU's part, and
    /// `2·layers + 1` times an all-reduce of `M` tokens more.
    pub(crate) fn time(&self, shape: &StepShape) -> StepTime {
        let has_prefill = shape.prefills > 0;
        let mode = self.graphs.mode(shape.tokens, has_prefill);
        let body_ms = match mode {
            StepMode::Full | StepMode::Piecewise => self.graph_body_ms[shape.tokens as usize],
            StepMode::Eager => self.body_ms(shape.tokens),
        };
        let gpu_ms = self.costs.fixed_ms
            + body_ms
            + shape.decode_context as f64 * self.cache_ms_per_token
            + 0.5 * shape.prefill_pairs_doubled as f64 * self.attention_ms_per_pair
            + f64::from(shape.samples) * self.costs.per_sequence_ms
            + if has_prefill { self.costs.mixed_ms } else { 0.0 };
        let (host, prefills) = (&self.host, f64::from(shape.prefills));
        let (host_ms, gap_ms) = match mode {
            StepMode::Full => {
                (host.full_ms + host.full_per_request_ms * f64::from(shape.requests), 0.0)
            }
            StepMode::Piecewise => (
                host.piecewise_ms + host.piecewise_per_prefill_ms * prefills,
                host.piecewise_gap_per_prefill_ms * prefills,
            ),
            StepMode::Eager if self.is_compiled => {
                (host.eager_ms, host.eager_gap_ms + host.eager_gap_per_prefill_ms * prefills)
            }
            StepMode::Eager => (
                host.eager_uncompiled_ms,
                host.eager_uncompiled_gap_ms + host.eager_uncompiled_gap_per_prefill_ms * prefills,
            ),
        };
        StepTime { mode, gpu_s: gpu_ms / 1e3, host_s: host_ms / 1e3, gap_s: gap_ms / 1e3 }
    }

    /// Time to pass `tokens` through the weights and add up what several GPUs computed of them, ms.
    fn body_ms(&self, tokens: u32) -> f64 {
        let q = self.costs.norm;
        let all_reduce_ms = self.all_reduce_ms + f64::from(tokens) * self.all_reduce_ms_per_token;
        let multiply_ms = f64::from(tokens) * self.matmul_ms_per_token;
        let (less, more) = (self.weights_ms.min(multiply_ms), self.weights_ms.max(multiply_ms));
        // The larger factored out, so that no power overflows.
        more * libm::pow(1.0 + libm::pow(less / more, q), 1.0 / q) + all_reduce_ms
    }
}

#[cfg(test)]
mod tests;
