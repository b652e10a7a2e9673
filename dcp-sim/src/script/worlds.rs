//! Worlds of a scenario: the real code on a memory disk and a virtual clock.

mod checkpoint_world;
mod clock;
mod engine;
mod print;
mod stream;
pub(super) mod world;

pub(super) use print::Output;
