//! What readers of a replica may see of its disk: never a part of a snapshot.
//!
//! A replica's flusher writes whatever has arrived, also half a snapshot. Before a commit that leaves a part of one on disk,
//! the vBucket as it is, which ends where a snapshot does, is pinned; readers are served from the pin until a commit
//! ends where a snapshot does. Commits go in, on the host's thread; views come out, on anybody's.
//!
//! - S22. A view is what some commit left that ended with a whole snapshot, and the newest of these.
//! - A vBucket has one pin at most, and only while a part of a snapshot is on its disk: so no more is kept for it than what
//!   that snapshot supersedes.
//! - Who starts with a part of a snapshot on disk has no pin: until the next boundary there is nothing to show.

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::{Seqno, VBucketState, Vbid};
use parking_lot::Mutex;

use crate::contract::{Engine, EngineError, Snapshot};

/// Up to where a store has whole snapshots only, that has `high`, committed with `state`.
#[must_use]
pub fn whole_seqno(state: &VBucketState, high: Seqno) -> Seqno {
    if state.snapshot_start <= high && high < state.snapshot_end {
        state.snapshot_start
    } else {
        high
    }
}

/// The read views of a store's vBuckets. Clones are handles of the same.
#[derive(Clone, Debug, Default)]
pub struct ReadViews(Arc<Mutex<BTreeMap<Vbid, Arc<dyn Snapshot>>>>);

impl ReadViews {
    /// The vBucket as a reader may see it, with whole snapshots only; `None` if there is a part of one on disk and nobody
    /// has what was there before. O(1).
    ///
    /// # Errors
    /// As [`Engine::snapshot`].
    pub fn view(
        &self,
        engine: &dyn Engine,
        vb: Vbid,
    ) -> Result<Option<Arc<dyn Snapshot>>, EngineError> {
        // The disk is looked at under the lock: a pin that is needed for what is there can't go in between.
        let pinned = self.0.lock();
        let on_disk: Arc<dyn Snapshot> = engine.snapshot(vb)?.into();
        let shown = if is_whole(on_disk.as_ref()) {
            Some(on_disk)
        } else {
            pinned.get(&vb).cloned()
        };
        Ok(shown)
    }

    /// How many vBuckets have a part of a snapshot on disk that readers do not see.
    #[must_use]
    pub fn pins(&self) -> usize {
        self.0.lock().len()
    }

    /// About to commit up to `high`, with `state`.
    pub(crate) fn before(&self, engine: &dyn Engine, vb: Vbid, state: &VBucketState, high: Seqno) {
        if whole_seqno(state, high) == high {
            return;
        }
        let mut pinned = self.0.lock();
        match engine.snapshot(vb) {
            Ok(whole) if is_whole(whole.as_ref()) => {
                pinned.insert(vb, whole.into());
            }
            Ok(_) => {}
            // Whatever it is a pin of, nobody can tell: better nothing is shown.
            Err(_) => {
                pinned.remove(&vb);
            }
        }
    }

    /// It is committed.
    pub(crate) fn after(&self, vb: Vbid, state: &VBucketState, high: Seqno) {
        if whole_seqno(state, high) == high {
            self.forget(vb);
        }
    }

    /// The vBucket is gone, went back, or its store was opened anew.
    pub(crate) fn forget(&self, vb: Vbid) {
        let pin = self.0.lock().remove(&vb);
        drop(pin);
    }

    /// The store is closed: what it had pinned, the next one knows nothing of.
    pub fn forget_all(&self) {
        let pins = std::mem::take(&mut *self.0.lock());
        drop(pins);
    }
}

fn is_whole(snapshot: &dyn Snapshot) -> bool {
    let high = snapshot.high();
    snapshot
        .state()
        .is_none_or(|state| whole_seqno(state, high) == high)
}
