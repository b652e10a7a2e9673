//! The commit path: batches are encoded, grouped, placed into frames, appended, and entered into
//! the indexes.
//!
//! ```text
//! caller   encoded_batch | group_commit: wait, or lead
//! leader   placement | log: append, sync | vBucket indexes
//! ```
//!
//! # Invariants
//!
//! - A group is checked as a whole before a byte of it is written; batches that are out of order
//!   are left out (L13).
//! - Records of a group are in the index, in order, before the next group begins, and a segment is
//!   closed only after that. So every record in a closed segment that no index references is dead
//!   (L14, L31).
//! - A group that failed changed nothing: its segments are closed where it began.
//! - Where there is no space for other batches, there is for a batch that makes space, above all a
//!   deletion (L47).

mod active_segment;
mod encoded_batch;
mod group_commit;
mod host;
mod leader;
mod observer;
mod placement;
mod request;
mod results;

pub(super) use self::encoded_batch::EncodedBatch;
pub(super) use self::group_commit::GroupCommit;
pub(super) use self::host::CommitHost;
pub use self::observer::CommitObserver;
pub(super) use self::request::{CommitOutcome, CommitRequest};
pub(super) use self::results::repeat;
