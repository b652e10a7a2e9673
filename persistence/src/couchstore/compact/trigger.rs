//! The choice of a file to compact without a request: the one with the most dead bytes.
//!
//! E30. A host that runs every job this asks for keeps its stores in bounds. A file whose dead
//! share reaches the configured one is due. Everything else in it is live, or a tombstone too young
//! to be purged.

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
    /// Returns the vBucket to compact now, if one is fragmented enough, and the request for it.
    pub(crate) fn choose(&self, vbuckets: &[Arc<VBucket>]) -> Option<(Vbid, CompactionRequest)> {
        let percent = self.fragmentation_percent?;
        let due = vbuckets.iter().filter_map(|vbucket| {
            let dead_bytes = self.dead_bytes(percent, &vbucket.published().view)?;
            // A vBucket that was refused would be refused again and block the others.
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

    /// Returns the time of the oldest tombstones to keep.
    fn purge_before(&self, view: &CommitView) -> Option<u32> {
        let seconds = u32::try_from(view.header.timestamp / NANOS_A_SECOND).ok()?;
        // A file without a timestamp has no tombstones of known age.
        self.purge_age_seconds
            .map(|age| seconds.saturating_sub(age))
            .filter(|&before| before > 0)
    }

    /// Returns the bytes that a compaction would free, if they are enough.
    fn dead_bytes(&self, percent: u8, view: &CommitView) -> Option<u64> {
        let (file, live) = (view.file_bytes(), view.live_bytes());
        let dead = file.saturating_sub(live);
        let enough = u128::from(dead) * 100 >= u128::from(file) * u128::from(percent);
        (file >= self.file_bytes_min && dead > 0 && enough).then_some(dead)
    }
}
