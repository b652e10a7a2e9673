//! One stream of one vBucket to one consumer.
//!
//! [`ActiveStream`] turns the batches of a cursor, or a disk scan, into messages. `stage.rs` has
//! its states; `memory.rs`, `disk.rs`, `survey.rs` and `takeover.rs` implement the transitions
//! between them; `outbox.rs` queues the messages.

mod active_stream;
mod disk;
mod memory;
mod outbox;
mod progress;
mod stage;
mod survey;
mod takeover;

pub(super) use active_stream::{ActiveStream, Opening};
pub(super) use stage::{StreamContext, Turn};
