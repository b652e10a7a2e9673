//! The steps of one shard: what is due, what waits, and what follows a failure.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{CheckpointConfig, FailoverLog, Item, Key, State, VbUuid};

use super::*;
use crate::contract::Engine;
use crate::couchstore::{Couchstore, CouchstoreConfig};
use crate::disk::{Disk, FaultyDisk, MemoryDisk};

mod model;

const ONE: Vbid = Vbid(0);
const TWO: Vbid = Vbid(1);

/// A shard of two active vBuckets, with their store.
struct Rig {
    disk: FaultyDisk,
    /// `None` only while the store is reopened: a second engine would not get its lock.
    engine: Option<Couchstore>,
    vbuckets: Vec<VBucket>,
    shard: FlushShard,
}

fn open(disk: &FaultyDisk) -> Couchstore {
    let disk = Arc::new(disk.clone());
    Couchstore::open(disk, Path::new("/store"), CouchstoreConfig::default())
        .expect("a sound store")
        .0
}

fn rig() -> Rig {
    let disk = FaultyDisk::new(MemoryDisk::new());
    disk.create_dir(Path::new("/store")).expect("an empty disk");
    let engine = open(&disk);
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
    let mut shard = FlushShard::new(ReadLimit::NONE);
    let make = |vb: Vbid| {
        engine.create(vb).expect("an empty store");
        VBucket::new(vb, &state, CheckpointConfig::persistent())
    };
    let vbuckets: Vec<_> = [ONE, TWO].map(make).into();
    for vb in [ONE, TWO] {
        shard.attach(vb, state.clone(), Seqno::ZERO);
    }
    Rig {
        disk,
        engine: Some(engine),
        vbuckets,
        shard,
    }
}

fn find(vbuckets: &[VBucket], vb: Vbid) -> Option<&VBucket> {
    vbuckets.iter().find(|vbucket| vbucket.id() == vb)
}

impl Rig {
    fn vbucket(&self, vb: Vbid) -> &VBucket {
        find(&self.vbuckets, vb).expect("there")
    }

    /// Writes to a vBucket. Returns `true` if the shard became due by it.
    fn set(&mut self, vb: Vbid, key: &str) -> bool {
        let item = Item::mutation(Key::new(key.as_bytes()), Bytes::from_static(b"value"));
        self.vbucket(vb).write(item, 1).expect("active");
        self.shard.queued(vb)
    }

    fn begin(&mut self) -> Option<FlushGroup> {
        let vbuckets = &self.vbuckets;
        let begun = self.shard.begin(|vb| find(vbuckets, vb));
        begun.expect("no other flush")
    }

    fn commit(&mut self, group: FlushGroup) -> FlushOutcome {
        let engine = self.engine.as_ref().expect("open");
        let committed = group.commit(engine, 1);
        self.shard.finish(committed).expect("it is in flight")
    }

    fn flush(&mut self) -> FlushOutcome {
        let group = self.begin().expect("it is due");
        self.commit(group)
    }

    /// Closes and opens the store, and tells the shard. Returns `true` if it became due by it.
    fn reopen(&mut self) -> bool {
        self.shard.views().forget_all();
        self.engine = None;
        let engine = self.engine.insert(open(&self.disk));
        for vb in engine.vbuckets() {
            let snapshot = engine.snapshot(vb).expect("there");
            let state = snapshot.state().cloned();
            self.shard.attach_again(vb, state, snapshot.high());
        }
        self.shard.reopened()
    }

    fn high_on_disk(&self, vb: Vbid) -> Seqno {
        let engine = self.engine.as_ref().expect("open");
        engine.info(vb).expect("there").high
    }
}

fn vbuckets(group: &FlushGroup) -> Vec<Vbid> {
    group.vbuckets().collect()
}

/// Guards F8.
#[test]
fn shard_reports_once_that_it_became_due() {
    let mut rig = rig();
    assert!(rig.begin().is_none(), "nothing is due");
    assert!(rig.set(ONE, "a"), "it became due");
    assert!(!rig.set(ONE, "b") && !rig.set(TWO, "a"), "it was due");
    let flushed = rig.flush();
    assert_eq!((flushed.flushed.len(), flushed.next), (2, FlushNext::Idle));
    assert!(rig.shard.is_idle());
    assert!(rig.set(TWO, "b"), "it became due again");
}

/// Guards F6.
#[test]
fn vbucket_queued_during_its_flush_is_due_afterwards() {
    let mut rig = rig();
    let _due = rig.set(ONE, "a");
    let group = rig.begin().expect("it is due");
    assert!(rig.shard.is_flushing(ONE) && !rig.shard.is_flushing(TWO));
    assert!(!rig.set(ONE, "b"), "the flush's end says it");
    assert!(rig.begin().is_none(), "one at a time");
    assert_eq!(rig.commit(group).next, FlushNext::Due);
    assert_eq!(rig.flush().next, FlushNext::Idle);
    assert_eq!(rig.shard.persisted_seqno(ONE), Some(Seqno(2)));
}

/// Guards F7.
#[test]
fn held_vbucket_is_not_flushed_and_delays_no_other() {
    let mut rig = rig();
    rig.shard.hold(ONE);
    assert!(!rig.set(ONE, "a"), "it is held");
    assert!(rig.set(TWO, "a"), "it is not held");
    let group = rig.begin().expect("it is due");
    assert_eq!(vbuckets(&group), [TWO]);
    assert!(!rig.shard.release(ONE), "a flush is in flight");
    assert_eq!(rig.commit(group).next, FlushNext::Due);
    rig.shard.hold(ONE);
    assert!(!rig.shard.is_due() && !rig.shard.is_idle());
    assert!(rig.shard.release(ONE), "it became due");
    assert_eq!(vbuckets(&rig.begin().expect("it is due")), [ONE]);
}

/// Guards F2 and N2.
#[test]
fn failed_flush_is_due_again_after_a_growing_pause() {
    let mut rig = rig();
    let _due = rig.set(ONE, "a");
    for pause_micros in [1_000, 2_000] {
        rig.disk.fail_write(1, crate::disk::Fault::Eio);
        let failed = rig.flush();
        assert!(matches!(
            failed.flushed[..],
            [Flushed { result: Err(_), .. }]
        ));
        assert_eq!(failed.next, FlushNext::After { pause_micros });
        assert!(!rig.set(ONE, "b"), "the end of the pause says it");
    }
    assert_eq!(rig.flush().next, FlushNext::Idle);
    assert_eq!(rig.high_on_disk(ONE), Seqno(3));
    let _due = rig.set(ONE, "c");
    rig.disk.fail_write(1, crate::disk::Fault::Eio);
    let pause_micros = 1_000;
    assert_eq!(rig.flush().next, FlushNext::After { pause_micros });
}

/// Guards F9.
#[test]
fn poisoned_store_is_not_flushed_before_it_is_reopened() {
    let mut rig = rig();
    let _due = rig.set(ONE, "a");
    rig.disk.fail_sync(1);
    assert!(matches!(rig.flush().next, FlushNext::After { .. }));
    assert_eq!(rig.flush().next, FlushNext::Reopen);
    assert!(!rig.set(TWO, "a") && !rig.shard.is_due() && rig.shard.reopen_is_due());
    assert!(rig.begin().is_none(), "the store refuses it");
    assert!(rig.reopen(), "it became due");
    assert_eq!(rig.flush().next, FlushNext::Idle);
    assert_eq!(
        (rig.high_on_disk(ONE), rig.high_on_disk(TWO)),
        (Seqno(1), Seqno(1))
    );
}

/// Guards F9: a shard that another one tells of the poison waits as well.
#[test]
fn shard_that_awaits_reopening_begins_no_flush() {
    let mut rig = rig();
    rig.shard.await_reopening();
    assert!(!rig.set(ONE, "a") && rig.begin().is_none());
    assert!(rig.reopen());
    assert_eq!(rig.flush().next, FlushNext::Idle);
}

/// Guards F9: a held vBucket waits for its call, whatever a reopened store has of it.
#[test]
fn reopened_store_does_not_affect_a_held_vbucket() {
    let mut rig = rig();
    let _due = rig.set(ONE, "a");
    let group = rig.begin().expect("it is due");
    // The engine has it, and its answer is lost.
    drop(group.commit(rig.engine.as_ref().expect("open"), 1));
    assert_eq!(rig.shard.abandon(), FlushNext::Due);
    rig.shard.hold(ONE);
    rig.shard.await_reopening();
    let _due = rig.reopen();
    assert_eq!(rig.shard.persisted_seqno(ONE), Some(Seqno::ZERO));
    let _due = rig.shard.release(ONE);
    rig.shard.await_reopening();
    assert!(rig.reopen());
    assert_eq!(rig.shard.persisted_seqno(ONE), Some(Seqno(1)));
    let outcome = rig.flush();
    let written = outcome.flushed.iter().map(|flushed| match &flushed.result {
        Ok(persisted) => persisted.items,
        Err(error) => panic!("{error}"),
    });
    assert_eq!(written.sum::<usize>(), 0, "nothing is written again");
}

#[test]
fn detached_vbucket_is_not_flushed_and_gets_no_report() {
    let mut rig = rig();
    let _due = (rig.set(ONE, "a"), rig.set(TWO, "a"));
    let group = rig.begin().expect("it is due");
    rig.shard.detach(ONE);
    let outcome = rig.commit(group);
    let reported: Vec<_> = outcome.flushed.iter().map(|flushed| flushed.vb).collect();
    assert_eq!((reported, outcome.next), (vec![TWO], FlushNext::Idle));
    let _due = rig.set(ONE, "b");
    assert!(rig.begin().is_none() && rig.shard.is_idle());
}

#[test]
fn group_that_is_not_in_flight_is_refused() {
    let (mut rig, mut other) = (rig(), rig());
    let _due = (rig.set(ONE, "a"), other.set(TWO, "a"));
    let _group = rig.begin().expect("it is due");
    let group = other.begin().expect("it is due");
    let committed = group.commit(other.engine.as_ref().expect("open"), 1);
    let refused = rig.shard.finish(committed);
    assert!(
        matches!(refused, Err(CheckpointError::InvalidArgument(_))),
        "{refused:?}"
    );
    assert!(rig.shard.is_flushing(ONE));
}
