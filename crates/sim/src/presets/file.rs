//! A preset's file on its way to be checked: parsed, and able to tell the line of a value.

use std::ops::Range;

use serde::de::DeserializeOwned;

use super::PresetError;

/// The text of a file, and its name for errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct File<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    /// Name of a shipped preset whose file has all fields.
    pub(super) example: &'static str,
}

impl File<'_> {
    /// The fields of the file.
    pub(super) fn fields<T: DeserializeOwned>(&self) -> Result<T, PresetError> {
        toml::from_str(self.text).map_err(|error| {
            let line = self.line(&error.span().unwrap_or_default());
            self.format(line, error.message().replace('\n', ", "))
        })
    }

    /// A fault of the file's form.
    pub(super) fn format(&self, line: usize, problem: String) -> PresetError {
        PresetError::Format { file: self.name.to_owned(), line, problem, example: self.example }
    }

    /// A number where it may not stand.
    pub(super) fn value(
        &self,
        field: &str,
        span: &Range<usize>,
        value: f64,
        allowed: &'static str,
    ) -> PresetError {
        let (file, line, field) = (self.name.to_owned(), self.line(span), field.to_owned());
        PresetError::Value { file, line, field, value, allowed }
    }

    /// Number of the line that the span begins in, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        1 + before.bytes().filter(|&byte| byte == b'\n').count()
    }
}
