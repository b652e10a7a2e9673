//! The steps of a backfill, run against a store on a memory disk.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{FailoverLog, Key, State, VbUuid};

use super::*;
use crate::contract::CommitBatch;
use crate::couchstore::{Couchstore, CouchstoreConfig};
use crate::disk::MemoryDisk;

const VB: Vbid = Vbid(3);
const TWO: ScanLimit = ScanLimit {
    items: 2,
    bytes: usize::MAX,
};

fn engine() -> Couchstore {
    let disk = MemoryDisk::new();
    crate::disk::Disk::create_dir(&disk, Path::new("/store")).expect("an empty disk");
    let opened = Couchstore::open(
        Arc::new(disk),
        Path::new("/store"),
        CouchstoreConfig::default(),
    );
    let engine = opened.expect("a sound store").0;
    engine.create(VB).expect("an empty store");
    engine
}

fn commit(engine: &Couchstore, seqnos: std::ops::RangeInclusive<u64>, key: fn(u64) -> String) {
    let items: Vec<_> = seqnos
        .map(|seqno| Item {
            seqno: Seqno(seqno),
            ..Item::mutation(Key::new(key(seqno).as_bytes()), Bytes::from_static(b"v"))
        })
        .collect();
    let items: Vec<_> = items.iter().collect();
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
    let batch = CommitBatch {
        vb: VB,
        items: &items,
        state: &state,
        timestamp: 1,
    };
    assert!(engine.commit(&[batch]).iter().all(Result::is_ok));
}

fn done(outcome: BackfillOutcome) -> (BackfillScan, Vec<u64>) {
    let read = outcome.result.expect("readable");
    (
        read.scan,
        read.items.iter().map(|item| item.seqno.0).collect(),
    )
}

fn slices(engine: &Couchstore, mut scan: BackfillScan) -> Vec<Vec<u64>> {
    let mut slices = Vec::new();
    while !scan.is_done() {
        let items;
        (scan, items) = done(BackfillStep::read(9, scan, TWO).run(engine));
        slices.push(items);
    }
    slices
}

#[test]
fn slices_follow_one_another_and_end_with_the_snapshot() {
    let engine = engine();
    commit(&engine, 1..=5, |seqno| format!("k{seqno}"));
    let (scan, items) = done(BackfillStep::open(9, VB, Seqno(1)).run(&engine));
    assert_eq!(
        (scan.high(), items.len()),
        (Seqno(5), 0),
        "opening reads nothing"
    );
    assert_eq!(slices(&engine, scan), [vec![2, 3], vec![4, 5]]);
}

#[test]
fn scan_during_commits_and_drops_does_not_change() {
    let engine = engine();
    commit(&engine, 1..=4, |seqno| format!("k{seqno}"));
    let (scan, _) = done(BackfillStep::open(9, VB, Seqno::ZERO).run(&engine));
    let (scan, first) = done(BackfillStep::read(9, scan, TWO).run(&engine));
    commit(&engine, 5..=6, |seqno| format!("k{}", seqno - 3));
    engine.drop_vbucket(VB).expect("there");
    assert_eq!(
        (first, slices(&engine, scan)),
        (vec![1, 2], vec![vec![3, 4]])
    );
}

#[test]
fn scan_for_a_reader_at_the_end_is_done_at_once() {
    let engine = engine();
    commit(&engine, 1..=2, |seqno| format!("k{seqno}"));
    let (scan, _) = done(BackfillStep::open(9, VB, Seqno(2)).run(&engine));
    assert!(scan.is_done());
    let (scan, _) = done(BackfillStep::open(9, VB, Seqno::MAX).run(&engine));
    assert!(scan.is_done());
}

#[test]
fn outcome_of_a_failed_step_carries_id_and_vbucket() {
    let engine = engine();
    let failed = BackfillStep::open(7, Vbid(4), Seqno::ZERO).run(&engine);
    assert_eq!((failed.id, failed.vb), (7, Vbid(4)));
    assert!(matches!(
        failed.result,
        Err(EngineError::UnknownVBucket { vb: Vbid(4) })
    ));
}
