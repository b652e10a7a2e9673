//! Index images: when they are written, what they spare an open, and images that are damaged,
//! missing or of another store.

mod executors;
mod opening;
mod schedule;
mod stores;
