//! Validity.
