//! Invariants that are judged while a run goes on.

pub(in crate::sim) mod branches;
pub(in crate::sim) mod foreign;
pub(in crate::sim) mod managers;
pub(in crate::sim) mod memory;
pub(in crate::sim) mod persisted;
pub(in crate::sim) mod persistence_order;
pub(in crate::sim) mod reads;
pub(in crate::sim) mod streams;

pub(super) use memory::TakenIn;

pub(super) use streams::Streams;

pub(super) use reads::Seen;

pub(super) use reads::Reads;

pub(super) use persistence_order::PersistenceOrder;

pub(super) use persisted::Persisted;

pub(super) use foreign::Foreign;
