//! How a world is watched.

mod recording;
mod render;
