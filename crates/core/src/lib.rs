//! Constrained Bayesian optimisation over mixed search spaces.
//!
//! This crate has never heard of servers, tokens, HTTP, files or clocks: it minimises (or
//! maximises) one expensive, noisy metric, or trades off two, subject to bounds on others, over a space
//! of named parameters, where some configurations give no measurement at all.
//!
//! The loop is ask and tell:
//!
//! ```
//! use slotune_core::{
//!     Constraint, Measurement, Objective, Outcome, Parameter, Problem, SearchSpace, Study,
//!     sampler::Bayesian,
//! };
//!
//! let space = SearchSpace::new(
//!     vec![Parameter::integer("width", 1, 512).log(), Parameter::float("fill", 0.5, 0.95)],
//!     vec![],
//! )?;
//! let objective =
//!     Objective::minimise("latency").subject_to(Constraint::at_least("throughput", 30.0));
//! let mut study = Study::new(Problem::new(space, objective), Box::new(Bayesian::default()), 7)?;
//! for _ in 0..12 {
//!     let Some(trial) = study.ask()? else { break };
//!     let width = trial.configuration.integer("width").unwrap() as f64;
//!     let fill = trial.configuration.float("fill").unwrap();
//!     let measurement = Measurement::new()
//!         .with("latency", 100.0 / width + fill * width / 40.0)
//!         .with("throughput", width * fill);
//!     study.tell(trial.id, Outcome::Completed(measurement), 1.0)?;
//! }
//! let best = study.history().best(study.problem().objective()).unwrap();
//! assert!(best.trial.configuration.integer("width").unwrap() > 30);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Words are used as `docs/NOTATION.md` defines them: a *trial* is one evaluation with its state,
//! a *suggestion* a configuration proposed and not yet started, *infeasible* a fact about a
//! configuration, *failed* a fact about the world.

pub mod acquisition;
pub mod gp;
pub mod importance;
pub mod random;
pub mod sampler;

mod front;
mod history;
mod minimise;
mod objective;
mod recommendation;
#[cfg(test)]
mod reference;
mod space;
mod study;
mod trial;
mod validity;

pub use front::{Front, front_of};
pub use history::{Entry, History, State};
pub use objective::{Bound, Constraint, Direction, Goal, Objective, Problem, Scale};
pub use recommendation::{Candidate, Gain, Recommendation, Simpler};
pub use space::{
    Column, Condition, Configuration, ConfigurationError, DesignPoint, Domain, Operand, Parameter,
    Rule, SearchSpace, SpaceError, Value,
};
pub use study::{AskError, Study, StudyError, TellError};
pub use trial::{Estimate, Measurement, Origin, Outcome, Reason, Trial, TrialId, opening};
