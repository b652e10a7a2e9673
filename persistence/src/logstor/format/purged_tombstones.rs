//! The tombstones that purges hide: all up to a seqno, except those that were spared.
//!
//! The manifest has it for each vBucket, and every view has it as it was when the view was taken.
//!
//! # Invariants (L41)
//!
//! A tombstone is hidden if it lies at or below the seqno and is not among the spared ones. A
//! tombstone is spared if it had its collection's highest seqno when the others were purged. Once
//! hidden, it stays hidden in every later view of the same lineage: the seqno never falls, and no
//! tombstone below it is spared later.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Hidden tombstones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct PurgedTombstones {
    /// Seqno of the highest hidden tombstone.
    pub(in crate::logstor) upto: u64,
    /// Tombstones below it that are shown.
    pub(in crate::logstor) spared: BTreeSet<u64>,
}

impl PurgedTombstones {
    /// Returns whether the tombstone with a seqno is hidden.
    pub(in crate::logstor) fn hides(&self, seqno: u64) -> bool {
        seqno <= self.upto && !self.spared.contains(&seqno)
    }
}
