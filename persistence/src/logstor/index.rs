//! The index of a vBucket in memory: which record is the newest of each key, and its location; by
//! key and in the order of seqnos.
//!
//! It knows records by fingerprint, seqno and location. It reads nothing, and takes no lock.
//!
//! # Invariants (L9)
//!
//! - A key has one slot. Slots ascend by seqno, and counts are exact: `key_index`, `slots`.
//! - Revisions that were superseded and that a snapshot shows are in the overlay:
//!   `snapshot_overlay`.
//! - References are counted on the segments: `reference_counts` (L5).
//! - An index that contradicts itself is detected, and nothing is built on it (L48): `slots`.

mod key_index;
mod reference_counts;
mod slots;
mod snapshot_overlay;

pub(super) use self::key_index::KeyIndex;
pub(super) use self::reference_counts::{ReferenceCounts, ReferenceTally};
pub(super) use self::slots::Slot;
