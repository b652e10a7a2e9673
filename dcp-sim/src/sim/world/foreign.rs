//! Foreign clients in the world: the nodes that they follow, their connections, and their faults.
//!
//! They have a network and random streams of their own. Neither the nodes' delays nor the faults'
//! strikes depend on them.
//!
//! # Invariants
//!
//! - A client without a stream searches for one until it has it.
//! - After the safety phase it requests only live streams.
//! - A client without anything to read or to request causes no event.

mod following;
mod whims;
mod wires;
