//! Seeds that failed in clusters of unusual shapes: few replicas, few vBuckets, many nodes, long
//! runs.

use dcp_sim::input::{Distribution, Preset};
use dcp_sim::sim::{EngineKind, FaultKind, Profile};

use super::shape::{Shape, Writes};

/// Few vBuckets, one replica, and a third node to move copies to.
pub(crate) const MOVING: Shape = Shape {
    nodes: 3,
    replicas: 1,
    vbuckets: 5,
    engine: EngineKind::Couchstore,
    writes: Writes::Made(Distribution::Latest, 500, 256),
    ops: 3_000,
    seconds: 20,
    quota_bytes: 4 << 20,
    kinds: &FaultKind::ALL,
    interval_micros: Profile::Hostile.interval_micros(),
};

/// Many nodes, many vBuckets.
pub(crate) const WIDE: Shape = Shape {
    nodes: 7,
    replicas: 2,
    vbuckets: 32,
    seconds: 5,
    ..MOVING
};

pub(crate) const ETC: Writes = Writes::Measured(Preset::Etc { keys: 500 });
const ZIPPYDB: Writes = Writes::Measured(Preset::ZippyDb);

fn check(shape: Shape, seeds: &[u64]) {
    for &seed in seeds {
        assert_eq!(shape.broken(seed), None, "seed {seed} of {shape:?}");
    }
}

/// W2, W4, W14, W18. Found by seeds 716006, 805173, 808118, 815005, 820027 and 900006: a failed
/// drop was tried again after the copy had been made again, and removed the new copy. Until then
/// readers saw data that should have been dropped.
#[test]
fn copy_made_again_is_dropped_first() {
    check(MOVING, &[815_005]);
    check(
        Shape {
            writes: ETC,
            ..MOVING
        },
        &[805_173],
    );
    check(
        Shape {
            writes: ETC,
            engine: EngineKind::Logstor,
            ..MOVING
        },
        &[820_027],
    );
    check(
        Shape {
            nodes: 4,
            replicas: 2,
            vbuckets: 3,
            writes: ZIPPYDB,
            seconds: 5,
            ..MOVING
        },
        &[808_118],
    );
    let five = Shape {
        nodes: 5,
        replicas: 3,
        vbuckets: 7,
        engine: EngineKind::Logstor,
        ..MOVING
    };
    let writes = Writes::Made(Distribution::Latest, 400, 100);
    check(
        Shape {
            writes,
            ops: 4_000,
            seconds: 5,
            ..five
        },
        &[716_006],
    );
    let writes = Writes::Made(Distribution::Zipfian, 50, 256);
    check(
        Shape {
            vbuckets: 2,
            writes,
            ops: 20_000,
            seconds: 60,
            ..MOVING
        },
        &[900_006],
    );
}

/// W1. Found by seed 815184: a store was reopened after its vBucket had rolled back and before its
/// node had.
#[test]
fn store_reopened_during_a_rollback_keeps_w1() {
    check(MOVING, &[815_184]);
}

/// W9. Found by seed 815057: the store was reopened when the name of a compaction's file was not
/// durable yet. The older file was removed, and then the power failed: nothing was left of the
/// vBucket.
#[test]
fn older_file_is_removed_once_the_newer_name_is_durable() {
    check(MOVING, &[815_057]);
}

/// Found by seed 814025: a power loss left one byte of a commit's last chunk, which said that the
/// chunk was empty. The commit was taken for whole, and could not be read.
#[test]
fn commit_with_one_byte_left_is_not_a_commit() {
    check(WIDE, &[814_025]);
}

/// Found by seed 825199: the power failed at a moment that the world did not check, and was off at
/// the end of the run.
#[test]
fn machine_without_power_goes_down() {
    check(
        Shape {
            writes: ZIPPYDB,
            engine: EngineKind::Logstor,
            ..MOVING
        },
        &[825_199],
    );
}
