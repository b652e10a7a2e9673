//! Translation of a shape into a cluster's configuration and a source of writes.

use lowtide_checkpoint::internal::Invariant;
use lowtide_checkpoint::{QuotaConfig, ReadLimit};
use lowtide_persistence::Budget;
use lowtide_persistence::couchstore::{
    CommitMode, CompactionConfig, CouchstoreConfig, FormatVersion,
};
use lowtide_persistence::logstor::LogstorConfig;

use super::dimension::Dimension;
use super::draw::Shape;
use super::meaning::{ETC, LATEST};
use super::{dimension as d, meaning};
use crate::input::{
    Distribution, InputError, Mix, MixSource, Preset, PresetSource, Source, ValueSpread,
};
use crate::node::NodeConfig;
use crate::producer::{ProducerLimits, ScanLimit};
use crate::published_key::PUBLISHED_HASH_KEY;
use crate::sim::config::{ClusterConfig, FaultConfig, FaultKind, Profile};
use crate::sim::hardware::{EngineKind, StoreConfig};

/// Smallest disk of a log store in segments, and additional segments of each vBucket.
const SEGMENTS_MIN: u64 = 48;
const SEGMENTS_PER_VBUCKET: u64 = 3;
/// Bytes of a record besides its key and value, and of a vBucket's state.
const RECORD_BYTES: u64 = 128;

impl Shape {
    /// Returns the cluster of that shape.
    #[must_use]
    pub fn cluster(&self, seed: u64) -> ClusterConfig {
        ClusterConfig {
            nodes: self.size(Dimension::NODES),
            replicas: self.size(Dimension::REPLICAS),
            vbuckets: self.number(Dimension::VBUCKETS, u16::MAX),
            seed,
            engine: match self.get(Dimension::ENGINE) {
                0 => EngineKind::Couchstore,
                _ => EngineKind::Logstor,
            },
            store: StoreConfig {
                couchstore: self.couchstore(),
                logstor: self.logstor(),
                upkeep_flushes: self.get(d::UPKEEP_FLUSHES),
                upkeep_step: Budget::new(self.size(d::UPKEEP_ITEMS), 1 << 20),
            },
            clock_skew_micros: self.get(d::CLOCK_SKEW),
            clients: Some(self.size(Dimension::CLIENTS)),
            node: self.node(),
            faults: Some(self.fault_config()),
            ..ClusterConfig::default()
        }
    }

    /// Returns the writes of that shape.
    ///
    /// # Errors
    /// [`InputError::InvalidArgument`] for a dimension that its workload refuses.
    pub fn source(&self, seed: u64) -> Result<Box<dyn Source>, InputError> {
        let ops = self.get(Dimension::OPS);
        let keys = self.get(Dimension::KEYS);
        let kind = match self.get(Dimension::WORKLOAD) {
            0 => Distribution::Uniform,
            1 => Distribution::Zipfian,
            LATEST => Distribution::Latest,
            ETC => {
                return Ok(Box::new(PresetSource::new(
                    Preset::Etc { keys },
                    ops,
                    seed,
                )?));
            }
            _ => return Ok(Box::new(PresetSource::new(Preset::ZippyDb, ops, seed)?)),
        };
        let mix = Mix {
            kind,
            skew_hundredths: self.number(d::SKEW, u32::MAX),
            ops,
            keys,
            deletes_permille: self.get(d::DELETES),
            key_bytes: self.get(d::KEY_BYTES),
            value_bytes: self.get(Dimension::VALUE_BYTES),
            value_spread: match self.get(Dimension::VALUE_SPREAD) {
                0 => ValueSpread::Constant,
                _ => ValueSpread::Wide,
            },
            large_values: self.get(d::LARGE_VALUES),
            large_bytes: self.get(d::LARGE_BYTES),
        };
        Ok(Box::new(MixSource::new(mix, seed)?))
    }

    fn size(&self, dimension: Dimension) -> usize {
        self.number(dimension, usize::MAX)
    }

    /// Returns the value of a dimension as the type of its setting.
    fn number<T: TryFrom<u64>>(&self, dimension: Dimension, most: T) -> T {
        T::try_from(self.get(dimension))
            .ok()
            .expected(
                "W8",
                "the bounds of a dimension are within its setting's type",
            )
            // The nearest value that the setting can have.
            .unwrap_or(most)
    }

    fn node(&self) -> NodeConfig {
        NodeConfig {
            checkpoint_bytes_max: self.size(d::CHECKPOINT_BYTES),
            buffer_bytes: self.number(d::BUFFER_BYTES, u32::MAX),
            send_bytes: self.size(d::SEND_BYTES),
            producer: ProducerLimits {
                scans: self.size(d::SCANS),
                slice: ScanLimit::new(self.size(d::SLICE_ITEMS), self.size(d::SLICE_BYTES)),
                turn_bytes: self.size(d::TURN_BYTES),
                hidden_items: self.size(d::HIDDEN_ITEMS),
                standstill_nanos: self.get(d::STANDSTILL).saturating_mul(1_000),
                ..ProducerLimits::default()
            },
            flush_limit: ReadLimit::NONE
                .with_items(self.size(d::FLUSH_ITEMS))
                .with_bytes(self.size(d::FLUSH_BYTES)),
            flush_shards: self.size(d::FLUSH_SHARDS),
            cache_bytes: self.size(d::CACHE),
            quota: Some(
                QuotaConfig::default()
                    .with_limit_bytes(self.size(d::QUOTA))
                    .with_upper_mark_permille(self.size(d::UPPER_MARK))
                    .with_lower_mark_permille(self.size(d::LOWER_MARK)),
            ),
            ..NodeConfig::default()
        }
    }

    fn couchstore(&self) -> CouchstoreConfig {
        let percent = self.get(d::COUCHSTORE_FRAGMENTATION);
        let commit = match self.get(d::COUCHSTORE_COMMIT) {
            0 => CommitMode::OneSync,
            _ => CommitMode::TwoPhase,
        };
        let purge_age_seconds = match self.get(d::COUCHSTORE_PURGE) {
            0 => Some(3 * 24 * 60 * 60),
            1 => Some(1),
            2 => Some(0),
            _ => None,
        };
        let version = match self.get(d::COUCHSTORE_VERSION) {
            12 => FormatVersion::V12,
            13 => FormatVersion::V13,
            _ => FormatVersion::V14,
        };
        let compaction = CompactionConfig::DEFAULT
            .with_fragmentation_percent(u8::try_from(percent).ok().filter(|&percent| percent > 0))
            .with_file_bytes_min(self.get(d::COUCHSTORE_FILE_BYTES))
            .with_sync_bytes(self.get(d::COUCHSTORE_SYNC))
            .with_sort_bytes(self.size(d::COUCHSTORE_SORT))
            .with_purge_age_seconds(purge_age_seconds);
        CouchstoreConfig::DEFAULT
            .with_commit(commit)
            .with_compaction(compaction)
            .with_version(version)
            .with_cache_bytes(self.size(d::COUCHSTORE_CACHE))
            .with_open_files_max(self.size(d::COUCHSTORE_FILES))
    }

    fn logstor(&self) -> LogstorConfig {
        let segment_bytes = self.get(d::LOG_SEGMENT);
        let percent = self.get(d::LOG_GARBAGE);
        LogstorConfig::new(PUBLISHED_HASH_KEY)
            .with_segment_bytes(self.number(d::LOG_SEGMENT, u32::MAX))
            .with_file_bytes(segment_bytes * self.get(d::LOG_FILE_SEGMENTS))
            .with_disk_bytes(self.log_disk_bytes())
            .with_prepared_bytes(segment_bytes * self.get(d::LOG_PREPARED))
            .with_mixed_segments_max(self.size(d::LOG_MIXED))
            .with_mixed_seconds_max(self.number(d::LOG_MIXED_SECONDS, u32::MAX))
            .with_garbage_percent(u8::try_from(percent).ok().filter(|&percent| percent > 0))
            .with_cache_bytes(self.size(d::LOG_CACHE))
            .with_image_bytes(self.get(d::LOG_IMAGE))
            .with_image_percent(self.number(d::LOG_IMAGE_PERCENT, u32::MAX))
    }

    /// Returns the disk size of a log store: that percentage of the possible live data, and room to
    /// rewrite it.
    fn log_disk_bytes(&self) -> u64 {
        let percent = self.get(d::LOG_DISK);
        if percent == 0 || self.has_source || self.get(Dimension::WORKLOAD) > meaning::LATEST {
            return u64::MAX;
        }
        let record = self.get(Dimension::VALUE_BYTES) + self.get(d::KEY_BYTES) + RECORD_BYTES;
        let records = self.get(Dimension::KEYS).min(self.get(Dimension::OPS));
        let large = self
            .get(d::LARGE_VALUES)
            .saturating_mul(2 * self.get(d::LARGE_BYTES));
        // A disk of the largest size is one without a limit.
        let live = records
            .saturating_mul(record)
            .saturating_add(large)
            .saturating_mul(percent)
            / 100;
        let segments = SEGMENTS_MIN + self.get(Dimension::VBUCKETS) * SEGMENTS_PER_VBUCKET;
        live.saturating_add(segments * self.get(d::LOG_SEGMENT))
    }

    fn fault_config(&self) -> FaultConfig {
        let interval = |kind: FaultKind| (kind, self.get(Dimension::Fault(kind)));
        let duration_micros = self.get(Dimension::DURATION);
        FaultConfig {
            kinds: self.faults().collect(),
            interval_micros: Profile::Calm.interval_micros(),
            intervals_micros: self.faults().map(interval).collect(),
            duration_micros,
            read_every_micros: (duration_micros / self.get(d::READS).max(1)).max(1),
        }
    }
}
