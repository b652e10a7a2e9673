//! The manifest over a long time: it stays small, and a rewrite of it loses nothing, whatever fails
//! meanwhile.

use std::path::Path;

use super::support::{A, B, audit, commit, contents, open, set};
use crate::contract::{Engine, EngineError};
use crate::disk::{Access, Disk, Fault, FaultyDisk, MemoryDisk, PowerLoss};
use crate::logstor::Logstor;

fn generation(engine: &Logstor) -> u64 {
    engine.store.log.manifest.lock().generation()
}

fn manifest_bytes(disk: &FaultyDisk) -> u64 {
    let file = disk
        .open(Path::new("/store/MANIFEST"), Access::ReadOnly)
        .expect("there");
    file.len().expect("known")
}

fn fresh() -> (FaultyDisk, Logstor) {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let (engine, _) = open(&disk).expect("opens");
    engine.create(A).expect("created");
    commit(&engine, A, &[set(1, "a", b"1")]).expect("committed");
    (disk, engine)
}

/// Creates or drops a vBucket by turns. Returns whether it exists afterwards.
fn edit(engine: &Logstor) -> Result<bool, EngineError> {
    let is_there = engine.vbuckets().contains(&B);
    if is_there {
        engine.drop_vbucket(B)
    } else {
        engine.create(B)
    }
    .map(|()| !is_there)
}

/// Returns the number of edits until the manifest is rewritten, and the I/O range of the last edit.
fn until_made_anew() -> (usize, u64, u64) {
    let (disk, engine) = fresh();
    let start = disk.io_count();
    let (mut edits, mut before) = (0, 0);
    let (bytes, first) = (manifest_bytes(&disk), generation(&engine));
    while generation(&engine) == first {
        before = disk.io_count();
        edit(&engine).expect("done");
        edits += 1;
        assert!(edits < 10_000, "it goes on for ever");
    }
    assert_eq!(manifest_bytes(&disk), bytes);
    (edits, before - start, disk.io_count() - start)
}

#[test]
fn manifest_stays_small_and_is_rewritten_safely() {
    let (edits, first, last) = until_made_anew();
    assert_eq!(
        last - first,
        4,
        "{first}..{last}: it was rewritten: two writes and two syncs"
    );
    let faults = [
        None,
        Some(Fault::Eio),
        Some(Fault::Enospc),
        Some(Fault::EioPersisted),
    ];
    for (nth, fault) in (first + 1..=last).flat_map(|nth| faults.map(|fault| (nth, fault))) {
        let what = format!("{fault:?} at {nth}");
        let (disk, engine) = fresh();
        match fault {
            None => disk.power_off_at_io(nth),
            Some(fault) => disk.fail_io(nth, fault),
        }
        let (mut is_there, mut failed) = (false, false);
        for _ in 0..edits {
            match edit(&engine) {
                Ok(now) => is_there = now,
                Err(_) => failed = true,
            }
        }
        if fault.is_some() {
            // The store is poisoned and says so, or goes on.
            let committed = commit(&engine, A, &[set(2, "a", b"2")]);
            assert!(
                committed.is_ok() || committed.is_err_and(|error| error.kind() == "poisoned"),
                "{what}"
            );
        }
        let high = engine.info(A).expect("there").high;
        drop(engine);
        disk.clear_faults();
        disk.crash(
            [
                PowerLoss::DropUnsynced,
                PowerLoss::KeepUnsynced,
                PowerLoss::Random { seed: nth },
            ][nth as usize % 3],
        );
        let (engine, _) = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(engine.info(A).expect("there").high, high, "{what}");
        assert_eq!(contents(&engine, A).len(), 1, "{what}");
        assert!(
            failed || engine.vbuckets().contains(&B) == is_there,
            "{what}"
        );
        audit(&engine, true);
    }
}
