//! The overlay: superseded revisions that a pinned snapshot still shows.
//!
//! A revision enters it when it is superseded, and leaves when no snapshot needs it.
//!
//! # Invariants
//!
//! Both maps have the same revisions. A revision is shown at seqno S if its own seqno is at most S
//! and the seqno of the one that superseded it is higher.

use std::collections::{BTreeMap, BTreeSet};

use lowtide_checkpoint::internal::Invariant;

use super::reference_counts::ReferenceCounts;
use super::slots::Slot;
use crate::logstor::format::Fingerprint;

/// A revision that was superseded.
#[derive(Clone, Copy, Debug)]
pub(super) struct SupersededSlot {
    pub(super) slot: Slot,
    pub(super) superseded_by: u64,
}

#[derive(Debug, Default)]
pub(super) struct SnapshotOverlay {
    by_seqno: BTreeMap<u64, SupersededSlot>,
    by_key: BTreeSet<(Fingerprint, u64)>,
}

impl SnapshotOverlay {
    pub(super) fn insert(&mut self, slot: Slot, superseded_by: u64) {
        self.by_key.insert((slot.fingerprint, slot.seqno));
        self.by_seqno.insert(
            slot.seqno,
            SupersededSlot {
                slot,
                superseded_by,
            },
        );
    }

    pub(super) fn get(&self, seqno: u64) -> Option<&SupersededSlot> {
        self.by_seqno.get(&seqno)
    }

    pub(super) fn get_mut(&mut self, seqno: u64) -> Option<&mut SupersededSlot> {
        self.by_seqno.get_mut(&seqno)
    }

    pub(super) fn get_at(&self, fingerprint: Fingerprint, high: u64) -> Option<Slot> {
        let (_, seqno) = self
            .by_key
            .range((fingerprint, 0)..=(fingerprint, high))
            .next_back()?;
        // Without the revision a reader finds the key absent: nothing older may stand in for it.
        let old = self
            .by_seqno
            .get(seqno)
            .expected("L11", "a superseded revision is known by key and by seqno")?;
        (old.superseded_by > high).then_some(old.slot)
    }

    pub(super) fn iter_at(&self, from: u64, high: u64) -> impl Iterator<Item = Slot> {
        // A range must not begin behind its end.
        let old = self.by_seqno.range(from..=high.max(from));
        old.map(|(_, old)| old)
            .filter(move |old| old.slot.seqno <= high && old.superseded_by > high)
            .map(|old| old.slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &SupersededSlot> {
        self.by_seqno.values()
    }

    pub(super) fn retain(
        &mut self,
        keep: impl Fn(&SupersededSlot) -> bool,
        counts: ReferenceCounts<'_>,
    ) {
        let by_key = &mut self.by_key;
        self.by_seqno.retain(|_, old| {
            let stays = keep(old);
            if !stays {
                by_key.remove(&(old.slot.fingerprint, old.slot.seqno));
                counts.remove(old.slot.location);
            }
            stays
        });
    }

    pub(super) fn len(&self) -> usize {
        self.by_seqno.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.by_seqno.len() * (size_of::<(u64, SupersededSlot)>() + size_of::<(Fingerprint, u64)>())
    }
}
