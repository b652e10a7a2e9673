//! The part of rewriting that changes an index: records move by compare-and-swap, and freed records
//! are counted off.

use lowtide_checkpoint::internal::{Invariant, violated};

use super::{Inner, VBucketIndex};
use crate::logstor::format::{Fingerprint, Location};
use crate::logstor::index::ReferenceCounts;

/// The identity of a record, whatever its location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logstor) enum RecordId {
    /// An item of a key.
    Item {
        fingerprint: Fingerprint,
        seqno: u64,
    },
    /// The vBucket's state.
    State,
}

impl VBucketIndex {
    /// Returns whether the record at a location is needed.
    pub(in crate::logstor) fn references(&self, id: RecordId, at: Location) -> bool {
        let inner = self.lock();
        match id {
            RecordId::State => inner.state_at == Some(at),
            RecordId::Item { fingerprint, seqno } => inner.index.references(fingerprint, seqno, at),
        }
    }

    /// References a record's copy in its place, unless the record was superseded meanwhile: then
    /// counts the copy.
    pub(in crate::logstor) fn relocate(&self, id: RecordId, from: Location, to: Location) {
        let mut inner = self.lock();
        let uses = self.log.segments.uses();
        let counts = ReferenceCounts(&uses);
        match id {
            RecordId::State => {
                if inner.state_at == Some(from) {
                    counts.add(to);
                    inner.state_at = Some(to);
                    counts.remove(from);
                }
            }
            RecordId::Item { fingerprint, seqno } => {
                let Inner {
                    index,
                    reclaimed_tombstones,
                    ..
                } = &mut *inner;
                if index.get(fingerprint).is_none()
                    && let Some(records) = reclaimed_tombstones.get_mut(&seqno)
                {
                    // It was removed while it was copied. At the highest value the exact number is
                    // unknown.
                    *records = records.saturating_add(1);
                }
                index.relocate(fingerprint, seqno, from, to, counts);
            }
        }
        self.require_sound(&inner);
    }

    /// Ends all writing if the index contradicts itself: records that it lost would be taken for
    /// dead (L48).
    pub(super) fn require_sound(&self, inner: &Inner) {
        if inner.index.is_broken() {
            let violation = violated("L9", "an index leads to its slots");
            // The next write reports it.
            let _ = self.log.context.internal(violation);
        }
    }

    /// Marks the index as contradicting itself.
    #[cfg(test)]
    pub(in crate::logstor) fn break_index(&self) {
        self.lock().index.break_it();
    }

    /// Counts off records that were durably freed, and removes purged tombstones that waited for
    /// that.
    pub(in crate::logstor) fn count_off(&self, records: &[RecordId]) {
        let mut inner = self.lock();
        let mut may_reclaim = false;
        for &record in records {
            let RecordId::Item { fingerprint, seqno } = record else {
                continue;
            };
            if inner.count_off_reclaimed(seqno) {
                continue;
            }
            let Inner {
                index,
                purged_pending,
                ..
            } = &mut *inner;
            may_reclaim |= index
                .count_off_copy(fingerprint)
                .is_some_and(|slot| purged_pending.contains_key(&slot.seqno));
        }
        if may_reclaim {
            let uses = self.log.segments.uses();
            inner.reclaim_purged(ReferenceCounts(&uses));
        }
        self.require_sound(&inner);
    }
}

impl Inner {
    /// Counts off a record of a tombstone without a slot. Returns whether it was one.
    fn count_off_reclaimed(&mut self, seqno: u64) -> bool {
        let Some(records) = self.reclaimed_tombstones.get_mut(&seqno) else {
            return false;
        };
        if *records != u32::MAX {
            // One that has none left is removed below, as it should have been before.
            *records = records
                .checked_sub(1)
                .expected("L16", "a record that is freed was counted")
                .unwrap_or(0);
        }
        if *records == 0 {
            self.reclaimed_tombstones.remove(&seqno);
        }
        true
    }
}
