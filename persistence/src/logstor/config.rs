//! The settings of a log store, and the geometry that follows from them.
//!
//! # Invariants
//!
//! A segment is a multiple of 4,096 bytes, a file is a whole number of segments, and a store has
//! space for at least [`SEGMENTS_MIN`] segments. A store keeps the geometry it was created with;
//! only its budget may change.

use crate::logstor::hash_key::HashKey;
use serde::{Deserialize, Serialize};

/// Alignment of frames, and the unit of their padding.
pub(super) const BLOCK_BYTES: u32 = 4096;
/// Unit that a disk writes as a whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;
/// Models have small segments, so that little fills them.
const SEGMENT_BYTES_MIN: u32 = if cfg!(checkpoint_loom) {
    8 << 10
} else {
    64 << 10
};
/// Offsets within a segment fit into 32 bits.
const SEGMENT_BYTES_MAX: u32 = 64 << 20;
const SEGMENTS_PER_FILE_MAX: u32 = 1 << 20;
/// Segments of the smallest budget.
pub(super) const SEGMENTS_MIN: u32 = 32;
/// Free segments that only rewriting may take, to free others.
pub(super) const REWRITE_RESERVE: u32 = 2;
/// Further free segments that only commits that make space may take (L47).
const DELETE_RESERVE: u32 = 2;
/// Free segments that ordinary commits leave.
pub(super) const COMMIT_RESERVE: u32 = REWRITE_RESERVE + DELETE_RESERVE;

/// Settings of a store.
///
/// [`LogstorConfig::new`] asks for the one setting without a default, the hash key. The `with_*`
/// methods change the others.
///
/// ```
/// use lowtide_persistence::logstor::LogstorConfig;
///
/// // Drawn at random by the host, once for each store.
/// let hash_key = [0x8c5f_27e1_49d2_b36a, 0x1f70_9a5e_d3c8_4b26];
/// let config = LogstorConfig::new(hash_key).with_disk_bytes(10 << 30);
/// assert_eq!(config.segment_bytes, 1 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogstorConfig {
    /// Size of a segment, the unit in which space is taken and freed. From 64 KiB to 64 MiB,
    /// rounded down to 4 KiB. *Default*: 1 MiB.
    pub segment_bytes: u32,
    /// Size of a log file, in whole segments, at least one. *Default*: 64 MiB.
    pub file_bytes: u64,
    /// Maximum size of all log files together; at least 32 segments. When it is used up, the store
    /// reclaims space by itself. *Default*: limited by the device only.
    pub disk_bytes: u64,
    /// Log file bytes to preallocate, within `disk_bytes`. Commits then overwrite existing blocks
    /// instead of extending files, and the device's space belongs to this store from the beginning.
    /// Files are whole, so there may be one more. *Default*: 0; files are made a little ahead of
    /// need.
    pub prepared_bytes: u64,
    /// Number of mixed segments (with records of several vBuckets) tolerated before upkeep
    /// separates them. *Default*: 8.
    pub mixed_segments_max: usize,
    /// Age in seconds at which a mixed segment is separated: the difference of the timestamps of
    /// its first batch and of the newest one. *Default*: 600.
    pub mixed_seconds_max: u32,
    /// Percentage of dead bytes at which upkeep compacts. `None`: only when space runs out, or on
    /// request. *Default*: 50.
    pub garbage_percent: Option<u8>,
    /// Memory for blocks that gets have read, besides the index. *Default*: 16 MiB.
    pub cache_bytes: usize,
    /// Bytes appended since the last index image at which upkeep writes another one. Opening then
    /// reads the image and the bytes appended since, not everything. An idle store (64 polls for
    /// maintenance without an append) and a store that is closed write one at an eighth of that.
    /// *Default*: 16 MiB.
    pub image_bytes: u64,
    /// Size of the last image, in percent of the bytes appended since, above which the next image
    /// waits. *Default*: 12.
    pub image_percent: u32,
    /// Key of the fingerprints of keys and of the checksums of frames. A client that does not know
    /// it can craft no keys or values that collide. The host draws it at random and keeps it secret.
    /// A store keeps the key it was created with, whatever it is opened with.
    pub hash_key: HashKey,
}

/// Defines a method for each setting that has a default.
macro_rules! settings {
    ($($method:ident $field:ident: $type:ty,)*) => {
        impl LogstorConfig {
            $(
                #[doc = concat!("Replaces [`LogstorConfig::", stringify!($field), "`].")]
                #[must_use]
                pub const fn $method(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

settings! {
    with_segment_bytes segment_bytes: u32,
    with_file_bytes file_bytes: u64,
    with_disk_bytes disk_bytes: u64,
    with_prepared_bytes prepared_bytes: u64,
    with_mixed_segments_max mixed_segments_max: usize,
    with_mixed_seconds_max mixed_seconds_max: u32,
    with_garbage_percent garbage_percent: Option<u8>,
    with_cache_bytes cache_bytes: usize,
    with_image_bytes image_bytes: u64,
    with_image_percent image_percent: u32,
}

impl LogstorConfig {
    /// Returns the default settings, with a hash key. There is no default key: one that is published
    /// is no secret.
    #[must_use]
    pub const fn new(hash_key: [u64; 2]) -> Self {
        Self {
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
            hash_key: HashKey::new(hash_key),
        }
    }
}

/// The sizes of a store.
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
        let per_file = config.file_bytes / u64::from(segment_bytes);
        Self {
            segment_bytes,
            segments_per_file: u32::try_from(per_file)
                .unwrap_or(u32::MAX)
                .clamp(1, SEGMENTS_PER_FILE_MAX),
        }
    }

    /// Returns whether a manifest may have it.
    pub(super) fn is_sound(&self) -> bool {
        (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes)
            && self.segment_bytes.is_multiple_of(BLOCK_BYTES)
            && (1..=SEGMENTS_PER_FILE_MAX).contains(&self.segments_per_file)
    }

    /// Returns the number of segments within a budget.
    pub(super) fn segments_max(&self, disk_bytes: u64) -> u32 {
        let segments = disk_bytes / u64::from(self.segment_bytes);
        // The highest number is reserved.
        u32::try_from(segments)
            .unwrap_or(u32::MAX - 1)
            .clamp(SEGMENTS_MIN, u32::MAX - 1)
    }

    /// Returns the number of a segment's file, and the offset in it.
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
                    ..LogstorConfig::new([1, 2])
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

    #[test]
    fn each_setter_sets_its_own_field() {
        assert_eq!(
            LogstorConfig::new([1, 2])
                .with_segment_bytes(3)
                .with_file_bytes(4)
                .with_disk_bytes(5)
                .with_prepared_bytes(6)
                .with_mixed_segments_max(7)
                .with_mixed_seconds_max(8)
                .with_garbage_percent(Some(9))
                .with_cache_bytes(10)
                .with_image_bytes(11)
                .with_image_percent(13),
            LogstorConfig {
                segment_bytes: 3,
                file_bytes: 4,
                disk_bytes: 5,
                prepared_bytes: 6,
                mixed_segments_max: 7,
                mixed_seconds_max: 8,
                garbage_percent: Some(9),
                cache_bytes: 10,
                image_bytes: 11,
                image_percent: 13,
                hash_key: HashKey::new([1, 2]),
            }
        );
    }
}
