//! A real vLLM server as a backend: started, loaded, measured and stopped over HTTP.
//!
//! [`VllmServer`] evaluates trials, on a server that it starts for each of them or on one that runs
//! already ([`ServerConfiguration`]). A guide for users is `docs/guide/real-server.md`.
//!
//! | module | what it does |
//! |---|---|
//! | [`load`] | sends the requests of a schedule when they are due, and proves that it did |
//! | [`process`] | starts a server so that it never outlives the tuner, and stops it whole |
//! | [`failure`] | tells a configuration that cannot work from a world that was in the way |
//! | [`doctor`] | checks a machine before a study, and the client's own limit |
//! | [`client`], [`secret`] | HTTP to one server, and the API key that nobody sees |
//! | [`gpu`] | what the driver tells of GPUs and their memory |
//! | [`clock`] | the one clock of a run |
//! | [`stub`] | a scripted server without a model, for the doctor and the tests |
//!
//! It needs a tokio runtime with I/O and time, and is better off with several threads.

pub mod client;
pub mod clock;
pub mod doctor;
pub mod failure;
pub mod gpu;
pub mod load;
pub mod process;
pub mod secret;
pub mod stub;

mod backend;
mod configuration;
mod message;
mod resolved;
mod telemetry;

pub use backend::{ServerError, VllmServer};
pub use configuration::{
    Attach, ConfigurationError, Manage, SecretSource, ServerConfiguration, Target,
};
