//! Metrics made from request records: every formula once.
