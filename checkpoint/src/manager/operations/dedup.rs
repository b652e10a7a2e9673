//! De-duplication: the decision whether a newer revision may replace an older one.
//!
//! # Invariants
//! - A revision is replaced only in the open memory checkpoint, within one name space, and only if no
//!   reader must see both (C11).

use crate::manager::locked_state::LockedState;
use crate::model::{Item, Namespace};
use crate::queue::{IndexSlot, Resident};

/// The decision about an item that is about to be queued.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// The item is appended and replaces nothing.
    Append,
    /// The item replaces this resident revision of its key.
    Replace(Resident),
    /// The item repeats a key that may not be replaced, so it needs a new checkpoint.
    NewCheckpoint,
}

impl LockedState {
    /// Decides about an item for the open checkpoint, which is from memory.
    ///
    /// `history` says that every reader must see the item. `slot` is its key's slot in the index.
    pub(super) fn verdict(
        &self,
        item: &Item,
        namespace: Namespace,
        history: bool,
        slot: IndexSlot,
    ) -> Verdict {
        if self.index.is_exhausted(self.queue.end()) {
            return Verdict::NewCheckpoint;
        }
        if let Some(old) = slot.resident {
            let sync_write = old.sync_write || item.operation.is_sync_write();
            let history = old.history || history;
            return if sync_write || history {
                Verdict::NewCheckpoint
            } else {
                Verdict::Replace(old)
            };
        }
        // Every cursor has passed an expelled revision, so there is nothing to replace. But a
        // prepare must not share its checkpoint with the next one, nor history with history.
        let expelled = self.index.restrictions(namespace, &item.key);
        if expelled.prepared || (expelled.history && history) {
            Verdict::NewCheckpoint
        } else {
            Verdict::Append
        }
    }
}
