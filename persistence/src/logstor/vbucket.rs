//! The vBuckets of a store in memory: the index of each, its snapshots, and the reading of its
//! records.
//!
//! # Invariants
//!
//! - What a view shows never changes (L11), and a tombstone outlives the older records that it
//!   hides (L12): `vbucket_index`.
//! - A vBucket that is not loaded answers gets and takes commits as if it were (L23, L38, L39):
//!   `vbucket_index`.
//! - Every record that is given out was verified (L27): `record_reader`.
//! - A rollback restores what a pinned view shows (L17): `snapshot`, `registry`.
//! - Segments of an unreadable vBucket are neither rewritten nor freed (L25): `registry`.

mod record_reader;
mod registry;
mod snapshot;
mod vbucket_index;

pub(super) use self::record_reader::read_by_key;
#[cfg(test)]
pub(super) use self::record_reader::{ReadBuffer, read_rows, visit_rows};
pub(super) use self::registry::{ByEpoch, Registry};
pub(super) use self::snapshot::LogSnapshot;
pub(super) use self::vbucket_index::{
    Ancestors, CommittedChange, ImageCoverage, InitialState, LazyIndex, RecordId, VBucketIndex,
};
