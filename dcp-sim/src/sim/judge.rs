//! What must hold, one file each, numbered as in `docs/invariants.md`.
//!
//! Some are looked at while the simulation runs, the others when it has come to rest. Each counts what it checked: an
//! invariant that checked nothing proves nothing.

mod at_rest;
mod running;

pub(super) use at_rest::{agreement, contents, durability, liveness, settled, source};
pub(super) use running::{
    Foreign, Persisted, PersistenceOrder, Reads, Seen, Streams, TakenIn, branches, managers, memory,
};

#[cfg(test)]
mod tests;
