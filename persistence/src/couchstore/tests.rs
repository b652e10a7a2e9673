//! The engine against the vendor's files, a model, and failing disks.

mod crash;
mod hostile;
mod limits;
mod model;
mod mutated;
mod one_sync;
mod replay;
pub(super) mod support;
mod versions;
