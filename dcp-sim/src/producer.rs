//! The sending side of a connection: a consumer's requests in, streams of snapshots out. No I/O, no clock.
//!
//! The host hands over the bytes that arrive ([`Producer::receive`]), says which vBuckets have something new
//! ([`Producer::notify`]) or changed ([`Producer::end_streams`]), takes bytes to send ([`Producer::poll`]) and steps to run
//! on the engine ([`Producer::take_backfills`]), whose outcomes it brings back ([`Producer::backfilled`]). What always
//! holds (`docs/invariants.md`, S1 to S4 and S9 to S14): a stream's first message is a marker; its snapshots follow one
//! another without overlap; inside each the seqnos rise and stay within the marker's range; whether items come from disk
//! or from memory, none is missing and none comes twice; no more than one message passes the consumer's buffer.

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
