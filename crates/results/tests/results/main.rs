//! Result sets on disk: what is written is read, and what is broken is named.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its files is to panic")]

mod faults;
mod finals;
mod fixture;
mod folders;
mod round_trip;
mod support;

#[cfg(feature = "python-tests")]
mod python;
