//! Invariants that are checked during the run.

pub(in crate::sim) mod branches;
mod foreign;
pub(in crate::sim) mod managers;
pub(in crate::sim) mod memory;
mod persisted;
pub(super) mod persistence_order;
mod reads;
mod streams;
pub(in crate::sim) mod writes;

pub(in crate::sim) use foreign::Foreign;
pub(in crate::sim) use memory::TakenIn;
pub(in crate::sim) use persisted::Persisted;
pub(in crate::sim) use persistence_order::PersistenceOrder;
pub(in crate::sim) use reads::{Reads, Seen};
pub(in crate::sim) use streams::Streams;
