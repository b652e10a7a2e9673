//! When a newer revision may take the place of an older one: only in the open memory checkpoint, only within one name
//! space, only where no reader must see both.

use super::inner::Inner;
use crate::index::Place;
use crate::{Item, Namespace};

/// What becomes of an item about to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stands beside what is there.
    Append,
    /// It replaces the resident revision of its key.
    Replace,
    /// It repeats a key that may not be replaced, so it needs a new checkpoint.
    NewCheckpoint,
}

impl Inner {
    /// `history` is whether the item must be seen by every reader, `place` where the item's key stands in the index of the open checkpoint, which is one of memory.
    pub(super) fn verdict(
        &self,
        item: &Item,
        namespace: Namespace,
        history: bool,
        place: Place,
    ) -> Verdict {
        if self.index.is_exhausted(self.queue.end()) {
            return Verdict::NewCheckpoint;
        }
        if let Some(old) = place.resident {
            let sync_write = old.sync_write || item.operation.is_sync_write();
            let history = old.history || history;
            return if sync_write || history {
                Verdict::NewCheckpoint
            } else {
                Verdict::Replace
            };
        }
        // Every cursor has passed an expelled revision, so there is nothing to replace; but a prepare must not share
        // its checkpoint with the next, nor history with history.
        let expelled = self.index.forbids(namespace, &item.key);
        let is_forbidden = expelled.prepared || (expelled.history && history);
        if is_forbidden {
            Verdict::NewCheckpoint
        } else {
            Verdict::Append
        }
    }
}
