//! Recorded requests: when they arrived and how long they were.
//!
//! A trace is a CSV file, its format told by its header; other columns are ignored, lines may
//! end in LF, CR LF or CR, and blank ones are skipped:
//!
//! | format | arrival | prompt tokens | output tokens |
//! |---|---|---|---|
//! | Azure LLM inference traces, 2023 and 2024 | `TIMESTAMP`, wall time | `ContextTokens` | `GeneratedTokens` |
//! | `BurstGPT` | `Timestamp`, seconds | `Request tokens` | `Response tokens` |
//! | Mooncake, reduced | `arrival_s`, seconds | `input_tokens` | `output_tokens` |
//! | lengths only | | `input_tokens` | `output_tokens` |
//!
//! The reduced Mooncake format, described in `datasets/traces/README.md`, may add
//! `reusable_prefix_tokens` and `prefix_age_s`, from which the shared prefixes are rebuilt. A
//! `BurstGPT` row with 0 response tokens is a failed request and left out.

mod format;
mod prefix;

use std::{
    borrow::Cow,
    fmt, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use self::format::Row;
use super::{RequestSpec, lengths::LengthPair};

/// Where recorded requests are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceSource {
    /// An hour of a production chat service of November 2023: 19,366 requests, 5.53/s, prompts of
    /// 1155 and outputs of 211 tokens on average. Patel et al., "Splitwise", ISCA 2024; CC BY 4.0.
    #[serde(rename = "azure_llm_2023_conv")]
    AzureConversation2023,
    /// A CSV file in a format that [`Trace`] reads.
    File(PathBuf),
}

/// Recorded requests, by arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The requests; times are seconds from the first.
    pub requests: Vec<RequestSpec>,
}

impl TraceSource {
    /// The requests recorded there.
    ///
    /// # Errors
    /// As [`Trace::read`].
    pub fn trace(&self) -> Result<Trace, TraceError> {
        Trace::parse(&self.to_string(), &self.text()?)
    }

    /// Lengths of all requests; arrivals, where there are any, are not looked at.
    pub(super) fn lengths(&self) -> Result<Vec<LengthPair>, TraceError> {
        let rows = format::rows(&self.to_string(), &self.text()?)?;
        Ok(rows.into_iter().map(|row| row.lengths).collect())
    }

    fn text(&self) -> Result<Cow<'static, str>, TraceError> {
        match self {
            Self::AzureConversation2023 => Ok(Cow::Borrowed(include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../datasets/traces/azure_llm_2023_conv.csv"
            )))),
            Self::File(path) => read(path).map(Cow::Owned),
        }
    }
}

impl Trace {
    /// Reads a trace file.
    ///
    /// # Errors
    /// [`TraceError`] names the file, and where it can the line, the column and the value.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        TraceSource::File(path.to_owned()).trace()
    }

    /// Reads the text of a trace file; `file` names it in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(file: &str, text: &str) -> Result<Self, TraceError> {
        let rows = format::rows(file, text)?;
        check_arrivals(file, text, &rows)?;
        let prefixes = prefix::rebuild(file, &rows)?;
        let requests = rows
            .into_iter()
            .zip(prefixes)
            .map(|(row, shared_prefix)| RequestSpec {
                arrival_s: row.arrival_s.unwrap_or_default(),
                prompt_tokens: row.lengths.prompt_tokens,
                output_tokens: row.lengths.output_tokens,
                shared_prefix,
            })
            .collect();
        Ok(Self { requests })
    }

    /// Seconds from the first request to the last.
    pub fn span_s(&self) -> f64 {
        self.requests.last().map_or(0.0, |request| request.arrival_s)
    }
}

/// Checks that every row of the text has an arrival and none is earlier than the one before.
fn check_arrivals(file: &str, text: &str, rows: &[Row]) -> Result<(), TraceError> {
    let mut before_s = f64::NEG_INFINITY;
    for row in rows {
        let Some(arrival_s) = row.arrival_s else {
            let header = format::header(text);
            return Err(TraceError::NoArrivals { file: file.to_owned(), header });
        };
        if arrival_s < before_s {
            let (file, line) = (file.to_owned(), row.line);
            return Err(TraceError::BackInTime { file, line, seconds: before_s - arrival_s });
        }
        before_s = arrival_s;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, TraceError> {
    fs::read_to_string(path).map_err(|error| TraceError::Read {
        file: path.display().to_string(),
        problem: error.to_string(),
    })
}

impl fmt::Display for TraceSource {
    /// The name of the trace, or of its file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AzureConversation2023 => f.write_str("azure_llm_2023_conv"),
            Self::File(path) => path.file_name().map_or(path.as_path(), Path::new).display().fmt(f),
        }
    }
}

/// Why a trace cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file cannot be opened or is no text.
    #[error("{file} cannot be read: {problem}; check the path")]
    Read {
        /// The file.
        file: String,
        /// What the operating system says.
        problem: String,
    },
    /// The header is of no known format.
    #[error("{file}: the header `{header}` is of no known trace format; known are: {known}")]
    Header {
        /// The file.
        file: String,
        /// The header seen, or the start of a long one.
        header: String,
        /// The known formats with their columns.
        known: String,
    },
    /// A row has more or fewer cells than the header, perhaps because of a quote that is not closed.
    #[error("{file}, line {line}: {problem}")]
    Row {
        /// The file.
        file: String,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// A cell holds something else than it should.
    #[error("{file}, line {line}: `{column}` is `{value}`, but must be {allowed}")]
    Cell {
        /// The file.
        file: String,
        /// Number of the line, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// The text seen, or the start of a long one.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// A request arrives before the one above it.
    #[error(
        "{file}, line {line}: arrives {seconds} s before the row above it; sort the rows by arrival"
    )]
    BackInTime {
        /// The file.
        file: String,
        /// Number of the line, from 1.
        line: u64,
        /// How far time runs back, seconds.
        seconds: f64,
    },
    /// There is no row.
    #[error("{file}: no requests, only a header")]
    Empty {
        /// The file.
        file: String,
    },
    /// The file holds lengths only.
    #[error(
        "{file}: has no arrival times among its columns `{header}`, so it cannot be replayed; give them as `arrival_s` (seconds, beside `input_tokens` and `output_tokens`), or draw lengths from the file and choose a law of arrivals"
    )]
    NoArrivals {
        /// The file.
        file: String,
        /// The header seen, or the start of a long one.
        header: String,
    },
    /// A prefix is said to come from a request that is not there.
    #[error(
        "{file}, line {line}: shares {tokens} tokens with a request {age_s} s before it, but none that long arrived then"
    )]
    Prefix {
        /// The file.
        file: String,
        /// Number of the line, from 1.
        line: u64,
        /// Tokens said to be shared.
        tokens: u32,
        /// Age of the prefix, seconds.
        age_s: f64,
    },
}

#[cfg(test)]
mod tests;
