//! A view: what a reader of a vBucket is shown at one moment.

use std::sync::Arc;

use lowtide_checkpoint::{Seqno, VBucketState};

use super::Inner;
use crate::contract::VBucketInfo;
use crate::logstor::format::{CollectionHighSeqnos, PurgedTombstones};
use crate::logstor::index::Slot;

/// A view of a vBucket.
#[derive(Clone, Debug)]
pub(in crate::logstor) struct View {
    pub(in crate::logstor) info: VBucketInfo,
    pub(in crate::logstor) state: Option<Arc<VBucketState>>,
    /// Highest seqnos of the collections at that moment.
    pub(super) high_seqnos: Arc<CollectionHighSeqnos>,
    pub(super) purged: Arc<PurgedTombstones>,
}

impl View {
    /// Returns whether a revision is shown.
    pub(super) fn shows(&self, slot: &Slot) -> bool {
        !(slot.tombstone && self.purged.hides(slot.seqno))
    }

    pub(in crate::logstor) const fn high(&self) -> u64 {
        self.info.high.0
    }

    /// Returns the tombstones that are hidden from it.
    pub(in crate::logstor) const fn purged(&self) -> &Arc<PurgedTombstones> {
        &self.purged
    }
}

impl Inner {
    /// Returns the current view. Its purge seqno is that of a purge here, or of one at the source
    /// of the items.
    pub(super) fn view(&self) -> View {
        let purge_seqno = self
            .state
            .as_ref()
            .map_or(0, |state| state.purge_seqno.0)
            .max(self.purged.upto);
        let info = VBucketInfo {
            high: Seqno(self.high),
            purge: Seqno(purge_seqno),
            items: self.items,
            deleted: self.deleted,
        };
        let state = self.state.as_ref().map(|state| {
            if state.purge_seqno.0 == purge_seqno {
                return Arc::clone(state);
            }
            Arc::new(VBucketState {
                purge_seqno: Seqno(purge_seqno),
                ..(**state).clone()
            })
        });
        View {
            info,
            state,
            high_seqnos: Arc::clone(&self.high_seqnos),
            purged: Arc::clone(&self.purged),
        }
    }
}
