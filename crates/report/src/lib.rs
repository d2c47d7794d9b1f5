//! Tables, plots and pages from result sets.
//!
//! Two layers. [`analysis`] turns a [`ResultSet`](slotune_results::ResultSet) into conclusions,
//! each a plain value: the [`Verdict`](analysis::Verdict), incumbent curves, the effect of each
//! parameter, what failed and why. [`week3`] writes them down as a page with pictures, Markdown and HTML;
//! it adds words, never numbers of its own.
//!
//! [`advice`], [`comparison`] and [`export`] answer single questions: what to do, what changed
//! between two trials, and what the configuration is as a command, a program or a manifest;
//! [`finals`] what repeats beside the default came to; [`inquiry`] asks any number of past sets for
//! other targets.
//!
//! ```
//! use slotune_report::{analysis::{Analysis, Verdict}, week3};
//! # use slotune_results::{Loaded, StoredTrial};
//!
//! # fn report(loaded: &Loaded) -> Result<(), week3::ReportError> {
//! if let Verdict::Change(found) = Analysis::new(&loaded.set).verdict {
//!     assert_eq!(found.trial.study, "search");
//! }
//! let requests = |trial: &StoredTrial| {
//!     loaded.requests(&trial.study, trial.entry.trial.id).map(Option::unwrap_or_default)
//! };
//! week3::write(&loaded.set, requests, "qwen_week3_results".as_ref())?;
//! # Ok(())
//! # }
//! ```
//!
//! Pictures are set in `DejaVu Sans`, a subset of which is part of this crate; `assets/` names its
//! origin and holds its licence.
//!
//! Pages, answers and pictures are functions of the result set alone: the same set gives the same bytes.

pub mod advice;
pub mod analysis;
pub mod comparison;
pub mod export;
pub mod finals;
pub mod inquiry;
pub mod references;
pub mod selection;
pub mod week3;

mod asked;
mod format;
mod latency;
mod plot;
mod subject;

pub use asked::unlike_loads;
pub use format::quantity;
pub use plot::{
    Picture,
    agreement::{Agreement, agreement},
};
