//! Bugs that systems like this one have had, switched on one at a time: the simulator must find each within a few seeds.
//!
//! A simulator that finds nothing proves nothing until it has found what is there. Without a switch the same seeds are clean.

use checkpoint::QuotaConfig;
use dcp_sim::input::{Distribution, GeneratedSource};
use dcp_sim::node::NodeConfig;
use dcp_sim::sim::{ClusterConfig, FaultConfig, FaultKind, Profile, Silent, Storage, World};

/// A switch, and the crate it is in.
#[derive(Clone, Copy, Debug)]
enum Bug {
    Memory(checkpoint::fault::Fault),
    Store(persistence::fault::Fault),
    Stream(dcp_sim::fault::Fault),
}

/// What can be switched on, and within how many seeds it must be found.
fn bugs() -> [(Bug, u64); 15] {
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
        (Bug::Stream(Stream::CutSnapshotStartsAnew), 300),
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

/// What is wrong with a seed's run, if anything.
fn broken(seed: u64) -> Option<String> {
    let faults = FaultConfig {
        kinds: FaultKind::ALL.into_iter().collect(),
        interval_micros: Profile::Hostile.interval_micros(),
        duration_micros: 2_000_000,
        ..FaultConfig::default()
    };
    let node = NodeConfig { quota: Some(QuotaConfig::default()), ..NodeConfig::default() };
    let config = ClusterConfig { seed, vbuckets: 4, faults: Some(faults), node, ..ClusterConfig::default() };
    let source = GeneratedSource::new(Distribution::Zipfian, 2_000, 100, 64, seed).expect("valid");
    let world = World::new(config, &Storage::Memory, Box::new(source)).expect("a cluster");
    match world.run(&mut Silent, None) {
        Ok(report) if report.is_clean() => None,
        Ok(report) => {
            let broken = report.verdicts.iter().filter(|verdict| !verdict.holds());
            Some(broken.map(|verdict| verdict.invariant).collect::<Vec<_>>().join(", "))
        }
        Err(error) => Some(error.to_string()),
    }
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
