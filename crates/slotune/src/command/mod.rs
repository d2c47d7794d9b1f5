//! The subcommands, one file each: they read arguments, call the library and print.

pub(crate) mod analyse;
pub(crate) mod baseline;
pub(crate) mod calibrate;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod finals;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod recommend;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod simulate;
pub(crate) mod suite;
pub(crate) mod tune;

mod interrupt;
mod progress;
mod study;
mod targets;

use std::{
    fmt::Display,
    io::{self, Write},
    path::Path,
};

use serde::Serialize;
use slotune::{
    results::{Fault, Loaded, ResultSet, StoredTrial},
    serving::RequestRecord,
};

/// Any error, on its way to `main`.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Exit status when the answer is negative: there is no configuration to recommend, or a simulated
/// server fails.
pub(crate) const NEGATIVE: u8 = 3;

/// Exit status when the user ended it, as of a program that Ctrl-C kills.
pub(crate) const INTERRUPTED: u8 = 130;

/// Prints an answer to standard output: for people, or as JSON.
fn print<T: Serialize + Display>(answer: &T, as_json: bool) -> Result<(), Error> {
    let text = if as_json { serde_json::to_string_pretty(answer)? } else { answer.to_string() };
    Ok(writeln!(io::stdout().lock(), "{}", text.trim_end_matches('\n'))?)
}

/// Reads a result set and warns of the parts that it had to leave out: before a spinner begins, which would
/// draw over the warnings.
fn read(folder: &Path) -> Result<Loaded, Error> {
    let loaded = ResultSet::read(folder)?;
    for fault in &loaded.faults {
        eprintln!("warning: left out: {fault}");
    }
    Ok(loaded)
}

/// The requests of a trial; none where they were not kept.
fn requests(loaded: &Loaded, trial: &StoredTrial) -> Result<Vec<RequestRecord>, Fault> {
    loaded.requests(&trial.study, trial.entry.trial.id).map(Option::unwrap_or_default)
}
