//! How a log store is run, and the sizes that follow: settings go in, a geometry comes out that everything else goes by.
//!
//! Always: a segment is a multiple of 4,096 bytes, a file a whole number of segments, and a store has room for at least
//! [`SEGMENTS_MIN`] segments. A store keeps the geometry it was made with; only its budget may change.

use serde::{Deserialize, Serialize};

/// What frames are aligned to and padded to.
pub(super) const BLOCK_BYTES: u32 = 4096;
/// loom's models have small ones, so that little fills them.
const SEGMENT_BYTES_MIN: u32 = if cfg!(checkpoint_loom) {
    8 << 10
} else {
    64 << 10
};
/// Offsets are counted in 32 bits with room to spare.
const SEGMENT_BYTES_MAX: u32 = 64 << 20;
/// The smallest budget.
pub(super) const SEGMENTS_MIN: u32 = 32;
/// Free segments that only rewriting may take: from them it makes others free.
pub(super) const RESERVE: u32 = 2;
/// Free segments beyond these that are kept for commits that make room (L47).
const RESERVE_FOR_DELETES: u32 = 2;
/// What commits that take room leave free.
pub(super) const KEPT: u32 = RESERVE + RESERVE_FOR_DELETES;

/// How a store is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogstorConfig {
    /// What space is handed out and freed in, from 64 KiB to 64 MiB; rounded down to 4 KiB. *Default*: 1 MiB.
    pub segment_bytes: u32,
    /// What a log file has, in whole segments, at least one. *Default*: 64 MiB.
    pub file_bytes: u64,
    /// What all log files together may have; at least 32 segments. The store reclaims by itself when that is used up.
    /// *Default*: no limit but the device.
    pub disk_bytes: u64,
    /// So much of log files upkeep makes before anything else, within `disk_bytes`, though nothing needs it yet: commits write
    /// over what is there, and the device's room is this store's from the beginning. Files are whole, so there may be a file
    /// more. *Default*: 0; files are made a little ahead of need.
    pub prepared_bytes: u64,
    /// So many segments with records of several vBuckets are let be before upkeep separates them. *Default*: 8.
    pub mixed_segments_max: usize,
    /// A segment with records of several vBuckets is separated when its first batch is so many seconds older than the
    /// newest one, as the batches' timestamps say. *Default*: 600.
    pub mixed_seconds_max: u32,
    /// Upkeep compacts when so many percent of what is written can't be reached any more; `None`: only when space runs
    /// out, or on request. *Default*: 50.
    pub garbage_percent: Option<u8>,
    /// What gets have read stays in memory up to so many bytes, beside the index. *Default*: 16 MiB.
    pub cache_bytes: usize,
    /// Upkeep writes an image of the index when so many bytes were appended since the last one, so that opening reads that
    /// and them, not everything; when nothing was appended in 64 looks at what is due, and when the store is closed, already
    /// at an eighth of that. *Default*: 16 MiB.
    pub image_bytes: u64,
    /// ... and when the last image has at most so many percent of them: it is written beside all else. *Default*: 12.
    pub image_percent: u32,
    /// Keys the fingerprints by which keys are found and the checksums by which frames are known, so that nobody can
    /// make up keys or values that collide. The host draws it at random; a store keeps the one it was made with.
    pub hash_key: [u64; 2],
}

impl LogstorConfig {
    /// What [`Default`] gives, for constants.
    pub const DEFAULT: Self = Self {
        segment_bytes: 1 << 20,
        file_bytes: 64 << 20,
        disk_bytes: u64::MAX,
        prepared_bytes: 0,
        mixed_segments_max: 8,
        mixed_seconds_max: 600,
        garbage_percent: Some(50),
        cache_bytes: 16 << 20,
        image_bytes: 16 << 20,
        image_percent: 12,
        hash_key: [0x6c6f_7774_6964_6531, 0x6c6f_6773_746f_7232],
    };
}

impl Default for LogstorConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A store's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Geometry {
    pub(super) segment_bytes: u32,
    pub(super) segments_per_file: u32,
}

impl Geometry {
    pub(super) fn new(config: &LogstorConfig) -> Self {
        let segment_bytes = config
            .segment_bytes
            .clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let segment_bytes = segment_bytes - segment_bytes % BLOCK_BYTES;
        let per_file = (config.file_bytes / u64::from(segment_bytes)).clamp(1, 1 << 20);
        Self {
            segment_bytes,
            segments_per_file: per_file as u32,
        }
    }

    /// Whether a manifest may hold it.
    pub(super) fn is_sound(&self) -> bool {
        (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes)
            && self.segment_bytes.is_multiple_of(BLOCK_BYTES)
            && (1..=1 << 20).contains(&self.segments_per_file)
    }

    /// How many segments a budget allows.
    pub(super) fn segments_max(&self, disk_bytes: u64) -> u32 {
        let segments = disk_bytes / u64::from(self.segment_bytes);
        // The last number stands for none.
        u32::try_from(segments)
            .unwrap_or(u32::MAX - 1)
            .clamp(SEGMENTS_MIN, u32::MAX - 1)
    }

    /// A segment's file and its place in it.
    pub(super) fn place(&self, segment: u32) -> (u32, u64) {
        let slot = segment % self.segments_per_file;
        (
            segment / self.segments_per_file,
            u64::from(slot) * u64::from(self.segment_bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_settings_give_a_sound_geometry() {
        for segment_bytes in [0, 65_536, 70_000, 1 << 20, u32::MAX] {
            for file_bytes in [0, 65_536, 1 << 20, u64::MAX] {
                let config = LogstorConfig {
                    segment_bytes,
                    file_bytes,
                    ..LogstorConfig::default()
                };
                let geometry = Geometry::new(&config);
                assert!(geometry.is_sound(), "{geometry:?}");
                assert_eq!(geometry.segments_max(0), SEGMENTS_MIN);
            }
        }
    }

    #[test]
    fn segments_lie_one_after_the_other() {
        let geometry = Geometry {
            segment_bytes: 65_536,
            segments_per_file: 3,
        };
        assert_eq!(
            [0, 2, 3, 7].map(|segment| geometry.place(segment)),
            [(0, 0), (0, 131_072), (1, 0), (2, 65_536)]
        );
    }
}
