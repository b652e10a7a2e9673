//! The judge: one file for each invariant, numbered as in `docs/invariants.md`.
//!
//! Some invariants are checked during the run, the others at rest. Each verdict counts its checks:
//! an invariant that was never checked proves nothing.

mod at_rest;
mod running;

pub(super) use at_rest::{Stores, agreement, contents, durability, liveness, settled, source};
pub(super) use running::{
    Foreign, Persisted, PersistenceOrder, Reads, Seen, Streams, TakenIn, branches, managers,
    memory, writes,
};

#[cfg(test)]
mod tests;
