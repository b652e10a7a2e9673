//! Bugs that systems like this one have had, switched on one at a time: the simulator must find each within a few seeds.
//!
//! A simulator that finds nothing proves nothing until it has found what is there. Without a switch the same seeds are clean.

use checkpoint::QuotaConfig;
use dcp_sim::input::Distribution;
use dcp_sim::sim::{EngineKind, FaultKind, Profile};

use crate::shape::{Shape, Writes};

/// A switch, and the crate it is in.
#[derive(Clone, Copy, Debug)]
enum Bug {
    Memory(checkpoint::fault::Fault),
    Store(persistence::fault::Fault),
    Stream(dcp_sim::fault::Fault),
}

/// What can be switched on, and within how many seeds it must be found.
fn bugs() -> [(Bug, u64); 14] {
    use checkpoint::fault::Fault as Memory;
    use dcp_sim::fault::Fault as Stream;
    use persistence::fault::Fault as Store;
    [
        (Bug::Memory(Memory::ExpelToTheHighest), 100),
        (Bug::Memory(Memory::FlushHoldsNothing), 100),
        (Bug::Memory(Memory::BranchInsideASnapshot), 100),
        (Bug::Memory(Memory::FullQuotaIsIgnored), 100),
        (Bug::Store(Store::NamesAreNotSynced), 100),
        (Bug::Store(Store::AcknowledgedBeforeItIsDurable), 100),
        (Bug::Stream(Stream::WakeUpIsLost), 100),
        (Bug::Stream(Stream::RollbackForgetsTheDisk), 100),
        (Bug::Stream(Stream::HandOverSkipsOne), 100),
        (Bug::Stream(Stream::MarkerEndsEarly), 100),
        (Bug::Stream(Stream::PurgeIsForgotten), 100),
        (Bug::Stream(Stream::ReplicasShowMemory), 100),
        (Bug::Stream(Stream::CrashedActiveKeepsItsBranch), 100),
        (Bug::Stream(Stream::BranchChangesUnderStreams), 100),
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
fn broken(seed: u64) -> Option<String> {
    shape().broken(seed)
}

/// The first seed that is broken with it and clean without, and how.
fn find(bug: Bug, seeds: u64) -> Option<(u64, String)> {
    (1..=seeds).find_map(|seed| {
        switch(Some(bug));
        let with = broken(seed);
        switch(None);
        with.filter(|_| broken(seed).is_none()).map(|how| (seed, how))
    })
}

/// Guards the simulator's eyes.
#[test]
fn each_known_bug_is_found() {
    for (bug, seeds) in bugs() {
        assert!(find(bug, seeds).is_some(), "{bug:?} was not found in {seeds} seeds");
    }
}

/// Prints the table of docs/simulation.md.
#[test]
#[ignore = "prints, and asserts nothing"]
fn table_of_known_bugs() {
    for (bug, _) in bugs() {
        match find(bug, 300) {
            Some((seed, how)) => println!("| {bug:?} | {seed} | {how} |"),
            None => println!("| {bug:?} | not in 300 | |"),
        }
    }
}
