//! The configuration of a store: durability of its commits, compaction of its files, memory and
//! handles.

use crate::couchstore::format::FormatVersion;

/// How a commit becomes durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitMode {
    /// One sync. The header is activated after it, and the activation becomes durable with the next
    /// sync. If the power fails before that, the vendor's tools miss the last commit until this
    /// engine has opened the file again. Commits over 4 MiB, and files older than version 14, still
    /// take two syncs.
    #[default]
    OneSync,
    /// Two syncs, as the vendor does. The vendor's tools see each acknowledged commit.
    TwoPhase,
}

/// Settings of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CouchstoreConfig {
    /// Durability of commits. *Default*: [`CommitMode::OneSync`].
    pub commit: CommitMode,
    /// Compaction of files.
    pub compaction: CompactionConfig,
    /// Format version of new files. An existing file keeps its version until a compaction replaces
    /// it. *Default*: [`FormatVersion::V14`].
    pub version: FormatVersion,
    /// Bytes of decoded tree nodes that all files of the store keep in memory together; 0 keeps
    /// none. Enough for the interior nodes, about 6 bytes a document, saves most reads. Leaves use
    /// the rest, up to about 150 bytes a document. *Default*: 16 MiB.
    pub cache_bytes: usize,
    /// Number of the store's files that may be open at once; at least one is. A further file is
    /// opened when it is used, and the least recently used one is closed for it, synced first if
    /// necessary. Not included are the directory, its lock, snapshots of files that a compaction or
    /// a drop has removed, and a file for each compaction that sorts. A number below that of the
    /// vBuckets in use costs many operations an opening, and often a sync. *Default*: 512.
    pub open_files_max: usize,
}

impl CouchstoreConfig {
    /// The default values. The `with_` functions change one each, also in constants.
    pub const DEFAULT: Self = Self {
        commit: CommitMode::OneSync,
        compaction: CompactionConfig::DEFAULT,
        version: FormatVersion::V14,
        cache_bytes: 16 << 20,
        open_files_max: 512,
    };

    /// Sets the durability of commits.
    #[must_use]
    pub const fn with_commit(self, commit: CommitMode) -> Self {
        Self { commit, ..self }
    }

    /// Sets the compaction of files.
    #[must_use]
    pub const fn with_compaction(self, compaction: CompactionConfig) -> Self {
        Self { compaction, ..self }
    }

    /// Sets the format version of new files.
    #[must_use]
    pub const fn with_version(self, version: FormatVersion) -> Self {
        Self { version, ..self }
    }

    /// Sets the memory for decoded tree nodes.
    #[must_use]
    pub const fn with_cache_bytes(self, cache_bytes: usize) -> Self {
        Self {
            cache_bytes,
            ..self
        }
    }

    /// Sets the maximum number of open files.
    #[must_use]
    pub const fn with_open_files_max(self, open_files_max: usize) -> Self {
        Self {
            open_files_max,
            ..self
        }
    }
}

impl Default for CouchstoreConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// When files are compacted without a request, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionConfig {
    /// Share of a file, in percent, that must be unreachable before it is compacted; `None`: only
    /// on request. *Default*: 50.
    pub fragmentation_percent: Option<u8>,
    /// Size below which a file is not compacted without a request. *Default*: 4 MiB.
    pub file_bytes_min: u64,
    /// Bytes written to the new file between two syncs of it; 0 syncs only at the end. Small steps
    /// keep the last sync, and the commits that share the device, from waiting for the whole file.
    /// *Default*: 1 MiB.
    pub sync_bytes: u64,
    /// Memory for rows while they are sorted; further rows go through temporary files. The second
    /// index takes as much while the first is built. *Default*: 16 MiB.
    pub sort_bytes: usize,
    /// Age of tombstones that a compaction without a request purges, measured back from the
    /// timestamp of the vBucket's last batch, because the engine has no clock. A vBucket without
    /// writes keeps its tombstones, and so do files older than version 13, which have no
    /// timestamps. A consumer that was away for longer must start from the beginning. `None`:
    /// tombstones stay until a request purges them. *Default*: 259,200 seconds (three days), as the
    /// vendor's.
    pub purge_age_seconds: Option<u32>,
}

impl Default for CompactionConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl CompactionConfig {
    /// The default values.
    pub const DEFAULT: Self = Self {
        fragmentation_percent: Some(50),
        file_bytes_min: 4 << 20,
        sync_bytes: 1 << 20,
        sort_bytes: 16 << 20,
        purge_age_seconds: Some(3 * 24 * 60 * 60),
    };

    /// Sets the unreachable share of a file that starts a compaction.
    #[must_use]
    pub const fn with_fragmentation_percent(self, fragmentation_percent: Option<u8>) -> Self {
        Self {
            fragmentation_percent,
            ..self
        }
    }

    /// Sets the size below which a file is compacted only on request.
    #[must_use]
    pub const fn with_file_bytes_min(self, file_bytes_min: u64) -> Self {
        Self {
            file_bytes_min,
            ..self
        }
    }

    /// Sets the bytes written to the new file between two syncs.
    #[must_use]
    pub const fn with_sync_bytes(self, sync_bytes: u64) -> Self {
        Self { sync_bytes, ..self }
    }

    /// Sets the memory for rows while they are sorted.
    #[must_use]
    pub const fn with_sort_bytes(self, sort_bytes: usize) -> Self {
        Self { sort_bytes, ..self }
    }

    /// Sets the age of tombstones that a compaction without a request purges.
    #[must_use]
    pub const fn with_purge_age_seconds(self, purge_age_seconds: Option<u32>) -> Self {
        Self {
            purge_age_seconds,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setter_of_a_store_sets_its_own_field() {
        let compaction = CompactionConfig::DEFAULT.with_sync_bytes(1);
        assert_eq!(
            CouchstoreConfig::DEFAULT
                .with_commit(CommitMode::TwoPhase)
                .with_compaction(compaction)
                .with_version(FormatVersion::V13)
                .with_cache_bytes(2)
                .with_open_files_max(3),
            CouchstoreConfig {
                commit: CommitMode::TwoPhase,
                compaction,
                version: FormatVersion::V13,
                cache_bytes: 2,
                open_files_max: 3,
            }
        );
    }

    #[test]
    fn each_setter_of_compaction_sets_its_own_field() {
        assert_eq!(
            CompactionConfig::DEFAULT
                .with_fragmentation_percent(Some(1))
                .with_file_bytes_min(2)
                .with_sync_bytes(3)
                .with_sort_bytes(4)
                .with_purge_age_seconds(Some(5)),
            CompactionConfig {
                fragmentation_percent: Some(1),
                file_bytes_min: 2,
                sync_bytes: 3,
                sort_bytes: 4,
                purge_age_seconds: Some(5),
            }
        );
    }
}
