//! Bugs that systems like this one have had, switched on one at a time: the simulator must find each within a few seeds.
//!
//! A simulator that finds nothing proves nothing until it has found what is there. Without a switch the same seeds are clean.

use std::ops::RangeInclusive;

use checkpoint::QuotaConfig;
use dcp_sim::input::Distribution;
use dcp_sim::sim::{EngineKind, FaultKind, Profile};

use crate::shape::{Shape, Writes};
use crate::shapes;
use crate::swarm;

/// A switch, and the crate it is in.
#[derive(Clone, Copy, Debug)]
enum Bug {
    Memory(checkpoint::fault::Fault),
    Store(persistence::fault::Fault),
    Stream(dcp_sim::fault::Fault),
}

/// Which clusters a bug is looked for in.
#[derive(Clone, Copy, Debug)]
enum Clusters {
    /// Of the usual shape.
    Usual,
    /// Drawn, but for these settings.
    Drawn(&'static str),
    /// Of the shape in which one seed of many found it when it was there.
    Of(Shape),
}

/// Copies that are promoted and moved while they flush slowly.
const SLOW: Clusters = Clusters::Drawn(
    "nodes=3,replicas=2,vbuckets=2,ops=600,keys=60,value-bytes=100,duration=2s,clients=0,flush-items=3,slow-disk=30ms,\
     fail-over=60ms,crash=200ms,memory=80ms,move=80ms,checkpoint-bytes=2K",
);

/// Streams that are cut, to replicas and to foreign clients of any temper.
const FOLLOWED: Clusters = Clusters::Drawn(
    "nodes=3,replicas=2,vbuckets=2,ops=600,keys=40,value-bytes=100,duration=1s,clients=3,memory=40ms,slow-consumer=50ms,\
     partition=100ms,fail-over=100ms,crash=150ms",
);

/// Many vBuckets and few writes, so that none comes later to a vBucket whose stream was forgotten.
const SELDOM_WRITTEN: Clusters = Clusters::Drawn("clients=3,memory=30ms,slow-consumer=50ms,ops=200");

/// What can be switched on, where it is looked for, and by which seeds it must be found.
fn bugs() -> [(Bug, Clusters, RangeInclusive<u64>); 21] {
    use Clusters::{Of, Usual};
    use checkpoint::fault::Fault as Memory;
    use dcp_sim::fault::Fault as Stream;
    use persistence::fault::Fault as Store;
    let etc = Shape { writes: shapes::ETC, ..shapes::MOVING };
    [
        (Bug::Memory(Memory::ExpelToTheHighest), Usual, 1..=100),
        (Bug::Memory(Memory::FlushHoldsNothing), Usual, 1..=100),
        (Bug::Memory(Memory::BranchInsideASnapshot), Usual, 1..=100),
        (Bug::Memory(Memory::FullQuotaIsIgnored), Usual, 1..=100),
        (Bug::Memory(Memory::WhatAnActiveFlushesIsWhole), SLOW, 1..=100),
        (Bug::Store(Store::NamesAreNotSynced), Usual, 1..=100),
        (Bug::Store(Store::AcknowledgedBeforeItIsDurable), Usual, 1..=100),
        (Bug::Store(Store::NewRevisionIsNotMadeDurable), Of(shapes::MOVING), 815_057..=815_057),
        (Bug::Store(Store::TornCommitIsWhole), Of(shapes::WIDE), 814_025..=814_025),
        (Bug::Stream(Stream::WakeUpIsLost), Usual, 1..=100),
        (Bug::Stream(Stream::RollbackForgetsTheDisk), Usual, 1..=100),
        (Bug::Stream(Stream::HandOverSkipsOne), Usual, 1..=100),
        (Bug::Stream(Stream::MarkerEndsEarly), Usual, 1..=100),
        (Bug::Stream(Stream::PurgeIsForgotten), Usual, 1..=100),
        (Bug::Stream(Stream::ReplicasShowMemory), Usual, 1..=100),
        (Bug::Stream(Stream::CrashedActiveKeepsItsBranch), Usual, 1..=100),
        (Bug::Stream(Stream::BranchChangesUnderStreams), Usual, 1..=100),
        (Bug::Stream(Stream::FailedCallGoesLast), Of(etc), 805_173..=805_173),
        (Bug::Stream(Stream::ReopenedIsTakenAtItsWord), Of(shapes::MOVING), 815_184..=815_184),
        (Bug::Stream(Stream::CutSnapshotStartsAnew), FOLLOWED, 1..=100),
        (Bug::Stream(Stream::DroppedCursorWakesNobody), SELDOM_WRITTEN, 166..=166),
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
    checkpoint::fault::switch(memory);
    persistence::fault::switch(store);
    dcp_sim::fault::switch(stream);
}

/// A small hostile run.
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

/// What is wrong with a seed's run, if anything.
fn broken(clusters: Clusters, seed: u64) -> Option<String> {
    match clusters {
        Clusters::Usual => shape().broken(seed),
        Clusters::Of(shape) => shape.broken(seed),
        Clusters::Drawn(settings) => swarm::broken(seed, &swarm::shape(settings)),
    }
}

/// The first seed that is broken with it and clean without, and how.
fn find(bug: Bug, clusters: Clusters, mut seeds: RangeInclusive<u64>) -> Option<(u64, String)> {
    seeds.find_map(|seed| {
        switch(Some(bug));
        let with = broken(clusters, seed);
        switch(None);
        with.filter(|_| broken(clusters, seed).is_none()).map(|how| (seed, how))
    })
}

/// Guards the simulator's eyes.
#[test]
fn each_known_bug_is_found() {
    for (bug, clusters, seeds) in bugs() {
        assert!(find(bug, clusters, seeds.clone()).is_some(), "{bug:?} was not found by {seeds:?}");
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
