//! The rows of a trace file, in any known format.

use csv::{ReaderBuilder, StringRecord, Trim};
use jiff::{Timestamp, civil::DateTime};

use super::TraceError;
use crate::workload::lengths::LengthPair;

/// One recorded request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Number of its line, from 1.
    pub(super) line: u64,
    /// Seconds from the first row; `None` where the format has no times.
    pub(super) arrival_s: Option<f64>,
    pub(super) lengths: LengthPair,
    pub(super) reuse: Option<Reuse>,
}

/// The part of a prompt that an earlier prompt began with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reuse {
    pub(super) tokens: u32,
    /// How long ago the earlier request arrived, seconds.
    pub(super) age_s: f64,
}

/// A known format, by the columns that tell it.
struct Format {
    name: &'static str,
    arrival: Option<(&'static str, Clock)>,
    prompt: &'static str,
    output: &'static str,
    /// Whether a row without output is a request that failed, to be left out.
    failures_have_no_output: bool,
}

/// How arrivals are written.
#[derive(Clone, Copy)]
enum Clock {
    WallTime,
    Seconds,
}

/// All formats; the first that fits is taken.
const FORMATS: [Format; 4] = [
    Format {
        name: "Azure",
        arrival: Some(("TIMESTAMP", Clock::WallTime)),
        prompt: "ContextTokens",
        output: "GeneratedTokens",
        failures_have_no_output: false,
    },
    Format {
        name: "BurstGPT",
        arrival: Some(("Timestamp", Clock::Seconds)),
        prompt: "Request tokens",
        output: "Response tokens",
        failures_have_no_output: true,
    },
    Format {
        name: "Mooncake, reduced",
        arrival: Some(("arrival_s", Clock::Seconds)),
        prompt: "input_tokens",
        output: "output_tokens",
        failures_have_no_output: false,
    },
    Format {
        name: "lengths only",
        arrival: None,
        prompt: "input_tokens",
        output: "output_tokens",
        failures_have_no_output: false,
    },
];

const REUSED: &str = "reusable_prefix_tokens";
const REUSED_AGE: &str = "prefix_age_s";

/// Where the columns of a format stand in a file.
struct Columns {
    arrival: Option<(Column, Clock)>,
    prompt: Column,
    output: Column,
    reuse: Option<(Column, Column)>,
}

/// A column's name and position.
type Column = (&'static str, usize);

/// All rows of the file.
pub(super) fn rows(file: &str, text: &str) -> Result<Vec<Row>, TraceError> {
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text.as_bytes());
    let mut lines = Lines::new(text);
    let header = reader.headers().map_err(|error| lines.broken(file, &error))?.clone();
    let (format, columns) = recognise(file, &header)?;
    let mut first = None;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| lines.broken(file, &error))?;
        let line = lines.at(record.position());
        let cells = Cells { file, line, record: &record };
        if format.failures_have_no_output && cells.text(columns.output) == "0" {
            continue;
        }
        let arrival_s = match columns.arrival {
            None => None,
            Some((column, Clock::Seconds)) => {
                let seconds = cells.seconds(column)?;
                let (_, start) = first.get_or_insert((0, seconds));
                Some(seconds - *start)
            }
            Some((column, Clock::WallTime)) => {
                let nanoseconds = cells.wall_time(column)?;
                // Whole nanoseconds from the first row are exact, where a float since 1970 is not.
                let (start, _) = first.get_or_insert((nanoseconds, 0.0));
                Some((nanoseconds - *start) as f64 / 1e9)
            }
        };
        let prompt_tokens = cells.tokens(columns.prompt, 1, "a whole number, 1 or more")?;
        let output_tokens = cells.tokens(columns.output, 1, "a whole number, 1 or more")?;
        rows.push(Row {
            line,
            arrival_s,
            lengths: LengthPair { prompt_tokens, output_tokens },
            reuse: cells.reuse(columns.reuse, prompt_tokens)?,
        });
    }
    if rows.is_empty() { Err(TraceError::Empty { file: file.to_owned() }) } else { Ok(rows) }
}

/// The header of a text that has one, or its start, as an error quotes it.
pub(super) fn header(text: &str) -> String {
    excerpt(text.split(['\r', '\n']).find(|line| !line.trim().is_empty()).unwrap_or_default())
}

/// The format of a header, and where its columns stand.
fn recognise(file: &str, header: &StringRecord) -> Result<(&'static Format, Columns), TraceError> {
    let column = |name: &'static str| Some((name, header.iter().position(|cell| cell == name)?));
    let columns = |format: &Format| {
        let arrival = match format.arrival {
            Some((name, clock)) => Some((column(name)?, clock)),
            None => None,
        };
        Some(Columns {
            arrival,
            prompt: column(format.prompt)?,
            output: column(format.output)?,
            reuse: arrival.and(column(REUSED).zip(column(REUSED_AGE))),
        })
    };
    FORMATS.iter().find_map(|format| Some((format, columns(format)?))).ok_or_else(|| {
        let known: Vec<String> = FORMATS
            .iter()
            .map(|format| {
                let names = format
                    .arrival
                    .map(|(name, _)| name)
                    .into_iter()
                    .chain([format.prompt, format.output]);
                format!("{} ({})", format.name, names.collect::<Vec<_>>().join(", "))
            })
            .collect();
        TraceError::Header {
            file: file.to_owned(),
            header: excerpt(&header.iter().collect::<Vec<_>>().join(",")),
            known: known.join("; "),
        }
    })
}

/// The start of a text, as long as an error should quote.
fn excerpt(text: &str) -> String {
    const CHARACTERS: usize = 80;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Numbers of lines, as an editor counts them: by LF, CR LF or CR. The reader counts only LF, and
/// up to the end of the row above.
struct Lines<'a> {
    text: &'a [u8],
    byte: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), byte: 0, line: 1 }
    }

    /// Number of the line of the row that the reader came to at `position`, from 1. Positions must
    /// not fall.
    fn at(&mut self, position: Option<&csv::Position>) -> u64 {
        let start = position.map_or(0, csv::Position::byte);
        while let Some(&character) = self.text.get(self.byte)
            && ((self.byte as u64) < start || matches!(character, b'\r' | b'\n'))
        {
            self.byte += 1;
            let is_end = match character {
                b'\r' => self.text.get(self.byte) != Some(&b'\n'),
                character => character == b'\n',
            };
            self.line += u64::from(is_end);
        }
        self.line
    }

    fn broken(&mut self, file: &str, error: &csv::Error) -> TraceError {
        let problem = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("has {len} cells, but the header has {expected_len}")
            }
            _ => error.to_string(),
        };
        TraceError::Row { file: file.to_owned(), line: self.at(error.position()), problem }
    }
}

/// The cells of one row.
struct Cells<'a> {
    file: &'a str,
    line: u64,
    record: &'a StringRecord,
}

impl Cells<'_> {
    fn text(&self, (_, position): Column) -> &str {
        self.record.get(position).unwrap_or_default()
    }

    fn tokens(&self, column: Column, least: u32, allowed: &'static str) -> Result<u32, TraceError> {
        let number = self.text(column).parse::<u32>().ok().filter(|&tokens| tokens >= least);
        number.ok_or_else(|| self.error(column, allowed))
    }

    fn seconds(&self, column: Column) -> Result<f64, TraceError> {
        let number = self.text(column).parse::<f64>().ok().filter(|seconds| seconds.is_finite());
        number.ok_or_else(|| self.error(column, "a finite number of seconds"))
    }

    /// Nanoseconds since 1970, in UTC where the text has no offset.
    fn wall_time(&self, column: Column) -> Result<i128, TraceError> {
        const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
        let text = self.text(column);
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(time.as_nanosecond());
        }
        // Only now: it would take a text with an offset, and leave the offset out.
        match text.parse::<DateTime>() {
            Ok(time) => Ok(time.duration_since(EPOCH).as_nanos()),
            Err(_) => Err(self.error(column, "a time such as 2023-11-16 18:15:46.6805900")),
        }
    }

    fn reuse(
        &self,
        columns: Option<(Column, Column)>,
        prompt_tokens: u32,
    ) -> Result<Option<Reuse>, TraceError> {
        let Some((tokens_column, age_column)) = columns else { return Ok(None) };
        let tokens = self.tokens(tokens_column, 0, "a whole number")?;
        if tokens == 0 {
            return Ok(None);
        }
        if tokens > prompt_tokens {
            return Err(self.error(tokens_column, "at most the prompt's tokens"));
        }
        let age_s = self.seconds(age_column)?;
        if age_s < 0.0 {
            return Err(self.error(age_column, "0 or more"));
        }
        Ok(Some(Reuse { tokens, age_s }))
    }

    fn error(&self, column: Column, allowed: &'static str) -> TraceError {
        TraceError::Cell {
            file: self.file.to_owned(),
            line: self.line,
            column: column.0,
            value: excerpt(self.text(column)),
            allowed,
        }
    }
}
