//! Shapes of transformer models, and the sizes that follow from them.

use serde::Serialize;

use crate::presets::{ModelPreset, PresetError};

/// Bytes of a bf16 value, the only precision simulated for weights and cache.
const VALUE_BYTES: f64 = 2.0;
const GIB: f64 = 1_073_741_824.0;
/// GiB that vLLM logs for the weights above their parameters' bytes (14.29 against 14.19, measured).
const WEIGHTS_SURPLUS_GIB: f64 = 0.10;
/// Measured activation bytes of the profiling run (131 KiB a token) over the formula's (125 KiB).
const ACTIVATION_SURPLUS: f64 = 1.048;

/// Shape of a dense decoder-only transformer with grouped-query attention and a gated MLP, in bf16.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelShape {
    /// Name of the model served.
    #[serde(rename = "model")]
    pub name: String,
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
    /// Whether queries, keys and values have biases.
    pub attention_bias: bool,
    /// Longest context that its configuration allows, tokens.
    pub max_len: u32,
}

impl ModelShape {
    /// Qwen2.5-7B-Instruct, the model of the measurements.
    #[expect(clippy::missing_panics_doc, reason = "the preset is compiled in, and a test reads it")]
    pub fn qwen2_5_7b() -> Self {
        Self::named("qwen2.5-7b").expect("this preset is shipped")
    }

    /// The model of a shipped preset.
    ///
    /// # Errors
    /// [`PresetError::Unknown`] offers the most similar name.
    pub fn named(name: &str) -> Result<Self, PresetError> {
        ModelPreset::named(name).map(|preset| preset.shape)
    }

    /// Parameters in all: embeddings, layers and norms.
    pub fn parameters(&self) -> f64 {
        let embeddings = if self.tied_embeddings { 1.0 } else { 2.0 };
        self.body_parameters() + embeddings * self.head_parameters()
    }

    /// Parameters of the layers: those that every token of a step passes through.
    pub fn body_parameters(&self) -> f64 {
        let [hidden, intermediate, layers] =
            [self.hidden, self.intermediate, self.layers].map(f64::from);
        let [queries, keys] = [self.query_heads, self.kv_heads]
            .map(|heads| f64::from(heads) * f64::from(self.head_dim));
        // Queries and output, keys and values.
        let attention = hidden * (2.0 * queries + 2.0 * keys);
        let biases = if self.attention_bias { queries + 2.0 * keys } else { 0.0 };
        let mlp = 3.0 * hidden * intermediate;
        let norms = 2.0 * hidden;
        layers * (attention + biases + mlp + norms) + hidden
    }

    /// The part of the model that each of `gpus` computes under tensor parallelism: heads, MLP and
    /// vocabulary split; key-value heads repeated where there are fewer than GPUs, as vLLM does.
    pub(crate) fn shard(&self, gpus: u32) -> Self {
        Self {
            query_heads: self.query_heads.div_ceil(gpus),
            kv_heads: self.kv_heads.div_ceil(gpus),
            intermediate: self.intermediate.div_ceil(gpus),
            vocabulary: self.vocabulary.div_ceil(gpus),
            ..self.clone()
        }
    }

    /// Bytes of the residual stream of one token: what the GPUs of tensor parallelism add up.
    pub(crate) fn residual_bytes_per_token(&self) -> f64 {
        VALUE_BYTES * f64::from(self.hidden)
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
        VALUE_BYTES * self.parameters() / GIB + WEIGHTS_SURPLUS_GIB
    }

    /// GiB of the output head.
    pub(crate) fn head_gib(&self) -> f64 {
        VALUE_BYTES * self.head_parameters() / GIB
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

    /// GiB of buffers of `bytes` for each entry of the vocabulary and each of the `sequences`.
    pub(crate) fn logits_gib(&self, sequences: u32, bytes: f64) -> f64 {
        bytes * f64::from(self.vocabulary) * f64::from(sequences) / GIB
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
        assert!((model.body_parameters() / 6.5255e9 - 1.0).abs() < 2e-5);
        assert!((model.head_parameters() / 0.545e9 - 1.0).abs() < 1e-5);
        assert!((model.kv_bytes_per_token() - 57_344.0).abs() < 1e-9);
        assert!((model.weights_gib() - 14.29).abs() < 0.01);
        assert!((model.activations_gib(1) * GIB / 1024.0 - 131.0).abs() < 0.1);
        assert!((model.logits_gib(1024, 6.0) - 0.87).abs() < 0.01);
    }

    /// What the model cards on Hugging Face count, to the last parameter.
    #[test]
    fn parameters_are_the_published_ones() {
        for (name, parameters) in [
            ("qwen2.5-0.5b", 494_032_768_u64),
            ("qwen2.5-1.5b", 1_543_714_304),
            ("qwen2.5-3b", 3_085_938_688),
            ("qwen2.5-7b", 7_615_616_512),
            ("qwen2.5-14b", 14_770_033_664),
            ("qwen2.5-32b", 32_763_876_352),
            ("qwen2.5-72b", 72_706_203_648),
            ("llama-3.1-8b", 8_030_261_248),
            ("llama-3.1-70b", 70_553_706_496),
            ("mistral-7b-v0.3", 7_248_023_552),
        ] {
            let model = ModelShape::named(name).expect("a shipped preset");
            assert!((model.parameters() - parameters as f64).abs() < 0.5, "{name}");
        }
    }

    /// Parts add up to the whole, except for norms, which every GPU holds, and repeated heads.
    #[test]
    fn shards_hold_their_share() {
        let model = ModelShape::named("llama-3.1-70b").expect("a shipped preset");
        for gpus in [1, 2, 4, 8] {
            let shard = model.shard(gpus);
            let n = f64::from(gpus);
            let norms = f64::from(model.hidden) * (2.0 * f64::from(model.layers) + 1.0);
            let whole = n * shard.parameters() - (n - 1.0) * norms;
            assert!((whole - model.parameters()).abs() < 0.5, "{gpus}");
            assert!((n * shard.kv_bytes_per_token() - model.kv_bytes_per_token()).abs() < 1e-6);
        }
        let few_heads = ModelShape::named("qwen2.5-3b").expect("a shipped preset");
        assert_eq!([1, 2, 4, 8].map(|gpus| few_heads.shard(gpus).kv_heads), [2, 1, 1, 1]);
    }
}
