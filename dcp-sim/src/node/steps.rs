//! Steps of a node: its reaction to each kind of event.

mod calls;
mod connections;
mod flush;
mod lifecycle;
mod memory;
mod read;
mod streams;
mod write;

pub use read::{DiskReader, MemoryReader, ReadError, Reader};
