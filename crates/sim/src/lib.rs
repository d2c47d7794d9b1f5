//! Discrete-event simulator of a vLLM V1 server.
//!
//! It takes the same engine arguments and the same schedule of requests as a real server, and
//! returns the same raw records, so a whole study runs on a laptop and in tests. [`Simulator`] is
//! the backend; [`simulate`] is the pure function below it, and [`simulate_each`] the same for
//! requests that need not fit into memory. `tests/rules.rs` lists the rules with their tests.
//!
//! ```text
//! clients ─► front end (turns) ──► waiting ─► scheduler ─► step ─► GPU
//!    ▲           │  ▲                            ▲                  │
//!    └───────────┘  └──────── sampled tokens ────┴──────────────────┘
//! ```
//!
//! # What its numbers rest on
//!
//! Costs were fitted to vLLM 0.25.1 serving Qwen2.5-7B (dummy weights, bf16, prefix caching off) on
//! **two H100 SXM** hosts, one day each. On the first, end-to-end means are within 2.5 % in every run with
//! vLLM's compilation, saturated ones included; without compilation a host may be half as slow again from run to run, and within one, which
//! nothing here foresees. A test holds the former. The order in which the front end does its work, and the
//! rates of the H200, come from time stamps of one server on an **H200** (`datasets/h200_qwen2.5_7b_grid`).
//! Every other [`GpuPreset`] is an estimate from the literature, for demonstrations only, as is all of
//! tensor parallelism: each GPU's share of the work, and all-reduces at the speed of the links, without
//! what more processes cost the host. Prefix caching and priority scheduling follow vLLM's source and
//! were not measured; of the failures at start-up, one was. Each number of a preset carries its status
//! and source.
//!
//! Not modelled: pipeline, data and expert parallelism, speculative decoding, adapters, multimodal input,
//! structured output, quantisation, offloading of KV blocks, stop strings (output lengths are
//! given), client time and network, several API servers.

mod blocks;
mod calibration;
#[cfg(test)]
mod cases;
mod cost;
mod engine;
mod front_end;
mod hardware;
mod model;
mod noise;
mod presets;
mod scheduler;
mod server;
mod simulate;
mod simulator;
mod start_up;

pub use calibration::{
    CalibratedPreset, CalibrationError, EngineCounts, FittedCoefficient, KEPT, LARGEST_FACTOR,
    MeasuredRun, RunFigures, TARGETS, calibrate, cross_validate,
};
pub use cost::{FrontEndCosts, HostCosts, StepCosts};
pub use front_end::EventLoop;
pub use hardware::Gpu;
pub use model::ModelShape;
pub use noise::Noise;
pub use presets::{
    Coefficient, GpuPreset, ModelPreset, PresetError, ShippedPresets, Status, names_a_file,
    shipped_file,
};
pub use scheduler::Admission;
pub use server::ServerModel;
pub use simulate::{
    EngineDeath, InputError, RunOptions, RunTotals, SimulatedRun, simulate, simulate_each,
};
pub use simulator::Simulator;
pub use start_up::{
    CacheState, MemoryPlan, OutOfMemory, StartUp, StartUpCause, StartUpFailure, StepMemory,
};
