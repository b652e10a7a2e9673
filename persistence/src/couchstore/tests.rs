//! The engine against the vendor's files, a model, and failing disks.

mod cached;
mod compact;
mod crash;
mod dropped;
mod group;
mod history;
mod hostile;
mod layout;
mod limits;
mod model;
mod mutated;
mod naive;
mod one_sync;
mod read_ahead;
mod replay;
mod rewrites;
mod rollback;
mod room;
pub(super) mod support;
mod unreadable;
mod versions;
