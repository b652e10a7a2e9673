//! The engine of a store: how it is opened, the one that is open now, and how it was stopped.

pub(super) mod open_engine;
pub(super) mod orderly_stop;
pub(super) mod slot;
