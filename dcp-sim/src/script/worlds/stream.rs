//! A world with nodes and streams between them. It runs commands and returns their output.
//!
//! # Invariants
//!
//! - The vBuckets, producers, consumers and engines are the real ones, connected by bytes.
//! - Everything that happens is caused by a command.
//! - Connections take turns in the order of their creation.

mod connection;
mod judge;
mod node;
mod replica;
mod stream_world;
mod words;

pub(in crate::script) use stream_world::StreamWorld;
