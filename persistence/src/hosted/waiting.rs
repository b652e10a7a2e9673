//! The places where a store's threads wait for one another: a flusher for changes, writers for the
//! flusher, and a store that closes for its writers.
//!
//! They are public to the models of `loom-tests` only.

pub mod followers;
pub mod gate;
pub mod inbox;
pub mod persisted;
