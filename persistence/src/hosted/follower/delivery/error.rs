//! The errors of delivered bytes: why they are not an event.

use std::io;

use lowtide_checkpoint::{FailoverLogError, Seqno};

/// The reason why bytes are not an event. A connection that has one is ended: its bytes cannot be
/// trusted any more. Its reader continues on another, from its resume point.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The bytes end before the message does.
    #[error("message ends inside {what}")]
    Incomplete {
        /// The part.
        what: &'static str,
    },
    /// The message is of a version that this program does not know.
    #[error("message has version {found}, expected 1")]
    Version {
        /// The version.
        found: u8,
    },
    /// The message was changed on its way.
    #[error("message has checksum {computed:#010x}, expected {stated:#010x}")]
    Checksum {
        /// The checksum of the bytes.
        computed: u32,
        /// The checksum in the message.
        stated: u32,
    },
    /// A field has a value that means nothing.
    #[error("{what} has the undefined value {found}")]
    Undefined {
        /// The field.
        what: &'static str,
        /// Its value.
        found: u8,
    },
    /// The message goes on after its last field.
    #[error("message has {bytes} bytes after its last field")]
    LeftOver {
        /// Their number.
        bytes: usize,
    },
    /// A key has no valid collection prefix.
    #[error("item {seqno} has a key without a valid collection prefix")]
    Key {
        /// The item.
        seqno: Seqno,
    },
    /// An item without a value states the length of one.
    #[error("item {seqno} has no value, and states {bytes} bytes of it")]
    ValueOfNone {
        /// The item.
        seqno: Seqno,
        /// The stated length.
        bytes: u64,
    },
    /// The items are not in their order.
    #[error("item {seqno} follows item {previous}")]
    Order {
        /// The item.
        seqno: Seqno,
        /// The item before it.
        previous: Seqno,
    },
    /// The end of a snapshot is not a point of a history.
    #[error("resume point is outside of its snapshot")]
    ResumePoint,
    /// The branches are not a failover log.
    #[error(transparent)]
    Branches(#[from] FailoverLogError),
    /// More branches than a failover log keeps.
    #[error("{found} branches, expected at most {max}")]
    TooManyBranches {
        /// Their number.
        found: usize,
        /// The number that a log keeps.
        max: usize,
    },
    /// The head of a frame was changed, or the stream is not one of frames.
    #[error("frame head has checksum {computed:#010x}, expected {stated:#010x}")]
    FrameHead {
        /// The checksum of the bytes.
        computed: u32,
        /// The checksum in the head.
        stated: u32,
    },
    /// A message is longer than the reader accepts.
    #[error("message of {bytes} bytes, expected at most {limit}")]
    TooLong {
        /// The stated length.
        bytes: u32,
        /// The reader's limit.
        limit: u32,
    },
    /// The stream failed, or ended inside a frame.
    #[error(transparent)]
    Stream(#[from] io::Error),
}
