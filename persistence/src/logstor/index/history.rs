//! The overlay: revisions that were replaced, and that a pinned snapshot still shows. A revision goes in when it is
//! replaced, and out when no snapshot needs it.
//!
//! Always: both maps have the same revisions; a revision is shown at S when its seqno is at most S and that of the one
//! that replaced it is higher.

use std::collections::{BTreeMap, BTreeSet};

use super::super::fingerprint::Fingerprint;
use super::Live;
use super::slots::Slot;

/// A revision that was replaced.
#[derive(Clone, Copy, Debug)]
pub(in crate::logstor) struct Old {
    pub(in crate::logstor) slot: Slot,
    pub(in crate::logstor) superseded_by: u64,
}

#[derive(Debug, Default)]
pub(super) struct History {
    by_seqno: BTreeMap<u64, Old>,
    by_key: BTreeSet<(Fingerprint, u64)>,
}

impl History {
    pub(super) fn insert(&mut self, slot: Slot, superseded_by: u64) {
        self.by_key.insert((slot.fingerprint, slot.seqno));
        self.by_seqno.insert(
            slot.seqno,
            Old {
                slot,
                superseded_by,
            },
        );
    }

    pub(super) fn get(&self, seqno: u64) -> Option<&Old> {
        self.by_seqno.get(&seqno)
    }

    pub(super) fn get_mut(&mut self, seqno: u64) -> Option<&mut Old> {
        self.by_seqno.get_mut(&seqno)
    }

    pub(super) fn get_at(&self, fingerprint: Fingerprint, high: u64) -> Option<Slot> {
        let (_, seqno) = self
            .by_key
            .range((fingerprint, 0)..=(fingerprint, high))
            .next_back()?;
        let old = self.by_seqno.get(seqno)?;
        (old.superseded_by > high).then_some(old.slot)
    }

    pub(super) fn iter_at(&self, from: u64, high: u64) -> impl Iterator<Item = Slot> {
        // An empty range may not begin behind its end.
        let old = self.by_seqno.range(from..=high.max(from));
        old.map(|(_, old)| old)
            .filter(move |old| old.slot.seqno <= high && old.superseded_by > high)
            .map(|old| old.slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Old> {
        self.by_seqno.values()
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Old) -> bool, live: Live<'_>) {
        let by_key = &mut self.by_key;
        self.by_seqno.retain(|_, old| {
            let stays = keep(old);
            if !stays {
                by_key.remove(&(old.slot.fingerprint, old.slot.seqno));
                live.remove(old.slot.location);
            }
            stays
        });
    }

    pub(super) fn len(&self) -> usize {
        self.by_seqno.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.by_seqno.len() * (size_of::<(u64, Old)>() + size_of::<(Fingerprint, u64)>())
    }
}
