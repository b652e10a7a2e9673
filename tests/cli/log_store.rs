//! The tools on a log store's directory: its contents, its damage and its compaction (T7 to T9).
//!
//! Couchstore files have tests for each command; a log store is one directory, so its tests share
//! one store.

mod compact;
mod home;
mod reading;

pub(super) use home::make;
