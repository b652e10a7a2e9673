//! How a world is watched.

mod observer;
mod recording;
mod render;

pub use observer::{Observer, Progress, Silent};
