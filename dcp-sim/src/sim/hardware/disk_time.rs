//! Time that a simulated disk takes: a model of one NVMe device. So runs in memory and on real
//! files take the same virtual time.

use lowtide_persistence::disk::DiskStats;

const READ_MICROS: u64 = 1;
const WRITE_MICROS: u64 = 3;
const SYNC_MICROS: u64 = 130;
const NAME_MICROS: u64 = 10;
/// 1 GiB/s, for reads and writes.
const BYTES_PER_MICRO: u64 = 1_074;

/// Returns the microseconds of virtual time for these operations, in sequence.
#[must_use]
pub(in crate::sim) fn micros(stats: &DiskStats) -> u64 {
    (stats.reads + stats.opens) * READ_MICROS
        + (stats.writes + stats.length_changes) * WRITE_MICROS
        + (stats.syncs + stats.dir_syncs) * SYNC_MICROS
        + stats.name_operations * NAME_MICROS
        + (stats.read_bytes + stats.written_bytes) / BYTES_PER_MICRO
}
