//! One storage engine on a memory disk, driven by commands: a command goes in, what it prints comes out.
//!
//! What always holds: what is refused, the real engine or the disk refuses; between a loss of power and `reopen`
//! nothing works; the clock and the disk depend on the commands alone.

mod engine_world;
mod jobs;
mod prepared;
mod words;

pub(in crate::script) use engine_world::EngineWorld;
