//! Why there is no such preset.

use slotune_serving::nearest::{did_you_mean, nearest};

use super::numbers::names;

/// Why there is no such preset.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PresetError {
    /// No shipped preset has that name.
    #[error(
        "unknown {kind} `{name}`{}; known are {}, or the path of a file of your own that ends in .toml",
        did_you_mean(*nearest),
        known.join(", ")
    )]
    Unknown {
        /// What was looked for: `GPU`, `model` or `preset`.
        kind: &'static str,
        /// The name seen.
        name: String,
        /// The known name that is most like it, if one is.
        nearest: Option<&'static str>,
        /// All names.
        known: Vec<&'static str>,
    },
    /// The file cannot be read.
    #[error("{file}: {problem}")]
    Read {
        /// The file.
        file: String,
        /// What the operating system says.
        problem: String,
    },
    /// The file is no TOML, or its fields are not those of a preset.
    #[error("{file}, line {line}: {problem}; compare with a shipped file, such as {example}")]
    Format {
        /// The file.
        file: String,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong, with the field.
        problem: String,
        /// Name of a preset whose file has all fields.
        example: &'static str,
    },
    /// A field holds a number that it cannot.
    #[error("{file}, line {line}: `{field}` is {value}, but must be {allowed}")]
    Value {
        /// The file.
        file: String,
        /// Number of the line, from 1.
        line: usize,
        /// The field.
        field: String,
        /// The number seen.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// No number of a GPU preset has that name.
    #[error("unknown coefficient `{name}`{}; known are {}", did_you_mean(*nearest), known.join(", "))]
    Coefficient {
        /// The name seen.
        name: String,
        /// The known name that is most like it, if one is.
        nearest: Option<&'static str>,
        /// All names.
        known: Vec<&'static str>,
    },
    /// A number that may not stand where it was to be put.
    #[error("`{field}` is {value}, but must be {allowed}")]
    Number {
        /// The field.
        field: String,
        /// The number seen.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
}

impl PresetError {
    pub(super) fn coefficient(name: &str) -> Self {
        let known = names();
        let nearest = nearest(name, known.iter().copied());
        Self::Coefficient { name: name.to_owned(), nearest, known }
    }
}
