//! The engine against the vendor's files, a model, and failing disks.

mod compact;
mod crash;
mod group;
mod history;
mod hostile;
mod model;
mod naive;
mod one_sync;
mod replay;
mod rewrites;
mod rollback;
mod support;
mod unreadable;
