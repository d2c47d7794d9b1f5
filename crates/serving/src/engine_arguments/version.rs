//! Versions of vLLM, ordered.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A release of vLLM, such as 0.33.0. Written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VllmVersion {
    major: u32,
    minor: u32,
    patch: u32,
}

impl VllmVersion {
    /// The oldest release whose defaults are known here; older ones are resolved as this one.
    pub const OLDEST_KNOWN: Self = Self::new(0, 11, 1);
    /// The newest release whose defaults were read; newer ones are resolved as this one.
    pub const NEWEST_KNOWN: Self = Self::new(0, 33, 0);

    /// The release `major.minor.patch`.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

impl FromStr for VllmVersion {
    type Err = VersionError;

    /// Reads what `vllm --version` or `GET /version` tells. Anything after the three numbers, such
    /// as `.post1`, `rc2` or `+cpu`, is ignored: it changes no default.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let error = || VersionError { text: text.to_owned() };
        let release = text.trim().trim_start_matches('v').split('+').next().unwrap_or_default();
        let mut parts = release.split('.').map(|part| {
            let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            part[..digits].parse::<u32>().map_err(|_| error())
        });
        let mut next = || parts.next().transpose();
        let major = next()?.ok_or_else(error)?;
        let minor = next()?.ok_or_else(error)?;
        let patch = next()?.unwrap_or(0);
        Ok(Self { major, minor, patch })
    }
}

impl TryFrom<String> for VllmVersion {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<VllmVersion> for String {
    fn from(version: VllmVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for VllmVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no version of vLLM; write it like 0.33.0")]
pub struct VersionError {
    /// The text seen.
    pub text: String,
}
