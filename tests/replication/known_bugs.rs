//! Known bugs, switched on one at a time: the simulator must find each within a few seeds.
//!
//! A simulator that finds nothing proves nothing until it has found bugs that exist. Systems like
//! this one have had these. Without a switch the same seeds are clean.

use std::ops::RangeInclusive;

use dcp_sim::input::Distribution;
use dcp_sim::sim::{EngineKind, FaultKind, Profile};
use lowtide_checkpoint::QuotaConfig;

use crate::shape::{Shape, Writes};
use crate::{shapes, swarm};

/// Switch of a bug, with the crate that has it.
#[derive(Clone, Copy, Debug)]
enum Bug {
    Memory(lowtide_checkpoint::fault::Fault),
    Store(lowtide_persistence::fault::Fault),
    Stream(dcp_sim::fault::Fault),
}

/// Clusters in which a bug is searched for.
#[derive(Clone, Copy, Debug)]
enum Clusters {
    /// Clusters of the usual shape.
    Usual,
    /// Drawn clusters, with these settings fixed.
    Drawn(&'static str),
    /// Clusters of the shape in which one seed of many found the bug.
    Of(Shape),
}

/// Settings of copies that are promoted and moved while they flush slowly.
const SLOW: Clusters = Clusters::Drawn(
    "nodes=3,replicas=2,vbuckets=2,ops=600,keys=60,value-bytes=100,duration=2s,clients=0,flush-items=3,slow-disk=30ms,\
     fail-over=60ms,crash=200ms,memory=80ms,move=80ms,checkpoint-bytes=2K",
);

/// Settings of streams that are cut, to replicas and to foreign clients of every kind.
const FOLLOWED: Clusters = Clusters::Drawn(
    "nodes=3,replicas=2,vbuckets=2,ops=600,keys=40,value-bytes=100,duration=1s,clients=3,memory=40ms,slow-consumer=50ms,\
     partition=100ms,fail-over=100ms,crash=150ms",
);

/// Settings of many vBuckets and few writes, so that no later write hides a stream that stopped.
const QUIET: Clusters = Clusters::Drawn("clients=3,memory=30ms,slow-consumer=50ms,ops=200");

/// Settings of copies that come and go on disks that fail.
const MOVED: Clusters = Clusters::Drawn(
    "nodes=4,replicas=1,vbuckets=3,ops=400,keys=60,value-bytes=100,duration=3s,clients=0,move=40ms,disk-error=25ms,crash=700ms",
);

/// Settings of nodes that keep nothing in memory which is on disk, and of keys that are written often.
const FORGETFUL: Clusters = Clusters::Drawn("cache-bytes=0,keys=3,ops=2000,duration=1s");

/// Settings of files that are compacted while the power fails.
const COMPACTED: Clusters = Clusters::Drawn(
    "engine=couchstore,nodes=2,replicas=1,vbuckets=2,ops=2000,keys=40,value-bytes=200,duration=3s,clients=0,compaction=15ms,\
     power-loss=60ms,couchstore-compacted-bytes=0,couchstore-open-files=1",
);

/// Returns every switch, with the clusters and the seeds that must find it.
fn bugs() -> [(Bug, Clusters, RangeInclusive<u64>); 23] {
    use Clusters::{Of, Usual};
    use dcp_sim::fault::Fault as Stream;
    use lowtide_checkpoint::fault::Fault as Memory;
    use lowtide_persistence::fault::Fault as Store;
    [
        (Bug::Memory(Memory::ExpelToTheHighest), Usual, 1..=100),
        (Bug::Memory(Memory::FlushHoldsNothing), Usual, 1..=100),
        (Bug::Memory(Memory::BranchInsideASnapshot), Usual, 101..=150),
        (Bug::Memory(Memory::FullQuotaIsIgnored), Usual, 1..=100),
        (
            Bug::Memory(Memory::WhatAnActiveFlushesIsWhole),
            SLOW,
            1..=100,
        ),
        (Bug::Store(Store::NamesAreNotSynced), Usual, 1..=100),
        (
            Bug::Store(Store::AcknowledgedBeforeItIsDurable),
            Usual,
            1..=100,
        ),
        (Bug::Store(Store::CallBesideItsFlush), Usual, 1..=100),
        (Bug::Store(Store::LateFetchWins), FORGETFUL, 1..=100),
        (
            Bug::Store(Store::NewRevisionIsNotMadeDurable),
            COMPACTED,
            181..=185,
        ),
        (
            Bug::Store(Store::TornCommitIsWhole),
            Of(shapes::WIDE),
            140..=140,
        ),
        (Bug::Stream(Stream::WakeUpIsLost), Usual, 1..=100),
        (Bug::Stream(Stream::RollbackForgetsTheDisk), Usual, 1..=100),
        (Bug::Stream(Stream::HandOverSkipsOne), Usual, 1..=100),
        (Bug::Stream(Stream::MarkerEndsEarly), Usual, 1..=100),
        (Bug::Stream(Stream::PurgeIsForgotten), Usual, 1..=100),
        (Bug::Stream(Stream::ReplicasShowMemory), Usual, 1..=100),
        (
            Bug::Stream(Stream::CrashedActiveKeepsItsBranch),
            Usual,
            1..=100,
        ),
        (
            Bug::Stream(Stream::BranchChangesUnderStreams),
            Usual,
            1..=100,
        ),
        (Bug::Store(Store::FailedCallGoesLast), MOVED, 201..=210),
        (
            Bug::Stream(Stream::ReopenedIsTakenAtItsWord),
            Of(shapes::MOVING),
            1..=50,
        ),
        (
            Bug::Stream(Stream::CutSnapshotStartsAnew),
            FOLLOWED,
            1..=100,
        ),
        (
            Bug::Stream(Stream::DroppedCursorWakesNobody),
            QUIET,
            166..=166,
        ),
    ]
}

fn switch(bug: Option<Bug>) {
    let (mut memory, mut store, mut stream) = (None, None, None);
    match bug {
        Some(Bug::Memory(fault)) => memory = Some(fault),
        Some(Bug::Store(fault)) => store = Some(fault),
        Some(Bug::Stream(fault)) => stream = Some(fault),
        None => {}
    }
    lowtide_checkpoint::fault::switch(memory);
    lowtide_persistence::fault::switch(store);
    dcp_sim::fault::switch(stream);
}

/// Returns the shape of a small hostile run.
fn shape() -> Shape {
    Shape {
        nodes: 3,
        replicas: 2,
        vbuckets: 4,
        engine: EngineKind::Couchstore,
        writes: Writes::Made(Distribution::Zipfian, 100, 64),
        ops: 2_000,
        seconds: 2,
        quota_bytes: QuotaConfig::default().limit_bytes,
        kinds: &FaultKind::ALL,
        interval_micros: Profile::Hostile.interval_micros(),
    }
}

/// Returns the violations of a seed's run; `None` if it is clean.
fn broken(clusters: Clusters, seed: u64) -> Option<String> {
    match clusters {
        Clusters::Usual => shape().broken(seed),
        Clusters::Of(shape) => shape.broken(seed),
        Clusters::Drawn(settings) => swarm::broken(seed, &swarm::shape(settings)),
    }
}

/// Returns the first seed that fails with the bug and is clean without it, and the violations.
fn find(bug: Bug, clusters: Clusters, mut seeds: RangeInclusive<u64>) -> Option<(u64, String)> {
    seeds.find_map(|seed| {
        switch(Some(bug));
        let with = broken(clusters, seed);
        switch(None);
        with.filter(|_| broken(clusters, seed).is_none())
            .map(|how| (seed, how))
    })
}

/// Guards the checks of the simulator.
#[test]
fn each_known_bug_is_found() {
    for (bug, clusters, seeds) in bugs() {
        assert!(
            find(bug, clusters, seeds.clone()).is_some(),
            "{bug:?} was not found by {seeds:?}"
        );
    }
}

/// Prints the table of docs/simulation.md.
#[test]
#[ignore = "prints, and asserts nothing"]
fn table_of_known_bugs() {
    for (bug, clusters, seeds) in bugs() {
        match find(bug, clusters, seeds) {
            Some((seed, how)) => println!("| {bug:?} | {seed} | {how} |"),
            None => println!("| {bug:?} | not found | |"),
        }
    }
}
