//! The vocabulary of LLM serving that every backend shares: engine arguments, workloads, request
//! records and the metrics made from them.
//!
//! A [`Backend`] takes [`EngineArguments`] and a [`Schedule`] of requests and returns a [`Run`] of
//! raw records. It never returns a percentile: each formula lives once, in [`metrics`], so a
//! simulated and a real server are measured by the same code, and this crate need not know which
//! of the two a number came from.
//!
//! Times are seconds (`_s`), lengths tokens (`_tokens`), rates per second (`_per_s`).

pub mod engine_arguments;
pub mod metrics;
pub mod nearest;
#[cfg(feature = "testing")]
pub mod testing;
pub mod workload;

mod backend;
mod caveat;
mod record;
mod run;

pub use backend::{
    Backend, BackendError, BackendInfo, Calibration, GiveUp, Hardware, InfeasibleClass, Latency,
    Progress, Provenance, Silent, Stage, TrialRequest,
};
pub use caveat::{Caveat, CaveatClass};
pub use engine_arguments::EngineArguments;
pub use record::{RequestRecord, RequestStatus};
pub use run::{ClientFacts, Run, ServerFacts, ServerSample};
/// Named random streams: backends draw from them too, and need nothing else of the core.
pub use slotune_core::random;
pub use workload::{LengthClass, Load, RequestSpec, Schedule, Workload};
