//! E24 to E26: preallocated zeros for small commits, under every failure and power loss.

use lowtide_checkpoint::{Item, Seqno};

use crate::contract::{Engine, EngineError};
use crate::couchstore::config::{CommitMode, CouchstoreConfig};
use crate::couchstore::engine::Couchstore;
use crate::couchstore::tests::support::{
    Contents, VB, apply, commit, contents, dir, file, noise, open, open_with, set,
};
use crate::couchstore::tools::CouchFile;
use crate::disk::{Access, Disk, Fault, FaultyDisk, MemoryDisk, PowerLoss};

/// A large commit, then small ones, which use the zeros that earlier ones preallocated.
fn history() -> Vec<Vec<Item>> {
    let large = (1..=60)
        .map(|seqno| set(seqno, &format!("large-{seqno}"), &noise(5000)))
        .collect();
    let small = |n: u64| {
        let from = 61 + n * 3;
        (from..from + 3)
            .map(|seqno| set(seqno, &format!("{}", seqno * 7 % 20), &noise(900)))
            .collect()
    };
    std::iter::once(large).chain((0..11).map(small)).collect()
}

/// The content after each number of batches.
fn stages() -> Vec<Contents> {
    let mut stages = vec![Contents::new()];
    for batch in history() {
        stages.push(apply(stages.last().expect("one"), &batch));
    }
    stages
}

/// Returns the file's size, and the bytes of it behind the newest commit.
fn room(disk: &impl Disk) -> (u64, u64) {
    let len = disk
        .open(&file(), Access::ReadOnly)
        .expect("there")
        .len()
        .expect("known");
    let header = CouchFile::open_read_only(disk, &file())
        .expect("opens")
        .header()
        .position;
    // A header is shorter than the rest of its block.
    (
        len,
        len.saturating_sub(header.next_multiple_of(4096) + 4096),
    )
}

/// Returns the bytes at and behind a position.
fn behind(disk: &impl Disk, position: u64) -> Vec<u8> {
    let file = disk.open(&file(), Access::ReadOnly).expect("there");
    let mut bytes = vec![0; (file.len().expect("known") - position) as usize];
    file.read_at(&mut bytes, position).expect("readable");
    bytes
}

/// Commits the rest of the history. Returns the number of acknowledged commits in all.
fn go_on(engine: &Couchstore, from: usize) -> (usize, Result<(), EngineError>) {
    for (index, batch) in history().iter().enumerate().skip(from) {
        if let Err(error) = commit(engine, VB, batch) {
            return (index, Err(error));
        }
    }
    (history().len(), Ok(()))
}

fn run(disk: &FaultyDisk) -> (Option<usize>, Result<(), EngineError>) {
    let begun = || {
        let (engine, _) = open(disk)?;
        engine.create(VB)?;
        Ok(engine)
    };
    match begun() {
        Err(error) => (None, Err(error)),
        Ok(engine) => {
            let (acknowledged, result) = go_on(&engine, 0);
            (Some(acknowledged), result.and_then(|()| engine.close()))
        }
    }
}

#[test]
fn small_commits_keep_the_files_length_and_closing_cuts_it() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    let (mut lengths, mut rooms) = (Vec::new(), Vec::new());
    for batch in history() {
        commit(&engine, VB, &batch).expect("committed");
        let (len, behind) = room(&disk);
        assert!(behind <= len / 8, "{behind} of {len}");
        lengths.push(len);
        rooms.push(behind);
    }
    assert_eq!(rooms[0], 0, "none for a large commit");
    lengths.dedup();
    assert!(
        lengths.len() < history().len() * 2 / 3,
        "{lengths:?}, {rooms:?}"
    );
    assert!(rooms.iter().any(|&behind| behind > 8192), "{rooms:?}");
    commit(&engine, VB, &[set(100, "last", &noise(900))]).expect("committed");
    drop(engine);
    let (engine, report) = open(&disk).expect("opens");
    assert_eq!(
        (room(&disk).1, report.repairs),
        (0, vec![]),
        "it was no damage"
    );
    for n in 101..105 {
        commit(&engine, VB, &[set(n, "last", &noise(900))]).expect("committed");
    }
    assert!(room(&disk).1 > 0);
    engine.close().expect("closed");
    assert_eq!(room(&disk).1, 0);
    assert_eq!(open(&disk).expect("opens").1.repairs, []);
}

#[test]
fn commits_with_two_syncs_preallocate_nothing() {
    let disk = MemoryDisk::new();
    let config = CouchstoreConfig {
        commit: CommitMode::TwoPhase,
        ..CouchstoreConfig::default()
    };
    let (engine, _) = open_with(&disk, config).expect("opens");
    engine.create(VB).expect("created");
    for batch in history() {
        commit(&engine, VB, &batch).expect("committed");
        assert_eq!(room(&disk).1, 0);
    }
}

#[test]
fn power_loss_at_any_io_with_preallocation_keeps_what_was_acknowledged() {
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(matches!(run(&counting), (Some(12), Ok(()))));
    let stages = stages();
    for nth in 1..=counting.io_count() {
        for keep in [PowerLoss::DropUnsynced, PowerLoss::KeepUnsynced]
            .into_iter()
            .chain((0..4).map(|seed| PowerLoss::Random { seed }))
        {
            let what = format!("power off at {nth}, {keep:?}");
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.power_off_at_io(nth);
            let (acknowledged, result) = run(&disk);
            assert!(result.is_err(), "{what}");
            disk.crash(keep);
            let (engine, _) = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
            let Some(acknowledged) = acknowledged else {
                continue;
            };
            assert_eq!(room(&disk).1, 0, "{what}: opening cuts the room off");
            let found = contents(&engine, VB);
            let stage = (acknowledged..stages.len())
                .take(2)
                .find(|&stage| stages[stage] == found);
            let stage = stage.unwrap_or_else(|| panic!("{what}: {acknowledged} acknowledged"));
            assert!(go_on(&engine, stage).1.is_ok(), "{what}");
            assert_eq!(contents(&engine, VB), stages[12], "{what}");
        }
    }
}

#[test]
fn failures_never_mix_zeros_and_commits() {
    let counting = FaultyDisk::new(MemoryDisk::new());
    let _ = run(&counting);
    let stages = stages();
    for nth in 1..=counting.io_count() {
        for fault in [
            Fault::Eio,
            Fault::Enospc,
            Fault::Torn { bytes: 5200 },
            Fault::EioPersisted,
        ] {
            let what = format!("{fault:?} at {nth}");
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.fail_io(nth, fault);
            let Ok((mut engine, _)) = open(&disk) else {
                continue;
            };
            if engine.create(VB).is_err() {
                continue;
            }
            let mut stage = 0;
            while stage < history().len() {
                let (acknowledged, result) = go_on(&engine, stage);
                stage = acknowledged;
                if result.is_err() {
                    assert_eq!(
                        contents(&engine, VB),
                        stages[stage],
                        "{what}: a failed batch is invisible"
                    );
                }
                let settled = commit(&engine, VB, &[]);
                if settled.is_ok() {
                    let end = engine.stats()["file-bytes"];
                    assert!(
                        behind(&disk, end).iter().all(|&byte| byte == 0),
                        "{what}: only zeros lie behind"
                    );
                }
                if matches!(settled, Err(EngineError::Poisoned { .. })) {
                    drop(engine);
                    engine = open(&disk).expect("the fault strikes once").0;
                    let found = contents(&engine, VB);
                    stage += usize::from(found != stages[stage]);
                    assert_eq!(found, stages[stage], "{what}");
                }
            }
            disk.crash(PowerLoss::DropUnsynced);
            assert_eq!(
                contents(&open(&disk).expect("opens").0, VB),
                stages[12],
                "{what}"
            );
        }
    }
}

/// The first write of zeros fails and leaves some of them. That commit is acknowledged, and so are
/// later ones.
#[test]
fn failed_preallocation_fails_no_commit() {
    let roomy = MemoryDisk::new();
    let (engine, _) = open(&roomy).expect("opens");
    engine.create(VB).expect("created");
    assert!(go_on(&engine, 0).1.is_ok());
    engine.close().expect("closed");
    let needed_bytes = roomy.usage().allocated_bytes;
    for spare_bytes in [0, 4096, 8192, 20_000] {
        let disk = MemoryDisk::with_capacity_bytes(needed_bytes + spare_bytes);
        let (engine, _) = open(&disk).expect("opens");
        engine.create(VB).expect("created");
        let (acknowledged, result) = go_on(&engine, 0);
        assert!(
            result.is_ok(),
            "{spare_bytes} to spare, {acknowledged} committed: {result:?}"
        );
        assert_eq!(engine.info(VB).expect("there").high, Seqno(93));
    }
    assert_eq!(roomy.list(&dir()).expect("listed"), ["7.couch.1"]);
}
