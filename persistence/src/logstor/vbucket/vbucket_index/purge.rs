//! Purging: tombstones are hidden at once, and removed when no older record of their key is left on
//! disk.
//!
//! # Invariants
//!
//! A purge does not hide the tombstone that has its collection's highest seqno (L41). The next
//! purge takes it if it does not have that seqno any more.

use std::sync::Arc;

use super::{Inner, VBucketIndex};
use crate::logstor::format::{CollectionHighSeqnos, Fingerprint, PurgedTombstones, to_u64};
use crate::logstor::index::{ReferenceCounts, Slot};

/// The tombstones that a purge hides.
#[derive(Debug)]
pub(in crate::logstor) struct PurgePlan {
    /// All hidden tombstones after the purge.
    pub(in crate::logstor) purged: PurgedTombstones,
    /// Tombstones that were not hidden before.
    tombstones: Vec<(u64, Fingerprint)>,
}

impl VBucketIndex {
    /// Plans a purge up to a seqno; `None` if it would hide nothing. The highest seqno stays, and
    /// those of the collections.
    pub(in crate::logstor) fn plan_purge(&self, upto: u64) -> Option<PurgePlan> {
        let inner = self.lock();
        let Inner { index, purged, .. } = &*inner;
        // The highest seqno stays; in an empty vBucket there is nothing at or below 0.
        let last = upto.min(inner.high.saturating_sub(1));
        let highest = inner.high_seqnos.seqnos();
        // Tombstones that the last purge spared and that were not superseded, then those above its
        // seqno.
        let spared = purged.spared.iter();
        let spared = spared.filter_map(|&seqno| {
            index
                .iter_at(seqno, u64::MAX)
                .next()
                .filter(|slot| slot.seqno == seqno)
        });
        let others = index.iter_at(purged.upto.saturating_add(1), u64::MAX);
        let others = others.take_while(|slot| slot.seqno <= last);
        let shown = spared.chain(others).filter(|slot| slot.tombstone);
        let (tombstones, kept): (Vec<Slot>, Vec<Slot>) =
            shown.partition(|slot| slot.seqno <= last && !highest.contains(&slot.seqno));
        let upto = tombstones.last().map(|slot| slot.seqno)?.max(purged.upto);
        let kept = kept.iter().map(|slot| slot.seqno);
        Some(PurgePlan {
            purged: PurgedTombstones {
                upto,
                spared: kept.filter(|&seqno| seqno <= upto).collect(),
            },
            tombstones: tombstones
                .iter()
                .map(|slot| (slot.seqno, slot.fingerprint))
                .collect(),
        })
    }

    /// Hides the tombstones of a plan that the manifest has already. Returns their number.
    pub(in crate::logstor) fn apply_purge(&self, plan: PurgePlan) -> u64 {
        let PurgePlan { purged, tombstones } = plan;
        let mut inner = self.lock();
        let count = to_u64(tombstones.len());
        inner.purged = Arc::new(purged);
        inner.take_off(true, count);
        inner.purged_pending.extend(tombstones);
        let uses = self.log.segments.uses();
        inner.reclaim_purged(ReferenceCounts(&uses));
        count
    }

    /// Returns the highest seqnos of its collections.
    pub(in crate::logstor) fn high_seqnos(&self) -> Arc<CollectionHighSeqnos> {
        Arc::clone(&self.lock().high_seqnos)
    }

    /// Returns the purge seqno that is reported.
    pub(in crate::logstor) fn purge_seqno(&self) -> u64 {
        self.view().info.purge.0
    }
}

impl Inner {
    pub(super) fn merge_high_seqnos(&mut self, high_seqnos: &CollectionHighSeqnos) {
        // Pinned views keep their own copy.
        Arc::make_mut(&mut self.high_seqnos).merge(high_seqnos);
    }

    /// Removes purged tombstones that have no older record on disk and that no pinned view shows.
    pub(super) fn reclaim_purged(&mut self, counts: ReferenceCounts<'_>) {
        let Self {
            index,
            pins,
            purged_pending,
            reclaimed_tombstones,
            ..
        } = self;
        purged_pending.retain(|&seqno, &mut fingerprint| {
            let is_shown = pins
                .values()
                .any(|pin| seqno <= pin.high() && !pin.purged.hides(seqno));
            let is_last = index
                .get(fingerprint)
                .is_some_and(|slot| slot.seqno == seqno && slot.other_copies == 0);
            let stays = is_shown || !is_last;
            if !stays {
                index.remove(fingerprint, counts);
                reclaimed_tombstones.insert(seqno, 1);
            }
            stays
        });
    }
}
