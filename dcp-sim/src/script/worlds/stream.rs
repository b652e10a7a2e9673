//! Nodes and the streams between them, driven by commands: a command goes in, what it prints comes out.
//!
//! What always holds: the real vBuckets, producers, consumers and engines answer, through bytes as on a wire; whatever
//! happens, a command caused; connections take turns in the order they were made.

mod connection;
mod judge;
mod node;
mod replica;
mod stream_world;
mod words;

pub(in crate::script) use stream_world::StreamWorld;
