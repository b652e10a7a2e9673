//! The progress of a replica in the snapshots that it receives.
//!
//! A promotion, a resuming stream and a rollback all depend on the last seqno at which the copy was
//! whole.

use crate::model::{Seqno, VBucketState};

/// The last complete snapshot and the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReceivedSnapshots {
    /// End of the last snapshot received completely. Going back there loses nothing whole.
    pub(super) complete: Seqno,
    /// End of the snapshot that the last item belongs to.
    pub(super) snapshot_end: Seqno,
}

impl ReceivedSnapshots {
    /// Creates the progress of a copy that has `high` on disk, committed with `state`.
    pub(super) fn on_disk(state: &VBucketState, high: Seqno) -> Self {
        if is_partial(state, high) {
            Self {
                complete: state.snapshot_start,
                snapshot_end: state.snapshot_end,
            }
        } else {
            Self::whole(high)
        }
    }

    /// Creates the progress of a copy that has everything up to `high`.
    pub(super) fn whole(high: Seqno) -> Self {
        Self {
            complete: high,
            snapshot_end: high,
        }
    }
}

/// Returns whether a store that has `high`, committed with `state`, has only a part of its last
/// snapshot.
pub(super) fn is_partial(state: &VBucketState, high: Seqno) -> bool {
    state.snapshot_start <= high && high < state.snapshot_end
}
