//! A world with one storage engine on a memory disk. It runs commands and returns their output.
//!
//! # Invariants
//!
//! - Every refusal is the real engine's or the disk's.
//! - Between a power loss and `reopen` every command fails.
//! - Clock and disk depend only on the commands.

mod engine_world;
mod jobs;
mod prepared;
mod words;

pub(in crate::script) use engine_world::EngineWorld;
