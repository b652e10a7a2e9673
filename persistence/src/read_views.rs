//! The views that readers of a replica have of its disk: never a part of a snapshot.
//!
//! A replica's flusher writes items as they arrive, even half a snapshot. Before a commit leaves a
//! part of a snapshot on disk, the vBucket is pinned as it is, at the end of the last whole
//! snapshot. Readers see the pin until a commit ends with a whole snapshot again. The host's thread
//! commits; any thread may ask for a view.
//!
//! # Invariants
//!
//! - S22. A view is the newest commit that ended with a whole snapshot.
//! - A vBucket has at most one pin, and only while a part of a snapshot is on its disk. The pin
//!   therefore keeps no more than the items which that snapshot supersedes.
//! - A vBucket that starts with a part of a snapshot on disk has no pin and no view, until a commit
//!   ends with a whole snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use lowtide_checkpoint::{Seqno, VBucketState, Vbid};

use crate::contract::{Engine, EngineError, Snapshot};
use crate::sync::{Mutex, ranks};

/// Returns the seqno up to which a store has whole snapshots only, if its last commit was at `high`
/// with `state`.
#[must_use]
pub fn whole_seqno(state: &VBucketState, high: Seqno) -> Seqno {
    if state.snapshot_start <= high && high < state.snapshot_end {
        state.snapshot_start
    } else {
        high
    }
}

/// The read views of a store's vBuckets. Clones are handles of the same views.
#[derive(Clone, Debug)]
pub struct ReadViews(Arc<Mutex<BTreeMap<Vbid, Arc<dyn Snapshot>>>>);

impl Default for ReadViews {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(ranks::READ_VIEWS, BTreeMap::new())))
    }
}

impl ReadViews {
    /// Returns the vBucket as a reader may see it, with whole snapshots only. `None` if a part of a
    /// snapshot is on disk and the vBucket has no pin. O(1).
    ///
    /// # Errors
    /// Same as [`Engine::snapshot`].
    pub fn view(
        &self,
        engine: &dyn Engine,
        vb: Vbid,
    ) -> Result<Option<Arc<dyn Snapshot>>, EngineError> {
        // The snapshot is taken under the lock: otherwise a commit could make its pin between the
        // snapshot and the search for a pin.
        let pinned = self.0.lock();
        let on_disk: Arc<dyn Snapshot> = engine.snapshot(vb)?.into();
        let shown = if is_whole(on_disk.as_ref()) {
            Some(on_disk)
        } else {
            pinned.get(&vb).cloned()
        };
        Ok(shown)
    }

    /// Returns the number of vBuckets with a part of a snapshot on disk that readers do not see.
    #[must_use]
    pub fn pins(&self) -> usize {
        self.0.lock().len()
    }

    /// Pins the vBucket, if the commit up to `high` with `state` leaves a part of a snapshot on
    /// disk.
    pub(crate) fn before_commit(
        &self,
        engine: &dyn Engine,
        vb: Vbid,
        state: &VBucketState,
        high: Seqno,
    ) {
        if whole_seqno(state, high) == high {
            return;
        }
        let mut pinned = self.0.lock();
        match engine.snapshot(vb) {
            Ok(whole) if is_whole(whole.as_ref()) => {
                pinned.insert(vb, whole.into());
            }
            Ok(_) => {}
            // It is unknown whether the old pin still fits: no view is better than a wrong one.
            Err(_) => {
                pinned.remove(&vb);
            }
        }
    }

    /// Drops the pin, if the commit ended with a whole snapshot.
    pub(crate) fn after_commit(&self, vb: Vbid, state: &VBucketState, high: Seqno) {
        if whole_seqno(state, high) == high {
            self.forget(vb);
        }
    }

    /// Drops the pin of a vBucket that was dropped or rolled back, or whose store was reopened.
    pub(crate) fn forget(&self, vb: Vbid) {
        let pin = self.0.lock().remove(&vb);
        drop(pin);
    }

    /// Drops all pins, when the store is closed: they are unknown to the next one.
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
