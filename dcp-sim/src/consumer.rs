//! The receiving side of a connection: applies a producer's streams to replica vBuckets. No I/O, no
//! clock.
//!
//! The host passes in the received bytes ([`Consumer::receive`]), requests streams
//! ([`Consumer::request_stream`], [`Consumer::take_over`]), reports durable prepares
//! ([`Consumer::prepared`]) and the time ([`Consumer::tick`]), and takes the bytes to send
//! ([`Consumer::take_output`]). [The crate's page](crate#both-ends-of-a-connection) has an example.
//!
//! # Invariants
//!
//! S5 to S7 and S15 of `docs/invariants.md`:
//!
//! - An item is applied only to the stream it was requested for, inside the snapshot last
//!   announced.
//! - Any other message is answered with its status and changes nothing.
//! - Every counted byte is acknowledged, at the latest when half the buffer is used up.

mod ack;
mod connection;
mod error;
mod granted;
mod messages;
mod negotiation;
mod options;
mod replicas;
mod responses;

pub use connection::Consumer;
pub use error::ConsumerError;
pub use options::ConsumerOptions;
pub use replicas::{ConsumerEvent, Replicas};

#[cfg(test)]
mod tests;
