//! slotune examples.
