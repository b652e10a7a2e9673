//! Power loss and failures at every single I/O of a small history.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Datatype, Item};

use crate::contract::{Engine, EngineError};
use crate::couchstore::config::{CommitMode, CouchstoreConfig};
use crate::couchstore::engine::Couchstore;
use crate::couchstore::format::FormatVersion;
use crate::disk::{Fault, FaultyDisk, Keep, MemoryDisk};

use super::support::{VB, commit, contents, delete, open, open_with, set};

/// Bytes that snappy can't shorten.
pub(super) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    next.take(len).collect()
}

fn history() -> Vec<Vec<Item>> {
    vec![
        vec![
            set(1, "a", b"1"),
            set(2, "b", b"2"),
            set(3, "c", &noise(5000)),
        ],
        vec![set(4, "a", b"4"), delete(5, "b")],
        (6..40)
            .map(|seqno| set(seqno, &format!("key-{seqno}"), &noise(seqno as usize * 9)))
            .collect(),
        vec![
            set(40, "b", b"back"),
            delete(41, "key-7"),
            set(43, "a", &noise(30_000)),
        ],
        vec![delete(44, "a")],
        vec![set(45, "z", b""), set(46, "c", b"{}")],
    ]
}

pub(super) type Contents = BTreeMap<u64, Item>;

pub(super) fn apply(contents: &Contents, batch: &[Item]) -> Contents {
    let mut next = contents.clone();
    for item in batch {
        next.retain(|_, old| old.key != item.key);
        next.insert(item.seqno.0, item.clone());
    }
    next
}

/// What is there after each number of batches.
fn stages() -> Vec<Contents> {
    let mut stages = vec![Contents::new()];
    for batch in history() {
        stages.push(apply(stages.last().expect("one"), &batch));
    }
    stages
}

/// Runs the history until something fails; how many batches were acknowledged, `None` without the vBucket.
fn run(disk: &FaultyDisk, config: CouchstoreConfig) -> (Option<usize>, Result<(), EngineError>) {
    let mut acknowledged = None;
    let mut go = || {
        let (engine, _) = open_with(disk, config)?;
        engine.create(VB)?;
        acknowledged = Some(0);
        for batch in history() {
            commit(&engine, VB, &batch)?;
            acknowledged = acknowledged.map(|count| count + 1);
        }
        engine.close()
    };
    let result = go();
    (acknowledged, result)
}

fn has_vbucket(engine: &Couchstore) -> bool {
    engine.vbuckets() == [VB]
}

/// After any failure: what was acknowledged is there, the batch in flight as a whole or not; how many batches.
fn check_after(engine: &Couchstore, acknowledged: Option<usize>, what: &str) -> Option<usize> {
    if !has_vbucket(engine) {
        assert_eq!(acknowledged, None, "{what}: the vBucket is gone");
        return None;
    }
    let (found, stages) = (contents(engine, VB), stages());
    let least = acknowledged.unwrap_or(0);
    let stage = (least..stages.len().min(least + 2)).find(|&stage| stages[stage] == found);
    assert!(
        stage.is_some(),
        "{what}: {acknowledged:?} acknowledged, found {:?}",
        found.keys()
    );
    stage
}

fn keeps() -> impl Iterator<Item = Keep> {
    [Keep::None, Keep::All]
        .into_iter()
        .chain((0..10).map(|seed| Keep::Random { seed }))
}

fn power_loss(config: CouchstoreConfig) {
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(matches!(run(&counting, config), (Some(6), Ok(()))));
    for nth in 1..=counting.io_count() {
        for keep in keeps() {
            let what = format!("power off at {nth}, {keep:?}");
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.power_off_at_io(nth);
            let (acknowledged, result) = run(&disk, config);
            assert!(result.is_err(), "{what}");
            disk.crash(keep);

            let (engine, _) =
                open_with(&disk, config).unwrap_or_else(|error| panic!("{what}: {error}"));
            let shown = check_after(&engine, acknowledged, &what);
            drop(engine);
            disk.crash(Keep::None);
            let (engine, report) = open_with(&disk, config).expect("opens");
            assert_eq!(report.repairs, [], "{what}: repaired once");
            assert_eq!(
                check_after(&engine, acknowledged, &what),
                shown,
                "{what}: what was shown is durable"
            );

            if shown.is_none() {
                engine.create(VB).expect("created");
            }
            for batch in history().split_off(shown.unwrap_or(0)) {
                commit(&engine, VB, &batch).expect("committed");
            }
            assert_eq!(contents(&engine, VB), stages()[6], "{what}");
        }
    }
}

#[test]
fn power_loss_at_any_io_keeps_what_was_acknowledged() {
    power_loss(CouchstoreConfig::default());
}

#[test]
fn power_loss_at_any_io_keeps_what_was_acknowledged_with_two_syncs() {
    power_loss(CouchstoreConfig {
        commit: CommitMode::TwoPhase,
        ..CouchstoreConfig::default()
    });
}

#[test]
fn power_loss_at_any_io_keeps_what_was_acknowledged_in_older_versions() {
    for version in [FormatVersion::V12, FormatVersion::V13] {
        power_loss(CouchstoreConfig {
            version,
            ..CouchstoreConfig::default()
        });
    }
}

#[test]
fn power_loss_while_recovering_keeps_what_was_acknowledged() {
    let counting = FaultyDisk::new(MemoryDisk::new());
    let _ = run(&counting, CouchstoreConfig::default());
    for (nth, keep) in
        (1..=counting.io_count()).flat_map(|nth| keeps().take(5).map(move |keep| (nth, keep)))
    {
        let broken = || {
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.power_off_at_io(nth);
            let (acknowledged, _) = run(&disk, CouchstoreConfig::default());
            disk.crash(keep);
            (disk, acknowledged)
        };
        let (counting, _) = broken();
        let before = counting.io_count();
        drop(open(&counting).expect("opens"));
        for step in 1..=counting.io_count() - before {
            let (disk, acknowledged) = broken();
            disk.power_off_at_io(step);
            assert!(open(&disk).is_err());
            disk.crash(Keep::Random { seed: step });
            let (engine, _) = open(&disk).expect("opens");
            check_after(
                &engine,
                acknowledged,
                &format!("off at {nth}, {keep:?}, again at {step}"),
            );
        }
    }
}

/// Runs the history to its end whatever fails. A failed batch is tried again, or left out for ever.
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
            // One of the three a run: every I/O meets all of them.
            runs += 1;
            let keep = [Keep::None, Keep::All, Keep::Random { seed: nth }][runs % 3];
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
fn a_failed_batch_and_the_next_never_mix() {
    // The body ends with the first sector and is not compressed: what follows could be the other batch's.
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
        disk.crash(Keep::Random { seed });
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
fn two_failures_in_a_row_are_survived() {
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
                disk.crash(Keep::None);
                let (engine, _) = open(&disk).expect("opens");
                assert_eq!(contents(&engine, VB), expected, "{what}");
            }
        }
    }
}

/// Tries each batch until it is in, reopening whenever the store is poisoned, as the flusher does.
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
fn a_failed_sync_poisons_and_what_reopening_shows_is_durable() {
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
