//! How long a simulated disk takes for what it was asked: a model of one NVMe device, so that a run on memory and one
//! on real files take the same virtual time.

use lowtide_persistence::disk::DiskStats;

const READ_MICROS: u64 = 1;
const WRITE_MICROS: u64 = 3;
const SYNC_MICROS: u64 = 130;
const NAME_MICROS: u64 = 10;
/// 1 GiB/s, both ways.
const BYTES_PER_MICRO: u64 = 1_074;

/// Microseconds of virtual time for these operations, one after the other.
#[must_use]
pub(in crate::sim) fn micros(stats: &DiskStats) -> u64 {
    (stats.reads + stats.opens) * READ_MICROS
        + (stats.writes + stats.length_changes) * WRITE_MICROS
        + (stats.syncs + stats.dir_syncs) * SYNC_MICROS
        + stats.name_operations * NAME_MICROS
        + (stats.read_bytes + stats.written_bytes) / BYTES_PER_MICRO
}
