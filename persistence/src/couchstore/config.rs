//! How a store is run: how its commits become durable, when its files are compacted, what it keeps in memory.

use crate::couchstore::format::FormatVersion;

/// How a commit becomes durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitMode {
    /// One sync; the header is activated after it, and that becomes durable with the next. Should the power fail
    /// before, the vendor's tools may miss the last commit until this engine has opened the file again. Commits over
    /// 4 MiB, and files older than version 14, take two syncs all the same.
    #[default]
    OneSync,
    /// Two syncs, as the vendor does: each acknowledged commit is there for the vendor's tools, too.
    TwoPhase,
}

/// How a store is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CouchstoreConfig {
    /// How a commit becomes durable. *Default*: [`CommitMode::OneSync`].
    pub commit: CommitMode,
    /// When files are compacted, and how.
    pub compaction: CompactionConfig,
    /// The format's version of files that are made; those that are there keep theirs until a compaction makes them anew. *Default*: [`FormatVersion::V14`].
    pub version: FormatVersion,
    /// How many bytes of decoded tree nodes all files of the store may keep in memory together; 0 keeps none. Enough
    /// for the interior nodes, some 6 bytes a document, spares most reads; leaves take what is left, up to some 150
    /// bytes a document. *Default*: 16 MiB.
    pub cache_bytes: usize,
    /// How many of the store's files may be open at once; at least one is. Further ones are opened when they are used, and
    /// the one that was not used for longest is closed for each, synced first if need be. Snapshots of files that a
    /// compaction or a drop has removed come on top, and the directory, its lock and a file each for compactions that
    /// sort. Fewer than there are vBuckets in use cost an opening, and often a sync, for many operations. *Default*: 512.
    pub open_files_max: usize,
}

impl CouchstoreConfig {
    /// What [`Default`] gives, for constants.
    pub const DEFAULT: Self = Self {
        commit: CommitMode::OneSync,
        compaction: CompactionConfig::DEFAULT,
        version: FormatVersion::V14,
        cache_bytes: 16 << 20,
        open_files_max: 512,
    };
}

impl Default for CouchstoreConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

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
    /// What rows may take in memory while they are sorted; more of them go through temporary files. The second index
    /// takes as much while the first is made. *Default*: 16 MiB.
    pub sort_bytes: usize,
    /// A compaction that begins by itself purges tombstones this much older than the vBucket's last batch, by that
    /// batch's timestamp: the engine has no clock, and a vBucket that takes no writes keeps its tombstones, as files
    /// older than version 13 do, which have no timestamps. Who was away for longer must begin anew. `None`: they stay
    /// until a request takes them. *Default*: 259,200 seconds, three days, as the vendor's.
    pub purge_age_seconds: Option<u32>,
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
        purge_age_seconds: Some(3 * 24 * 60 * 60),
    };
}
