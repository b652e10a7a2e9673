//! A failure at every I/O of a small history, and two in a row: a batch is in or out, as a whole.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Datatype, Item};

use crate::contract::{Engine, EngineError};
use crate::couchstore::config::{CommitMode, CouchstoreConfig};
use crate::couchstore::format::FormatVersion;
use crate::couchstore::tests::support::{
    Contents, VB, apply, commit, contents, open, open_with, set,
};
use crate::disk::{Fault, FaultyDisk, MemoryDisk, PowerLoss};

use super::script::{check_after, has_vbucket, history, keeps, run, stages};

/// Runs the history to its end in spite of failures. A failed batch is repeated, or left out for
/// good.
fn struggle(
    disk: &FaultyDisk,
    config: CouchstoreConfig,
    again: bool,
    what: &str,
) -> (Contents, bool) {
    let open = |disk| open_with(disk, config);
    let mut expected = Contents::new();
    let mut failed = false;
    let mut engine = match open(disk) {
        Ok((engine, _)) => engine,
        Err(_) => open(disk).expect("the fault strikes once").0,
    };
    while !has_vbucket(&engine) {
        match engine.create(VB) {
            Ok(()) | Err(EngineError::VBucketExists { .. }) => {}
            Err(EngineError::Poisoned { .. }) => {
                drop(engine);
                engine = open(disk).expect("opens").0;
            }
            Err(_) => failed = true,
        }
    }
    for batch in history() {
        let mut result = commit(&engine, VB, &batch);
        if let Err(error) = &result {
            failed = true;
            assert_eq!(
                contents(&engine, VB),
                expected,
                "{what}: a failed batch is invisible: {error}"
            );
            if again {
                result = commit(&engine, VB, &batch);
            }
            let poisoned = matches!(commit(&engine, VB, &[]), Err(EngineError::Poisoned { .. }));
            if poisoned {
                assert!(again || result.is_err());
                assert_eq!(contents(&engine, VB), expected, "{what}: reads go on");
                drop(engine);
                engine = open(disk).expect("opens").0;
                let found = contents(&engine, VB);
                let whole = apply(&expected, &batch);
                assert!(found == expected || found == whole, "{what}");
                if found == whole {
                    expected = whole;
                    continue;
                }
                if again {
                    result = commit(&engine, VB, &batch);
                }
            }
            assert_eq!(result.is_ok(), again, "{what}");
        }
        if result.is_ok() {
            expected = apply(&expected, &batch);
        }
        assert_eq!(contents(&engine, VB), expected, "{what}");
    }
    (expected, failed)
}

const FAULTS: [Fault; 5] = [
    Fault::Eio,
    Fault::Enospc,
    Fault::Torn { bytes: 1 },
    Fault::Torn { bytes: 5200 },
    Fault::EioPersisted,
];

fn any_failure(config: CouchstoreConfig) {
    let counting = FaultyDisk::new(MemoryDisk::new());
    let _ = run(&counting, config);
    let (mut runs, mut struck) = (0, 0);
    for (nth, fault) in (1..=counting.io_count()).flat_map(|nth| FAULTS.map(|fault| (nth, fault))) {
        for again in [false, true] {
            // One of the three each run: every I/O meets all of them.
            runs += 1;
            let keep = [
                PowerLoss::DropUnsynced,
                PowerLoss::KeepUnsynced,
                PowerLoss::Random { seed: nth },
            ][runs % 3];
            let what = format!("{fault:?} at {nth}, tried again: {again}, {keep:?}");
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.fail_io(nth, fault);
            let (expected, failed) = struggle(&disk, config, again, &what);
            struck += usize::from(failed);
            disk.clear_faults();
            disk.crash(keep);
            let (engine, _) = open(&disk).expect("opens");
            assert_eq!(contents(&engine, VB), expected, "{what}");
        }
    }
    assert!(struck > 100, "{struck}");
}

#[test]
fn any_failure_leaves_the_batch_in_or_out() {
    any_failure(CouchstoreConfig::default());
}

#[test]
fn any_failure_leaves_the_batch_in_or_out_with_two_syncs() {
    any_failure(CouchstoreConfig {
        commit: CommitMode::TwoPhase,
        ..CouchstoreConfig::default()
    });
}

#[test]
fn any_failure_leaves_the_batch_in_or_out_in_older_versions() {
    for version in [FormatVersion::V12, FormatVersion::V13] {
        any_failure(CouchstoreConfig {
            version,
            ..CouchstoreConfig::default()
        });
    }
}

#[test]
fn failed_batch_and_the_next_never_mix() {
    // The body ends with the first sector and is not compressed, so the bytes behind it could be
    // the other batch's.
    let batch = |byte: u8| {
        let value = [byte; 512 - 48 - 8];
        vec![Item {
            datatype: Datatype::SNAPPY,
            flags: u32::from(byte),
            ..set(1, "key", &value)
        }]
    };
    let (first, second) = (batch(1), batch(2));
    let mut seen = BTreeMap::new();
    for seed in 0..300 {
        let disk = FaultyDisk::new(MemoryDisk::new());
        let (engine, _) = open(&disk).expect("opens");
        engine.create(VB).expect("created");
        disk.fail_write(1, Fault::EioPersisted);
        assert!(commit(&engine, VB, &first).is_err());
        disk.power_off_at_io(1 + seed % 4);
        let _ = commit(&engine, VB, &second);
        drop(engine);
        disk.crash(PowerLoss::Random { seed });
        let (engine, _) = open(&disk).expect("opens");
        let found = contents(&engine, VB);
        let which = [
            Contents::new(),
            apply(&Contents::new(), &first),
            apply(&Contents::new(), &second),
        ];
        let which = which.iter().position(|whole| *whole == found);
        assert!(which.is_some(), "a mixture with seed {seed}");
        *seen.entry(which).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 3, "each outcome is met: {seen:?}");
}

#[test]
fn two_failures_in_a_row_lose_nothing() {
    let counting = FaultyDisk::new(MemoryDisk::new());
    let _ = run(&counting, CouchstoreConfig::default());
    for nth in 6..=counting.io_count() {
        for gap in 1..4 {
            for fault in [Fault::Eio, Fault::EioPersisted, Fault::Torn { bytes: 5200 }] {
                let what = format!("{fault:?} at {nth} and {gap} later");
                let disk = FaultyDisk::new(MemoryDisk::new());
                disk.fail_io(nth, fault);
                disk.fail_io(nth + gap, fault);
                let (expected, acknowledged) = stubborn(&disk);
                assert_eq!(acknowledged, 6, "{what}");
                disk.clear_faults();
                disk.crash(PowerLoss::DropUnsynced);
                let (engine, _) = open(&disk).expect("opens");
                assert_eq!(contents(&engine, VB), expected, "{what}");
            }
        }
    }
}

/// Repeats each batch until it is committed, and reopens a poisoned store, as the flusher does.
fn stubborn(disk: &FaultyDisk) -> (Contents, usize) {
    let reopen = || {
        (0..3)
            .find_map(|_| open(disk).ok())
            .expect("opens at last")
            .0
    };
    let mut engine = reopen();
    while !has_vbucket(&engine) {
        if let Err(EngineError::Poisoned { .. }) = engine.create(VB) {
            drop(engine);
            engine = reopen();
        }
    }
    let (mut expected, mut done) = (Contents::new(), 0);
    for batch in history() {
        loop {
            match commit(&engine, VB, &batch) {
                Ok(_) => break,
                Err(EngineError::Poisoned { .. }) => {
                    drop(engine);
                    engine = reopen();
                    if contents(&engine, VB) == apply(&expected, &batch) {
                        break;
                    }
                }
                Err(_) => {}
            }
            assert_eq!(contents(&engine, VB), expected);
        }
        expected = apply(&expected, &batch);
        done += 1;
    }
    (expected, done)
}

#[test]
fn failed_sync_poisons_and_reopening_shows_durable_content() {
    for nth in 1..=history().len() as u64 {
        for keep in keeps() {
            let disk = FaultyDisk::new(MemoryDisk::new());
            let (engine, _) = open(&disk).expect("opens");
            engine.create(VB).expect("created");
            disk.fail_sync(nth);
            let mut acknowledged = 0;
            let mut batches = history().into_iter();
            let failed = batches.by_ref().find(|batch| {
                let result = commit(&engine, VB, batch);
                acknowledged += usize::from(result.is_ok());
                result.is_err()
            });
            assert!(failed.is_some());
            for batch in batches {
                assert!(matches!(
                    commit(&engine, VB, &batch),
                    Err(EngineError::Poisoned { .. })
                ));
            }
            assert!(matches!(
                engine.create(lowtide_checkpoint::Vbid(8)),
                Err(EngineError::Poisoned { .. })
            ));
            assert!(matches!(
                engine.drop_vbucket(VB),
                Err(EngineError::Poisoned { .. })
            ));
            assert_eq!(contents(&engine, VB), stages()[acknowledged], "reads go on");
            assert!(engine.close().is_err());
            drop(engine);
            let (engine, _) = open(&disk).expect("opens");
            let shown = check_after(&engine, Some(acknowledged), "reopened");
            drop(engine);
            disk.crash(keep);
            let (engine, _) = open(&disk).expect("opens");
            assert_eq!(check_after(&engine, Some(acknowledged), "crashed"), shown);
        }
    }
}
