//! Auto-tunes LLM servers with Bayesian optimisation.
//!
//! slotune finds the vLLM configuration that minimises a tail latency subject to throughput
//! targets, in as few server restarts as possible. This crate is the front door: it re-exports the
//! parts and adds [`Tuner`], the loop that asks a [`Study`](slotune_core::Study) for trials, has a
//! [`Backend`](slotune_serving::Backend) evaluate them, and tells the study what came of it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`core`] | search space, objective, study, samplers, Gaussian process |
//! | [`serving`] | engine arguments, workloads, request records, metrics, the `Backend` trait |
//! | [`sim`] | the in-process simulator of a vLLM server |
//! | [`vllm`] | a real vLLM server as a backend, started or attached to |
//! | [`results`] | Parquet result sets |
//! | [`report`] | tables, plots and the Week-3 page |
//! | [`study_file`] | what to tune, for what and on which server, as TOML |
//! | [`session`] | a study file under way: references, searches, the result set |
//! | [`suite`] | the Week-3 studies in order |
//! | [`finals`] | the best of a search repeated beside vLLM's default |
//! | [`calibration`] | the simulator fitted to a result set |
//! | [`forecast`] | what one configuration would do, simulated |
//! | [`import`] | results of other load generators as a result set |
//! | [`replay`] | a past result set as a lookup problem for samplers |
//! | [`narration`] | a finished trial in one line |

pub use slotune_core as core;
pub use slotune_report as report;
pub use slotune_results as results;
pub use slotune_serving as serving;
pub use slotune_sim as sim;
pub use slotune_vllm as vllm;

pub mod calibration;
pub mod finals;
pub mod forecast;
pub mod import;
pub mod narration;
pub mod replay;
pub mod session;
pub mod study_file;
pub mod suite;

mod given;
mod recorder;
mod tuner;

pub use recorder::Recorder;
pub use tuner::{Evaluation, Evaluator, Finished, Observer, Opening, Patience, TuneError, Tuner};

/// Compiles and runs the README's code.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// Compiles the guide's code, which needs a real server to run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/real-server.md")]
struct RealServerGuide;

/// Compiles and runs the code of the simulator's guide; `tests/simulate` runs its commands.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/simulator.md")]
struct SimulatorGuide;

/// Compiles and runs the code of the guide to backends, conformance suite and all.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/own-backend.md")]
struct OwnBackendGuide;

/// Compiles and runs the code of the guide to samplers.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/own-sampler.md")]
struct OwnSamplerGuide;
