//! Dimensions of a drawn cluster: one row each, with its name, bounds, simplest value and law.

use super::law::Law;
use crate::sim::config::FaultKind;

/// Dimension of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// Row of the table of dimensions.
    Row(usize),
    /// Mean virtual time between two faults of a kind; 0 for none.
    Fault(FaultKind),
}

/// Unit of a dimension's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Count,
    Bytes,
    /// Microseconds.
    Time,
    /// One of these words, by its index.
    Word(&'static [&'static str]),
}

/// Properties of a dimension.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    /// Smallest value that a setting accepts.
    pub(super) least: u64,
    pub(super) most: u64,
    /// Value towards which shrinking moves.
    pub(super) simplest: u64,
    pub(super) law: Law,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECOND: u64 = 1_000_000;

const fn row(name: &'static str, unit: Unit, bounds: [u64; 2], simplest: u64, law: Law) -> Row {
    let [least, most] = bounds;
    Row {
        name,
        unit,
        least,
        most,
        simplest,
        law,
    }
}

const fn word(name: &'static str, words: &'static [&'static str], law: Law) -> Row {
    row(name, Unit::Word(words), [0, words.len() as u64 - 1], 0, law)
}

use Law::{Log, OneOf};
use Unit::{Bytes, Count, Time};

macro_rules! rows {
    ($($name:ident = $row:expr;)*) => {
        rows!(@number 0usize; $($name)*);
        /// Every dimension except faults. A row never changes its index, since the index determines
        /// the meaning of a seed.
        pub(super) const ROWS: &[Row] = &[$($row),*];
    };
    (@number $number:expr; $name:ident $($rest:ident)*) => {
        pub(super) const $name: Dimension = Dimension::Row($number);
        rows!(@number $number + 1; $($rest)*);
    };
    (@number $number:expr;) => {};
}

impl Dimension {
    /// Number of nodes.
    pub const NODES: Self = NODES;
    /// Number of replicas of each vBucket.
    pub const REPLICAS: Self = REPLICAS;
    /// Number of vBuckets.
    pub const VBUCKETS: Self = VBUCKETS;
    /// Storage engine of the nodes.
    pub const ENGINE: Self = ENGINE;
    /// Distribution of the writes.
    pub const WORKLOAD: Self = WORKLOAD;
    /// Number of writes.
    pub const OPS: Self = OPS;
    /// Number of distinct keys.
    pub const KEYS: Self = KEYS;
    /// Bytes of the largest value.
    pub const VALUE_BYTES: Self = VALUE_BYTES;
    /// Spread of the sizes of values.
    pub const VALUE_SPREAD: Self = VALUE_SPREAD;
    /// Number of foreign clients.
    pub const CLIENTS: Self = CLIENTS;
    /// Virtual time in which clients write and faults strike.
    pub const DURATION: Self = DURATION;
}

rows! {
    NODES = row("nodes", Count, [1, 100], 1, OneOf(&[1, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9]));
    // A value of `nodes` or more is reduced to `nodes` - 1.
    REPLICAS = row("replicas", Count, [0, 99], 0, OneOf(&[0, 1, 1, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8]));
    VBUCKETS = row("vbuckets", Count, [1, 1_024], 1, Log { low: 1, high: 256 });
    ENGINE = word("engine", &["couchstore", "logstor"], OneOf(&[0, 1]));
    WORKLOAD = word(
        "workload",
        &["uniform", "zipfian", "latest", "etc", "zippydb"],
        OneOf(&[0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 4]),
    );
    OPS = row("ops", Count, [1, 1 << 26], 1, Log { low: 20, high: 20_000 });
    KEYS = row("keys", Count, [1, 1 << 26], 1, Log { low: 1, high: 4_000 });
    SKEW = row("skew-hundredths", Count, [1, 300], 99, OneOf(&[50, 80, 99, 99, 99, 120, 150, 200]));
    DELETES = row("deletes-permille", Count, [0, 1_000], 0, OneOf(&[0, 10, 50, 50, 50, 200, 400, 600, 900]));
    KEY_BYTES = row("key-bytes", Bytes, [1, 4_000], 1, OneOf(&[1, 16, 16, 24, 40, 40, 64, 100, 250, 4_000]));
    VALUE_BYTES = row("value-bytes", Bytes, [0, 20 * MIB], 0, Log { low: 1, high: 16 * KIB });
    VALUE_SPREAD = word("value-spread", &["constant", "wide"], OneOf(&[0, 1, 1]));
    LARGE_VALUES = row("large-values", Count, [0, 1 << 26], 0, OneOf(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3]));
    LARGE_BYTES = row("large-bytes", Bytes, [0, 20 * MIB], 64 * KIB, Log { low: 64 * KIB, high: 8 * MIB });
    DURATION = row("duration", Time, [1, 1 << 50], 1_000, Log { low: SECOND / 20, high: 180 * SECOND });
    READS = row("reads", Count, [1, 1 << 26], 1, Log { low: 10, high: 3_000 });
    CLIENTS = row("clients", Count, [0, 100], 0, OneOf(&[0, 0, 1, 1, 2, 3]));
    CLOCK_SKEW = row(
        "clock-skew",
        Time,
        [0, 86_400 * SECOND],
        0,
        OneOf(&[0, 0, 0, 0, 1_000, 100_000, SECOND, 60 * SECOND, 3_600 * SECOND]),
    );
    QUOTA = row("quota-bytes", Bytes, [1, 1 << 40], 64 * MIB, Log { low: 64 * KIB, high: 64 * MIB });
    UPPER_MARK = row("upper-mark-permille", Count, [1, 1_000], 900, OneOf(&[900, 900, 900, 700, 990]));
    LOWER_MARK = row("lower-mark-permille", Count, [0, 1_000], 600, OneOf(&[600, 600, 600, 100, 690]));
    CHECKPOINT_BYTES = row("checkpoint-bytes", Bytes, [1, 1 << 40], MIB, Log { low: 200, high: 4 * MIB });
    BUFFER_BYTES = row("buffer-bytes", Bytes, [1, 1 << 30], 10 * MIB, Log { low: 200, high: 10 * MIB });
    SEND_BYTES = row("send-bytes", Bytes, [1, 1 << 30], 256 * KIB, Log { low: 64, high: 256 * KIB });
    TURN_BYTES = row("turn-bytes", Bytes, [1, 1 << 30], 16 * KIB, Log { low: 64, high: 64 * KIB });
    SCANS = row("scans", Count, [1, 1_024], 16, OneOf(&[1, 1, 2, 4, 16, 16]));
    SLICE_ITEMS = row("slice-items", Count, [1, 1 << 20], 1_000, Log { low: 1, high: 1_000 });
    SLICE_BYTES = row("slice-bytes", Bytes, [1, 1 << 30], 256 * KIB, Log { low: 64, high: 256 * KIB });
    FLUSH_ITEMS = row("flush-items", Count, [1, 1 << 20], 10_000, Log { low: 1, high: 10_000 });
    FLUSH_BYTES = row("flush-bytes", Bytes, [1, 1 << 30], 16 * MIB, Log { low: 256, high: 16 * MIB });
    UPKEEP_FLUSHES = row("upkeep-flushes", Count, [1, 1 << 20], 32, OneOf(&[1, 4, 32, 32, 256]));
    UPKEEP_ITEMS = row("upkeep-items", Count, [1, 1 << 20], 512, Log { low: 1, high: 512 });
    COUCHSTORE_VERSION = row("couchstore-version", Count, [12, 14], 14, OneOf(&[12, 13, 14, 14]));
    COUCHSTORE_COMMIT = word("couchstore-commit", &["one-sync", "two-phase"], OneOf(&[0, 0, 1]));
    COUCHSTORE_CACHE = row(
        "couchstore-cache-bytes",
        Bytes,
        [0, 1 << 40],
        16 * MIB,
        OneOf(&[0, KIB, 16 * KIB, 256 * KIB, 16 * MIB]),
    );
    COUCHSTORE_FRAGMENTATION = row(
        "couchstore-fragmentation-percent",
        Count,
        [0, 100],
        50,
        OneOf(&[0, 10, 50, 50, 80]),
    );
    COUCHSTORE_FILE_BYTES = row(
        "couchstore-compacted-bytes",
        Bytes,
        [0, 1 << 40],
        4 * MIB,
        OneOf(&[0, 4 * KIB, 64 * KIB, 4 * MIB]),
    );
    COUCHSTORE_SYNC = row("couchstore-sync-bytes", Bytes, [0, 1 << 40], MIB, OneOf(&[0, 4 * KIB, MIB]));
    COUCHSTORE_SORT = row("couchstore-sort-bytes", Bytes, [1, 1 << 40], 16 * MIB, OneOf(&[KIB, 64 * KIB, 16 * MIB]));
    COUCHSTORE_PURGE = word("couchstore-purge-age", &["3-days", "1-s", "0-s", "never"], OneOf(&[0, 0, 1, 2, 3]));
    LOG_SEGMENT = row("log-segment-bytes", Bytes, [64 * KIB, 64 * MIB], MIB, Log { low: 64 * KIB, high: MIB });
    LOG_FILE_SEGMENTS = row("log-file-segments", Count, [1, 1_024], 8, OneOf(&[1, 2, 3, 8, 8, 16]));
    // Percentage of the possible live data; 0 for no limit.
    LOG_DISK = row("log-disk-percent", Count, [0, 100_000], 0, OneOf(&[0, 0, 0, 300, 500, 1_000]));
    LOG_CACHE = row("log-cache-bytes", Bytes, [0, 1 << 40], 16 * MIB, OneOf(&[0, 4 * KIB, 64 * KIB, 16 * MIB]));
    LOG_GARBAGE = row("log-garbage-percent", Count, [0, 100], 50, OneOf(&[0, 10, 25, 50, 50, 90]));
    LOG_MIXED = row("log-mixed-segments", Count, [0, 1 << 20], 8, OneOf(&[0, 1, 8, 8, 64]));
    LOG_MIXED_SECONDS = row("log-mixed-seconds", Count, [0, 1 << 30], 600, OneOf(&[0, 1, 600, 600]));
    LOG_IMAGE = row("log-image-bytes", Bytes, [1, 1 << 40], 16 * MIB, OneOf(&[16 * KIB, 256 * KIB, 16 * MIB, 16 * MIB]));
    LOG_IMAGE_PERCENT = row("log-image-percent", Count, [0, 1_000], 12, OneOf(&[12, 12, 100]));
    LOG_PREPARED = row("log-prepared-segments", Count, [0, 1_024], 0, OneOf(&[0, 0, 0, 0, 4, 16]));
    COUCHSTORE_FILES = row("couchstore-open-files", Count, [1, 1 << 20], 512, OneOf(&[512, 512, 512, 1, 2, 16]));
    HIDDEN_ITEMS = row("hidden-items", Count, [1, 1 << 20], 10_000, OneOf(&[10_000, 10_000, 1, 50]));
    STANDSTILL = row(
        "standstill",
        Time,
        [1, 1 << 50],
        300 * SECOND,
        OneOf(&[300 * SECOND, 300 * SECOND, 300 * SECOND, 100_000, SECOND]),
    );
    FLUSH_SHARDS = row("flush-shards", Count, [1, 64], 1, OneOf(&[1, 1, 2, 3, 4]));
    CACHE = row("cache-bytes", Bytes, [0, 1 << 40], 64 * MIB, OneOf(&[0, 4 * KIB, 64 * KIB, 64 * MIB]));
}
