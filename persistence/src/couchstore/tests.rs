//! The engine against the vendor's files, a model, and failing disks.

mod crash;
mod hostile;
mod layout;
mod model;
mod one_sync;
mod replay;
mod support;
