//! The sending side of a connection: answers a consumer's requests and streams snapshots. No I/O,
//! no clock.
//!
//! The host does the following:
//!
//! - passes in the received bytes ([`Producer::receive`]) and the time ([`Producer::tick`]);
//! - reports vBuckets with new items ([`Producer::notify`]) or a changed state
//!   ([`Producer::end_streams`]);
//! - takes the bytes to send ([`Producer::poll`]);
//! - runs backfill steps on the engine ([`Producer::take_backfills`]) and returns their outcomes
//!   ([`Producer::backfilled`]).
//!
//! [The crate's page](crate#both-ends-of-a-connection) has an example, `docs/streams.md` the rules.
//!
//! # Invariants
//!
//! S1 to S4, S8 to S14, S16 to S20, S24 to S26 and S28 to S33 of `docs/invariants.md`. The first ones:
//!
//! - The first message of a stream is a marker, and its snapshots follow one another without
//!   overlap.
//! - Inside a snapshot the seqnos rise and stay within the marker's range.
//! - No item is missing and none comes twice, from disk or from memory.
//! - At most one message exceeds the consumer's buffer.

mod backfill;
mod collections;
mod connection;
mod error;
mod event;
mod filter;
mod partitions;
mod session;
mod stream;
mod stream_key;
mod translate;

pub use backfill::{BackfillOutcome, BackfillStep, ScanLimit};
pub use collections::Collections;
pub use connection::Producer;
pub use error::ProducerError;
pub use event::ProducerEvent;
pub use partitions::Partitions;
pub use session::{FlowControl, ProducerLimits};

#[cfg(test)]
mod tests;
