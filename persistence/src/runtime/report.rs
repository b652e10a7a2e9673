//! The store as seen from outside: its health, its events, its figures.

pub(super) mod health;
pub(super) mod observer;
pub(super) mod stats;
