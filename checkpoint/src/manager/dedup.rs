//! When a newer revision may take the place of an older one: only in the open memory checkpoint, only within one name
//! space, only where no reader must see both.

use super::inner::Inner;
use crate::{Item, Namespace};

/// What becomes of an item about to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stands beside what is there.
    Append,
    /// It replaces the revision at this position.
    Replace(u64),
    /// It repeats a key that may not be replaced, so it needs a new checkpoint.
    NewCheckpoint,
}

impl Inner {
    /// `hash` is that of the item's key in its name space.
    pub(super) fn verdict(&self, item: &Item, namespace: Namespace, hash: u64) -> Verdict {
        if self.open.snapshot_type().is_disk() {
            return Verdict::Append;
        }
        if let Some((position, old)) = self.index.find(&self.queue, hash, namespace, &item.key) {
            let sync_write = old.operation.is_sync_write() || item.operation.is_sync_write();
            let history = old.history || item.history;
            return if sync_write || history { Verdict::NewCheckpoint } else { Verdict::Replace(position) };
        }
        // Every cursor has passed an expelled revision, so there is nothing to replace; but a prepare must not share
        // its checkpoint with the next, nor history with history.
        let expelled = self.index.forbids(namespace, &item.key);
        if expelled.prepared || (expelled.history && item.history) {
            return Verdict::NewCheckpoint;
        }
        Verdict::Append
    }
}
