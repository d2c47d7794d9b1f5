//! Shapes of transformer models, and the sizes that follow from them.

/// Bytes of a bf16 value, the only precision simulated for weights and cache.
const VALUE_BYTES: f64 = 2.0;
const GIB: f64 = 1_073_741_824.0;
/// GiB that vLLM logs for the weights above their parameters' bytes (14.29 against 14.19, measured).
const WEIGHTS_SURPLUS_GIB: f64 = 0.10;
/// Measured activation bytes of the profiling run (131 KiB a token) over the formula's (125 KiB).
const ACTIVATION_SURPLUS: f64 = 1.048;

/// Shape of a dense decoder-only transformer with grouped-query attention and a gated MLP, in bf16.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelShape {
    /// Name of the model served.
    pub name: String,
    /// Parameters in all, as published.
    pub parameters: f64,
    /// Transformer layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Query heads of a layer.
    pub query_heads: u32,
    /// Key-value heads of a layer.
    pub kv_heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// Width of the MLP.
    pub intermediate: u32,
    /// Entries of the vocabulary.
    pub vocabulary: u32,
    /// Whether the output head is the input embedding.
    pub tied_embeddings: bool,
    /// Longest context that its configuration allows, tokens.
    pub max_len: u32,
}

impl ModelShape {
    /// Qwen2.5-7B-Instruct, the model of the measurements.
    pub fn qwen2_5_7b() -> Self {
        Self {
            name: "Qwen/Qwen2.5-7B-Instruct".into(),
            // The count that the costs were fitted with; the published one ends in 56.
            parameters: 7.6155e9,
            layers: 28,
            hidden: 3584,
            query_heads: 28,
            kv_heads: 4,
            head_dim: 128,
            intermediate: 18_944,
            vocabulary: 152_064,
            tied_embeddings: false,
            max_len: 32_768,
        }
    }

    /// Parameters of the layers: those that every token of a step passes through.
    pub fn body_parameters(&self) -> f64 {
        let embeddings = if self.tied_embeddings { 1.0 } else { 2.0 };
        self.parameters - embeddings * self.head_parameters()
    }

    /// Parameters of the output head: those that every sampled token passes through.
    pub(crate) fn head_parameters(&self) -> f64 {
        f64::from(self.vocabulary) * f64::from(self.hidden)
    }

    /// Bytes of weights that a step reads: layers and head.
    pub(crate) fn step_weight_bytes(&self) -> f64 {
        VALUE_BYTES * (self.body_parameters() + self.head_parameters())
    }

    /// GiB that the loaded weights take.
    pub fn weights_gib(&self) -> f64 {
        VALUE_BYTES * self.parameters / GIB + WEIGHTS_SURPLUS_GIB
    }

    /// Bytes of keys and values of one token.
    pub fn kv_bytes_per_token(&self) -> f64 {
        2.0 * VALUE_BYTES
            * f64::from(self.layers)
            * f64::from(self.kv_heads)
            * f64::from(self.head_dim)
    }

    /// Operations that the weights of the layers cost one token: a multiplication and an addition
    /// each.
    pub(crate) fn matmul_operations_per_token(&self) -> f64 {
        2.0 * self.body_parameters()
    }

    /// Operations that one query-key pair costs over all layers: two products of `head_dim`
    /// multiplications and additions in each query head.
    pub(crate) fn attention_operations_per_pair(&self) -> f64 {
        4.0 * f64::from(self.layers) * f64::from(self.query_heads) * f64::from(self.head_dim)
    }

    /// GiB of activations of a step of `tokens`: the MLP's buffers.
    pub(crate) fn activations_gib(&self, tokens: u32) -> f64 {
        let values = 3.0 * f64::from(self.intermediate) + 2.0 * f64::from(self.hidden);
        ACTIVATION_SURPLUS * VALUE_BYTES * values * f64::from(tokens) / GIB
    }

    /// GiB of the sampler's buffers for `sequences`: 6 bytes an entry of the vocabulary (estimate).
    pub(crate) fn logits_gib(&self, sequences: u32) -> f64 {
        6.0 * f64::from(self.vocabulary) * f64::from(sequences) / GIB
    }

    /// GiB of the keys and values of `tokens`.
    pub(crate) fn kv_gib(&self, tokens: u64) -> f64 {
        self.kv_bytes_per_token() * tokens as f64 / GIB
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qwen_sizes_are_the_published_ones() {
        let model = ModelShape::qwen2_5_7b();
        assert!((model.body_parameters() / 6.5255e9 - 1.0).abs() < 1e-6);
        assert!((model.head_parameters() / 0.545e9 - 1.0).abs() < 1e-5);
        assert!((model.kv_bytes_per_token() - 57_344.0).abs() < 1e-9);
        assert!((model.weights_gib() - 14.29).abs() < 0.01);
        assert!((model.activations_gib(1) * GIB / 1024.0 - 131.0).abs() < 0.1);
        assert!((model.logits_gib(1024) - 0.87).abs() < 0.01);
    }
}
