//! Injection of faults into the world, by kind, and their ends.
//!
//! # Invariants
//!
//! - The end of a lasting fault is scheduled when it strikes, within half a second.
//! - No fault strikes after the safety phase.

mod machines;
mod network;
mod placement;
mod strike;
