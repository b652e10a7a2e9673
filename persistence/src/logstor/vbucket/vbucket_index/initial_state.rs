//! The initial state of a vBucket's index: of a new vBucket, after opening, or after a rollback.

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::VBucketState;

use super::VBucketIndex;
use super::lazy_index::LazyIndex;
use super::view::View;
use crate::failure::Damage;
use crate::logstor::format::{CollectionHighSeqnos, Location, PurgedTombstones};
use crate::logstor::index::Slot;

/// The state an index begins with.
#[derive(Debug, Default)]
pub(in crate::logstor) struct InitialState {
    pub(in crate::logstor) high: u64,
    /// Highest seqnos of the collections in `slots`.
    pub(in crate::logstor) high_seqnos: Arc<CollectionHighSeqnos>,
    pub(in crate::logstor) purged: Arc<PurgedTombstones>,
    pub(in crate::logstor) state: Option<Arc<VBucketState>>,
    pub(in crate::logstor) state_at: Option<Location>,
    pub(in crate::logstor) revision: u64,
    /// Slots ascending by seqno, each key once.
    pub(in crate::logstor) slots: Vec<Slot>,
    /// The source of the slots if they are loaded later; then `slots` is empty.
    pub(in crate::logstor) lazy: Option<LazyIndex>,
    /// The damage of an unreadable vBucket; then everything else is empty.
    pub(in crate::logstor) damage: Option<Damage>,
    /// Purged tombstones without a slot, with the number of their records.
    pub(in crate::logstor) reclaimed_tombstones: BTreeMap<u64, u32>,
}

impl VBucketIndex {
    /// Returns the initial state of an index that is rolled back to a pinned view of this one.
    /// Tombstones that the view shows and that were purged since are left out, except those with
    /// the highest seqnos of that moment.
    pub(in crate::logstor) fn state_at_snapshot(
        &self,
        view: &View,
        purged: &PurgedTombstones,
    ) -> InitialState {
        let inner = self.lock();
        let high = view.high();
        let mut slots: Vec<Slot> = inner.index.iter_at(0, high).collect();
        for slot in &mut slots {
            // All other records of the key count, older or newer: counting too many does no harm. With
            // the highest number the exact one is unknown, and a tombstone stays.
            slot.other_copies = inner
                .index
                .get(slot.fingerprint)
                .map_or(u16::MAX, |newest| newest.other_copies);
        }
        let highest = view.high_seqnos.seqnos();
        let is_left_out =
            |seqno: u64| purged.hides(seqno) && seqno != high && !highest.contains(&seqno);
        let tombstones = slots
            .iter()
            .filter(|slot| slot.tombstone)
            .map(|slot| slot.seqno);
        let (purged_pending, shown): (Vec<u64>, Vec<u64>) =
            tombstones.partition(|&seqno| view.purged.hides(seqno) || is_left_out(seqno));
        let upto = purged_pending
            .last()
            .copied()
            .unwrap_or(0)
            .max(view.purged.upto);
        let purged = PurgedTombstones {
            upto,
            spared: shown.into_iter().filter(|&seqno| seqno <= upto).collect(),
        };
        let reclaimed_tombstones = inner
            .reclaimed_tombstones
            .range(..=high)
            .map(|(&seqno, &records)| (seqno, records))
            .collect();
        InitialState {
            high,
            high_seqnos: Arc::clone(&view.high_seqnos),
            purged: Arc::new(purged),
            state: view.state.clone(),
            slots,
            reclaimed_tombstones,
            ..InitialState::default()
        }
    }
}
