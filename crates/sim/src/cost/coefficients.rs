//! The coefficients of the laws of cost, each named in one place: a field's name is also its name in a
//! preset's file.

use crate::presets::GpuPreset;

/// A struct of costs, and its fields by their names in a preset's file.
macro_rules! costs {
    (
        $(#[$about:meta])*
        $name:ident of $table:literal as $field_of_preset:ident {
            $($(#[$about_field:meta])* $field:ident,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $name {
            $($(#[$about_field])* pub $field: f64,)+
        }

        impl $name {
            /// Those of the measured H100 and its host: the file `h100-sxm`.
            pub fn measured() -> Self {
                GpuPreset::measured().$field_of_preset
            }

            /// The fields, by table and name.
            pub(crate) fn numbers(&mut self) -> impl Iterator<Item = (&'static str, &mut f64)> {
                [$((concat!($table, ".", stringify!($field)), &mut self.$field),)+].into_iter()
            }
        }
    };
}

costs! {
    /// Coefficients of the GPU time of a step, beside the rates of the [`Gpu`](crate::Gpu).
    StepCosts of "step" as step {
        /// Of every step, ms.
        fixed_ms,
        /// Of every sampled sequence, ms.
        per_sequence_ms,
        /// Of every step with prefill, ms.
        mixed_ms,
        /// Exponent of the norm that joins the time to read the weights with the time to multiply
        /// them: infinite would be a roofline, 1 a sum.
        norm,
    }
}

costs! {
    /// Coefficients of the time the engine core needs to schedule, prepare and launch a step.
    HostCosts of "host" as host {
        /// Of a step run as a full graph, ms.
        full_ms,
        /// Of each request in it, ms.
        full_per_request_ms,
        /// Of a step run piecewise, ms.
        piecewise_ms,
        /// Of each prefill in it, ms.
        piecewise_per_prefill_ms,
        /// Time of each prefill in it in which the GPU waits between the step before and this one, ms.
        piecewise_gap_per_prefill_ms,
        /// Of an eager step of compiled code, ms.
        eager_ms,
        /// Time in which the GPU waits before it, ms.
        eager_gap_ms,
        /// The same of each prefill in it, ms.
        eager_gap_per_prefill_ms,
        /// Of an eager step without compilation, ms.
        eager_uncompiled_ms,
        /// Time in which the GPU waits before it, ms.
        eager_uncompiled_gap_ms,
        /// The same of each prefill in it, ms.
        eager_uncompiled_gap_per_prefill_ms,
        /// Time after which a step that is no full graph has kernels on the GPU, ms.
        launch_ms,
        /// Time such a step needs on the GPU after its last launch, ms.
        launch_tail_ms,
    }
}

costs! {
    /// Coefficients of the API server's event loop, which does one thing at a time.
    FrontEndCosts of "front_end" as front_end {
        /// Of each arriving request, over all of its turns, ms.
        per_request_ms,
        /// Of each prompt token, which is decoded with the first token of the answer, ms.
        per_prompt_token_ms,
        /// Of each step's output, ms.
        per_step_ms,
        /// Of each token in it, ms.
        per_token_ms,
        /// Of each chunk sent to a client, ms.
        per_chunk_ms,
        /// Latency from there to the engine, occupying nothing, ms.
        to_engine_ms,
        /// Latency from there to the client, occupying nothing, ms.
        to_client_ms,
    }
}

impl FrontEndCosts {
    /// The costs of a front end that is slower by `factor`; latencies stay.
    pub(crate) fn slower_by(&self, factor: f64) -> Self {
        Self {
            per_request_ms: self.per_request_ms * factor,
            per_prompt_token_ms: self.per_prompt_token_ms * factor,
            per_step_ms: self.per_step_ms * factor,
            per_token_ms: self.per_token_ms * factor,
            per_chunk_ms: self.per_chunk_ms * factor,
            ..*self
        }
    }
}
