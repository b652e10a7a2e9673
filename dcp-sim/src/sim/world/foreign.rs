//! Foreign clients in the world: how many there are, which nodes they follow, and what they do when a stream is over.
//!
//! They have a network and streams of chance of their own: neither the nodes' delays nor the faults' strikes depend on
//! them. What always holds: a client that lacks a stream looks for one until it has it; after the time for faults it
//! asks for live streams only; a client without anything to read or to ask causes no event.

mod following;
mod whims;
mod wires;
