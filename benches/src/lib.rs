//! slotune benches.
