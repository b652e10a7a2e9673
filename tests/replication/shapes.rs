//! Seeds that were broken in clusters of other shapes than the usual one: few replicas, few vBuckets, many nodes, long runs.

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

/// W2, W4, W14, W18. Found by these seeds: a drop that failed was tried again after the copy had been made anew, and took that
/// away; until then readers were shown what should have been gone.
#[test]
fn a_copy_is_dropped_before_it_is_made_anew() {
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

/// W1. Found by this seed: a store was opened anew after its vBucket had gone back and before its node knew.
#[test]
fn a_store_that_is_opened_anew_in_the_middle_of_a_rollback_says_nothing_of_it() {
    check(MOVING, &[815_184]);
}

/// W9. Found by this seed: a compaction's file had its name, not durably, when the store was opened anew; the file before was
/// removed, and then the power failed: nothing was left of the vBucket.
#[test]
fn the_file_before_goes_when_the_name_of_the_next_is_durable() {
    check(MOVING, &[815_057]);
}

/// Found by this seed: of the last chunk of a commit a power loss had left one byte, which said that the chunk was empty; the
/// commit was taken for whole, and could not be read.
#[test]
fn a_commit_of_which_a_byte_is_left_is_none() {
    check(WIDE, &[814_025]);
}

/// Found by this seed: the power had failed where the world did not look, and was off when the run was over.
#[test]
fn a_machine_without_power_goes_down() {
    check(
        Shape {
            writes: ZIPPYDB,
            engine: EngineKind::Logstor,
            ..MOVING
        },
        &[825_199],
    );
}
