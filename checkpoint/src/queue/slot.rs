//! One slot of a chunk: an item, and the seqno of the revision that superseded it.
//!
//! A slot is all that the queue stores per item, so that readers need no count or flag per consumer.
//!
//! # Invariants
//! - The item never moves or changes. `superseded_by` changes once, from 0 to the seqno of the
//!   newer revision. Only a thread that holds the manager's lock writes it; any thread may read it.

use crate::fault::{self, Fault};
use crate::internal::sync::{AtomicU64, Ordering};
use crate::model::{Item, Seqno};

/// An item and its successor's seqno.
#[derive(Debug)]
pub(crate) struct Slot {
    item: Item,
    superseded_by: AtomicU64,
}

impl Slot {
    pub(crate) fn new(item: Item) -> Self {
        Self {
            item,
            superseded_by: AtomicU64::new(0),
        }
    }

    /// Returns whether no newer revision has superseded the item. Exact under the lock.
    pub(crate) fn is_live(&self) -> bool {
        self.superseded_by.load(Ordering::Relaxed) == 0
    }

    /// Returns whether a snapshot taken at the high seqno `end` contains the item.
    pub(crate) fn is_live_at(&self, end: Seqno) -> bool {
        let superseded_by = self.superseded_by.load(Ordering::Relaxed);
        superseded_by == 0 || (superseded_by > end.0 && !fault::is(Fault::BatchForgetsItsEnd))
    }

    pub(crate) fn item(&self) -> &Item {
        &self.item
    }

    /// Marks the item as superseded by the revision with seqno `by`.
    pub(super) fn supersede(&self, by: Seqno) {
        self.superseded_by.store(by.0, Ordering::Relaxed);
    }
}
