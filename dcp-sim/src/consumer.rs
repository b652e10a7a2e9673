//! The receiving side of a connection: a producer's streams in, snapshots applied to replica vBuckets. No I/O, no
//! clock.
//!
//! The host hands over the bytes that arrive ([`Consumer::receive`]), asks for streams ([`Consumer::request_stream`],
//! [`Consumer::take_over`]), says what became durable ([`Consumer::prepared`]) and how late it is ([`Consumer::tick`]), and
//! takes bytes to send ([`Consumer::take_output`]). What always holds (`docs/invariants.md`, S5 to S7, S15): an item is applied
//! only to the stream it was requested for, inside the snapshot last announced; what is not is answered with its status and
//! changes nothing; every byte that counts is acknowledged, at the latest when half the buffer is used up.

mod ack;
mod connection;
mod error;
mod granted;
mod messages;
mod negotiation;
mod replicas;
mod responses;

pub use connection::Consumer;
pub use error::ConsumerError;
pub use replicas::{ConsumerEvent, Replicas};

#[cfg(test)]
mod tests;
