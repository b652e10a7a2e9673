//! Views of a world: its progress, its timeline, and a picture of its state.

mod observer;
mod recording;
mod render;

pub use observer::{Observer, RunProgress, Silent};
