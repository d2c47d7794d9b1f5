//! API keys: read when needed, never stored, logged or shown.

use std::{fmt, fs, io, path::Path};

use reqwest::header::HeaderValue;

use crate::SecretSource;

/// A secret that no text shows; only the client's header holds it in full.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a secret cannot be had. No variant holds any of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The variable is not set, or not text.
    #[error("the environment variable `{0}` that should hold the API key is not set; export it")]
    Unset(String),
    /// The file cannot be read.
    #[error("the file `{path}` that should hold the API key cannot be read: {source}")]
    Unreadable {
        /// Path of the file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// There is nothing in it, or something that no HTTP header can carry.
    #[error("the API key in {0} is empty or holds characters other than visible ASCII")]
    Unusable(String),
}

impl Secret {
    /// Takes the secret itself, without surrounding white space.
    ///
    /// # Errors
    /// When it is empty or not of visible ASCII characters.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        Self::of(text, || "the argument".to_owned())
    }

    /// Reads a secret from where it is kept.
    ///
    /// # Errors
    /// When it is not there, or is empty or not of visible ASCII characters.
    pub fn read(source: &SecretSource) -> Result<Self, SecretError> {
        match source {
            SecretSource::Environment(name) => Self::from_environment(name),
            SecretSource::File(path) => Self::from_file(path),
        }
    }

    fn from_environment(name: &str) -> Result<Self, SecretError> {
        #[expect(clippy::disallowed_methods, reason = "the user named this variable as the source")]
        let text = std::env::var(name).map_err(|_| SecretError::Unset(name.to_owned()))?;
        Self::of(&text, || format!("the environment variable `{name}`"))
    }

    fn from_file(path: &Path) -> Result<Self, SecretError> {
        let shown = || path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|source| SecretError::Unreadable { path: shown(), source })?;
        Self::of(&text, || format!("the file `{}`", shown()))
    }

    fn of(text: &str, whence: impl Fn() -> String) -> Result<Self, SecretError> {
        let text = text.trim();
        let usable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if usable { Ok(Self(text.to_owned())) } else { Err(SecretError::Unusable(whence())) }
    }

    /// The value of the header that shows it to a server, marked so that no text shows it.
    pub(crate) fn bearer(&self) -> HeaderValue {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0))
            .expect("a secret is visible ASCII, which a header may hold");
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn no_text_shows_a_secret() {
        let secret = Secret::new("  sk-123  ").expect("usable");
        assert_eq!(secret.bearer(), "Bearer sk-123");
        assert!(!format!("{secret:?} {:?}", secret.bearer()).contains("123"));
    }

    #[test]
    fn a_file_gives_its_text_without_white_space() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(b"sk-456\n").expect("written");
        let read = |path: &Path| Secret::read(&SecretSource::File(path.to_owned()));
        assert_eq!(read(file.path()).expect("read").bearer(), "Bearer sk-456");
        file.write_all(b"second line").expect("written");
        let error = read(file.path()).expect_err("two lines are no key").to_string();
        assert!(error.contains("visible ASCII") && !error.contains("456"), "{error}");
        assert!(matches!(read(Path::new("/nowhere")), Err(SecretError::Unreadable { .. })));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let source = SecretSource::Environment("SLOTUNE_NO_SUCH_VARIABLE".to_owned());
        let error = Secret::read(&source).expect_err("not set").to_string();
        assert!(error.contains("SLOTUNE_NO_SUCH_VARIABLE"), "{error}");
    }
}
