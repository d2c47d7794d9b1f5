//! Tests of the process: `reference` against 100-digit values, `behaviour` for what those do not hold.

mod behaviour;
mod reference;
