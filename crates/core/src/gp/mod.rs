//! Gaussian-process regression.

/// Why a Gaussian process could not be fitted or evaluated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GpError {
    /// Placeholder.
    #[error("placeholder")]
    Placeholder,
}
