//! One stream of one vBucket to one consumer: from a cursor or from disk to messages.

mod active_stream;
mod disk;
mod memory;
mod outbox;
mod progress;
mod stage;
mod survey;
mod takeover;

pub(super) use active_stream::{ActiveStream, Opening};
pub(super) use stage::{Negotiated, Turn};
