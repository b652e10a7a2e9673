//! Invariants that are checked when the cluster is at rest.

pub(in crate::sim) mod agreement;
pub(in crate::sim) mod contents;
pub(in crate::sim) mod durability;
pub(in crate::sim) mod liveness;
pub(in crate::sim) mod settled;
pub(in crate::sim) mod source;
mod stores;

pub(in crate::sim) use stores::Stores;
