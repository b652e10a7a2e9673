//! When a file is worth compacting: sizes go in, the vBucket that has most to give back comes out, with what to give up.
//!
//! E30. A host that runs whatever this asks for keeps its stores in bounds: a file of which more than the configured part is
//! dead is due, and what is neither dead nor old enough to be purged is what the host has stored.

use std::cmp::Reverse;
use std::sync::Arc;

use lowtide_checkpoint::Vbid;

use crate::contract::CompactionRequest;
use crate::couchstore::config::CompactionConfig;
use crate::couchstore::file::CommitView;
use crate::couchstore::store::VBucket;

/// Headers have the time in nanoseconds, tombstones in seconds.
const NANOS_A_SECOND: u64 = 1_000_000_000;

impl CompactionConfig {
    /// The vBucket to compact now, if one is fragmented enough, and what to give up.
    pub(crate) fn choose(&self, vbuckets: &[Arc<VBucket>]) -> Option<(Vbid, CompactionRequest)> {
        let percent = self.fragmentation_percent?;
        let due = vbuckets.iter().filter_map(|vbucket| {
            let dead_bytes = self.dead_bytes(percent, &vbucket.published().view)?;
            // One that was refused would be refused again, and keep the others from their turn.
            (!vbucket.is_compacting() && !vbucket.is_refused()).then_some((dead_bytes, vbucket))
        });
        let (_, vbucket) =
            due.max_by_key(|(dead_bytes, vbucket)| (*dead_bytes, Reverse(vbucket.vb())))?;
        let purge_before = self.purge_before(&vbucket.published().view);
        Some((
            vbucket.vb(),
            CompactionRequest {
                purge_before,
                ..CompactionRequest::default()
            },
        ))
    }

    /// The time of the oldest tombstones to keep.
    fn purge_before(&self, view: &CommitView) -> Option<u32> {
        let seconds = u32::try_from(view.header.timestamp / NANOS_A_SECOND).ok()?;
        // Nothing is older than the beginning, when there is no time to tell it by.
        self.purge_age_seconds
            .map(|age| seconds.saturating_sub(age))
            .filter(|&before| before > 0)
    }

    /// What compacting would give back, if it is enough.
    fn dead_bytes(&self, percent: u8, view: &CommitView) -> Option<u64> {
        let (file, live) = (view.file_bytes(), view.live_bytes());
        let dead = file.saturating_sub(live);
        let enough = u128::from(dead) * 100 >= u128::from(file) * u128::from(percent);
        (file >= self.file_bytes_min && dead > 0 && enough).then_some(dead)
    }
}
