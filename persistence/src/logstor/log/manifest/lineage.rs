//! The lineage of a vBucket: which records count, by the epochs they were written in.
//!
//! # Invariants
//!
//! A vBucket, and each branch of it after a rollback, has an epoch that was never used before (L7).
//! A record of an epoch that no vBucket has, or with a seqno above its epoch's cap, does not exist.

use lowtide_checkpoint::internal::Invariant;
use serde::{Deserialize, Serialize};

/// The cap of an epoch that is being written.
const NO_CAP: u64 = u64::MAX;

/// The epochs of a vBucket, each with the highest seqno that counts. The last one is being written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct Lineage(Vec<(u32, u64)>);

impl Lineage {
    /// Returns the lineage of a new vBucket.
    pub(in crate::logstor) fn of(epoch: u32) -> Self {
        Self(vec![(epoch, NO_CAP)])
    }

    /// Returns whether a record of an epoch with a seqno counts.
    pub(in crate::logstor) fn contains(&self, epoch: u32, seqno: u64) -> bool {
        self.0.iter().any(|&(of, cap)| of == epoch && seqno <= cap)
    }

    /// Returns whether it has an epoch, epochs ascend, and the last one has no cap. A lineage of
    /// this store does; one that was read from a manifest may not.
    pub(super) fn is_sound(&self) -> bool {
        self.0.is_sorted_by(|(one, _), (next, _)| one < next)
            && self.0.last().is_some_and(|&(_, cap)| cap == NO_CAP)
    }

    /// Returns the epoch that is being written.
    pub(in crate::logstor) fn epoch(&self) -> u32 {
        // Epoch 0 belongs to no vBucket: its records do not exist, and no record of another vBucket
        // is taken for one of this.
        self.0
            .last()
            .expected("L7", "a vBucket has an epoch")
            .map_or(0, |&(epoch, _)| epoch)
    }

    pub(in crate::logstor) fn epochs(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|&(epoch, _)| epoch)
    }

    /// Returns each epoch with the highest seqno that counts, if that is bounded.
    pub(in crate::logstor) fn caps(&self) -> impl Iterator<Item = (u32, Option<u64>)> {
        self.0
            .iter()
            .map(|&(epoch, cap)| (epoch, (cap != NO_CAP).then_some(cap)))
    }

    /// Ends all epochs at a seqno, and begins another one.
    pub(super) fn branch_at(&mut self, high: u64, epoch: u32) {
        for (_, cap) in &mut self.0 {
            *cap = (*cap).min(high);
        }
        self.0.push((epoch, NO_CAP));
    }
}

/// The state that a vBucket's epoch began with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::logstor) struct EpochStart {
    pub(in crate::logstor) high: u64,
    /// Bytes of the vBucket's state, if it had one.
    pub(in crate::logstor) state: Option<Vec<u8>>,
}
