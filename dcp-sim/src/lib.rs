//! Streams of the Database Change Protocol as state machines, nodes made of them, and a simulator of
//! whole clusters from one seed.
//!
//! | module | content | needs |
//! |---|---|---|
//! | [`wire`] | frames and messages, as checked values | |
//! | [`producer`] | the sending end of a connection | |
//! | [`consumer`] | the receiving end of a connection | |
//! | [`node`] | vBuckets, their flusher, and both ends of connections | |
//! | `sim`, `input` | the simulator, and its sources of writes | feature `sim` |
//! | `cli`, `report`, `script` | the command line, reports and scenario files | feature `cli` |
//!
//! The first four do no I/O, read no clock and own no thread: bytes, time and outcomes go in, bytes
//! and requests come out. They need no feature, no C compiler and none of the command line's
//! dependencies (`default-features = false`).
//!
//! # Both ends of a connection
//!
//! ```
//! use bytes::Bytes;
//! use dcp_sim::consumer::{Consumer, ConsumerOptions, Replicas};
//! use dcp_sim::producer::{Partitions, Producer};
//! use lowtide_checkpoint::{
//!     CheckpointConfig, FailoverLog, Item, Key, Seqno, SnapshotMarker, State, VBucket, VBucketError,
//!     VBucketState, VbUuid, Vbid,
//! };
//!
//! /// The producer's side: an active without a disk.
//! struct Active(VBucket);
//!
//! impl Partitions for Active {
//!     fn vbucket(&self, vb: Vbid) -> Option<&VBucket> {
//!         Some(&self.0).filter(|vbucket| vbucket.id() == vb)
//!     }
//!     fn purge_seqno(&self, _vb: Vbid) -> Seqno {
//!         Seqno::ZERO
//!     }
//!     fn persisted_seqno(&self, _vb: Vbid) -> Seqno {
//!         Seqno::ZERO
//!     }
//! }
//!
//! /// The consumer's side: a replica.
//! struct Replica(VBucket);
//!
//! impl Replicas for Replica {
//!     fn adopt_failover_log(&mut self, _vb: Vbid, log: FailoverLog) -> Result<(), VBucketError> {
//!         self.0.set_failover_log(log);
//!         Ok(())
//!     }
//!     fn apply_marker(&mut self, _vb: Vbid, marker: SnapshotMarker) -> Result<(), VBucketError> {
//!         self.0.receive_marker(marker)
//!     }
//!     fn apply_item(&mut self, _vb: Vbid, item: Item) -> Result<(), VBucketError> {
//!         self.0.receive(item).map(drop)
//!     }
//!     fn advance(&mut self, _vb: Vbid, _seqno: Seqno) -> Result<(), VBucketError> {
//!         // Only a client with a filter misses items.
//!         Ok(())
//!     }
//!     fn set_state(&mut self, _vb: Vbid, state: State) -> Result<(), VBucketError> {
//!         self.0.set_state(state, None).map(drop)
//!     }
//! }
//!
//! let vb = Vbid(1);
//! let vbucket = |state, uuid| {
//!     let state = VBucketState::new(state, FailoverLog::new(VbUuid(uuid)));
//!     VBucket::new(vb, &state, CheckpointConfig::in_memory())
//! };
//! let active = Active(vbucket(State::Active, 7));
//! let mut replica = Replica(vbucket(State::Replica, 8));
//! for key in ["a", "b"] {
//!     let item = Item::mutation(Key::new(key.as_bytes()), Bytes::from_static(b"value"));
//!     active.0.write(item, 1)?;
//! }
//!
//! let mut producer = Producer::new("to the replica");
//! let mut consumer = Consumer::new("replica", ConsumerOptions::new())?;
//! consumer.request_stream(vb, replica.0.resume_point())?;
//! loop {
//!     // Either slice could cross a socket here, in pieces of any size.
//!     producer.receive(&consumer.take_output(), &active)?;
//!     let bytes = producer.poll(&active, 64 * 1024)?;
//!     if bytes.is_empty() {
//!         break;
//!     }
//!     consumer.receive(bytes, &mut replica)?;
//! }
//! assert_eq!(replica.0.high_seqno(), Seqno(2));
//! assert_eq!(replica.0.failover_log(), active.0.failover_log());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`node`] has an example of a node.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        // They panic if nothing can be written: results go to `cli::output`.
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

#[cfg(feature = "cli")]
pub mod cli;
pub mod consumer;
#[cfg(feature = "faults")]
#[doc(hidden)]
pub mod fault;
#[cfg(not(feature = "faults"))]
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod idle_timeout;
#[cfg(feature = "sim")]
pub mod input;
pub mod node;
pub mod producer;
#[cfg(feature = "sim")]
mod published_key;
#[cfg(feature = "cli")]
pub mod report;
#[cfg(feature = "cli")]
pub mod script;
#[cfg(feature = "sim")]
pub mod sim;
pub mod wire;
