//! Tables, plots and pages from result sets.
//!
//! Two layers. [`analysis`] turns a [`ResultSet`](slotune_results::ResultSet) into conclusions,
//! each a plain value: the [`Verdict`](analysis::Verdict), incumbent curves, the effect of each
//! parameter, what failed and why. [`week3`] writes them down as a Markdown page with pictures;
//! it adds words, never numbers of its own.
//!
//! Everything here is a pure function of the result set: the same set gives the same bytes.

pub mod analysis;
pub mod week3;

mod format;
mod plot;
mod subject;
