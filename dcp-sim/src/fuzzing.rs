//! Entry points of the fuzz targets and of the tests with hostile peers.
//!
//! The input bytes choose the messages of a peer, valid and invalid, and the events on this side. A
//! violated invariant panics.
//!
//! # Invariants
//!
//! - S26. After any input of a client, its producer continues or closes the connection. It sends no
//!   more than flow control allows. Items are inside the announced snapshot, in rising order, and
//!   no cursor is left behind.
//! - S27. After any input of a producer, the node that follows it continues or closes the
//!   connection. Its vBuckets pass their own audit, and nothing is applied outside a snapshot.

mod client;
mod client_messages;
mod consumer;
mod home;
mod input;
mod producer;

pub use consumer::consumer;
pub use producer::producer;
