//! What stands between this machine and a trustworthy measurement.

mod limit;

pub use limit::{ClientLimit, LimitError, LimitOptions, client_limit};
