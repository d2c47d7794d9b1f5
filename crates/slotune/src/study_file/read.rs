//! Reading a study file, and errors that a person can act on.

use std::{
    fmt, fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use slotune_serving::nearest::{did_you_mean, nearest};

use super::{FieldError, StudyFile, locate::Document};

impl StudyFile {
    /// Reads and checks a file. Relative paths of presets and past result sets start at its folder
    /// from then on.
    ///
    /// # Errors
    /// [`StudyFileError`] when the file cannot be read, or with the place of each field that cannot work.
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
    /// [`Mistakes`] tells each field that cannot work.
    pub fn parse(file: &str, text: &str) -> Result<Self, Mistakes> {
        Self::parse_in(Path::new(""), file, text)
    }

    fn parse_in(folder: &Path, file: &str, text: &str) -> Result<Self, Mistakes> {
        let document = Document::new(text);
        let (study, mut mistakes) = deserialize(file, text, &document);
        let Some(mut study) = study else { return Err(Mistakes(mistakes)) };
        study.backend.start_paths_at(folder);
        study.history.start_paths_at(folder);
        let problems = study.plan_all(Path::new("")).err().unwrap_or_default();
        // What could not be read may be what its table lacks.
        let tables: Vec<Vec<String>> = mistakes
            .iter()
            .filter_map(|mistake| Some(mistake.path.split_last()?.1.to_vec()))
            .filter(|table| !table.is_empty())
            .collect();
        for FieldError { path, part, problem } in problems {
            if !tables.iter().any(|table| path.starts_with(table)) {
                let place = document.place_of(&path, part);
                mistakes.push(Located::new(file, text, &place, path, problem));
            }
        }
        if mistakes.is_empty() {
            return Ok(study);
        }
        mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        Err(Mistakes(mistakes))
    }
}

/// The data of a text, and what in it has no meaning: after each such field the text is read again
/// without it, as far as it can be.
fn deserialize(
    file: &str,
    text: &str,
    document: &Document<'_>,
) -> (Option<StudyFile>, Vec<Located>) {
    let mut mistakes: Vec<Located> = Vec::new();
    let mut rest = text.to_owned();
    loop {
        let error = match toml::from_str(&rest) {
            Ok(study) => return (Some(study), mistakes),
            Err(error) => error,
        };
        let place = error.span().unwrap_or(0..0);
        let is_absence = error.message().starts_with("missing field");
        if is_absence && !mistakes.is_empty() {
            return (None, mistakes);
        }
        let path = document.path_at(&place);
        mistakes.push(Located::new(file, text, &place, path, with_hint(error.message())));
        match document.lines_at(&place).filter(|_| !is_absence) {
            Some(lines) => {
                // As many bytes, so that all else stays where it is.
                let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
                let blanks: String = rest[lines.clone()].bytes().map(blank).collect();
                if rest[lines.clone()] == blanks {
                    return (None, mistakes);
                }
                rest.replace_range(lines, &blanks);
            }
            None => return (None, mistakes),
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
    /// A field cannot work, or several.
    #[error(transparent)]
    Invalid(#[from] Mistakes),
}

/// What in a study file cannot work: at least one field, in the order of the text. As text, a block of
/// lines for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Located>);

impl Mistakes {
    /// Each of them.
    pub fn all(&self) -> &[Located] {
        &self.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks: Vec<String> = self.0.iter().map(Located::to_string).collect();
        f.write_str(&blocks.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

/// A field that cannot work, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters of the line, at least one.
    pub width: usize,
    /// Names of the tables that it is in, outermost first, and its own; empty where the text is no
    /// TOML.
    pub path: Vec<String>,
    /// What is wrong, and the remedy.
    pub problem: String,
    /// The text of the line.
    pub text: String,
}

impl Located {
    /// Where a field stands that turned out not to work when the study began, such as a trace that is not
    /// there; `None` where the file cannot be read any more.
    pub fn in_file(path: &Path, error: &FieldError) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let FieldError { path: field, part, problem } = error;
        let place = Document::new(&text).place_of(field, *part);
        let file = path.display().to_string();
        Some(Self::new(&file, &text, &place, field.clone(), problem.clone()))
    }

    fn new(
        file: &str,
        text: &str,
        place: &Range<usize>,
        path: Vec<String>,
        problem: String,
    ) -> Self {
        let before = &text[..text.floor_char_boundary(place.start)];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        let offset = before.len() - start;
        let end = place.end.saturating_sub(start).min(line.len());
        let marked = line.get(offset..line.floor_char_boundary(end)).unwrap_or_default();
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            width: marked.chars().count().max(1),
            path,
            problem,
            text: line.to_owned(),
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
        let mark = "^".repeat(self.width);
        write!(f, "{}\n  {line} | {}\n  {margin} | {indent}{mark}", self.problem, self.text)
    }
}

impl std::error::Error for Located {}
