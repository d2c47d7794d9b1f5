//! `slotune simulate`, run as a user runs it.

mod answer;
mod fault;
mod fixture;
mod guide;
mod presets;
