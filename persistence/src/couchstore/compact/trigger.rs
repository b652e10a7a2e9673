//! When a file is worth compacting: sizes go in, the vBucket that has most to give back comes out.

use std::sync::Arc;

use checkpoint::Vbid;

use crate::couchstore::tip::Tip;
use crate::couchstore::vbucket::VBucket;

/// When files are compacted by themselves, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionConfig {
    /// A file is compacted when at least so many percent of it can't be reached any more; `None`: only on request.
    /// *Default*: 50.
    pub fragmentation_percent: Option<u8>,
    /// Smaller files are let be. *Default*: 4 MiB.
    pub file_bytes_min: u64,
    /// The new file is synced whenever so much of it was written, so that neither the last sync nor the commits beside
    /// it wait for all of it at once; 0: only at the end. *Default*: 1 MiB.
    pub sync_bytes: u64,
    /// What rows may take in memory while they are sorted by key; more of them go through temporary files. *Default*:
    /// 16 MiB.
    pub sort_bytes: usize,
}

impl Default for CompactionConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl CompactionConfig {
    /// What every field is by default.
    pub const DEFAULT: Self = Self {
        fragmentation_percent: Some(50),
        file_bytes_min: 4 << 20,
        sync_bytes: 1 << 20,
        sort_bytes: 16 << 20,
    };

    /// The vBucket to compact now, if one is fragmented enough.
    pub(in crate::couchstore) fn choose(&self, vbuckets: &[Arc<VBucket>]) -> Option<Vbid> {
        let percent = self.fragmentation_percent?;
        let due = vbuckets.iter().filter_map(|vbucket| {
            let dead_bytes = self.dead_bytes(percent, &vbucket.published().tip)?;
            (!vbucket.is_compacting()).then(|| (dead_bytes, vbucket.vb()))
        });
        due.max_by_key(|&(dead_bytes, vb)| (dead_bytes, std::cmp::Reverse(vb))).map(|(_, vb)| vb)
    }

    /// What compacting would give back, if it is enough.
    fn dead_bytes(&self, percent: u8, tip: &Tip) -> Option<u64> {
        let (file, live) = (tip.file_bytes(), tip.live_bytes());
        let dead = file.saturating_sub(live);
        let enough = u128::from(dead) * 100 >= u128::from(file) * u128::from(percent);
        (file >= self.file_bytes_min && dead > 0 && enough).then_some(dead)
    }
}
