//! Reading a study file, and errors that a person can act on.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use slotune_serving::nearest::{did_you_mean, nearest};

use super::{FieldError, StudyFile, locate::Document};

impl StudyFile {
    /// Reads and checks a file. Relative paths of presets and past result sets start at its folder
    /// from then on.
    ///
    /// # Errors
    /// [`StudyFileError`] when the file cannot be read, or with the place of the first field that
    /// cannot work.
    pub fn read(path: &Path) -> Result<Self, StudyFileError> {
        let text = fs::read_to_string(path)
            .map_err(|source| StudyFileError::Io { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self::parse_in(folder, &path.display().to_string(), &text)?)
    }

    /// Reads and checks the text of a file; `file` names it in errors. Relative paths of presets and past
    /// result sets start at the current folder.
    ///
    /// # Errors
    /// [`Located`] tells the first field that cannot work.
    pub fn parse(file: &str, text: &str) -> Result<Self, Located> {
        Self::parse_in(Path::new(""), file, text)
    }

    fn parse_in(folder: &Path, file: &str, text: &str) -> Result<Self, Located> {
        let document = Document::new(text);
        let mut study: Self = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let path = document.path_at(&span);
            Located::new(file, text, span.start, path, with_hint(error.message()))
        })?;
        study.backend.start_paths_at(folder);
        study.history.start_paths_at(folder);
        match study.plan(Path::new("")) {
            Ok(_) => Ok(study),
            Err(FieldError { path, problem }) => {
                let offset = document.offset_of(&path);
                Err(Located::new(file, text, offset, path, problem))
            }
        }
    }
}

/// The message of serde, whose words are fixed, for someone who knows no Rust; with "did you mean" for an
/// unknown field: ``unknown field `a`, expected one of `b`, `c` ``.
fn with_hint(message: &str) -> String {
    let message = message.trim_end().replace('\n', " ");
    let message =
        message.replace("wanted exactly 1 element, more than 1 element", "give one, not several");
    let types = [("f64", "a number"), ("u32", "a whole number"), ("u64", "a whole number")];
    for (rust, words) in types {
        if let Some(start) = message.strip_suffix(&format!("expected {rust}")) {
            return format!("{start}expected {words}");
        }
    }
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((unknown, known))
            if message.starts_with("unknown field") || message.starts_with("unknown variant") =>
        {
            let hint = did_you_mean(nearest(unknown, known.iter().copied()));
            format!("{message}{hint}")
        }
        _ => message,
    }
}

/// Why a study file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyFileError {
    /// The operating system refuses.
    #[error("{} cannot be read: {source}; `slotune init` writes one to start from", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// A field cannot work.
    #[error(transparent)]
    Invalid(#[from] Located),
}

/// A field that cannot work, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Names of the tables that it is in, outermost first, and its own; empty where the text is no
    /// TOML.
    pub path: Vec<String>,
    /// What is wrong, and the remedy.
    pub problem: String,
    /// The text of the line.
    pub text: String,
}

impl Located {
    fn new(file: &str, text: &str, offset: usize, path: Vec<String>, problem: String) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            path,
            problem,
            text: text[start..].lines().next().unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path.join("."))?;
        }
        let line = self.line.to_string();
        let (margin, indent) = (" ".repeat(line.len()), " ".repeat(self.column - 1));
        write!(f, "{}\n  {line} | {}\n  {margin} | {indent}^", self.problem, self.text)
    }
}

impl std::error::Error for Located {}
