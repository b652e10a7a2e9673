//! The items that a flush writes, and the vBuckets it writes them for.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{
    CheckpointConfig, FailoverLog, Item, ItemLimits, Key, Namespace, ReadLimit, Seqno, State,
    VBucket, VBucketState, VbUuid, Vbid,
};

use super::*;
use crate::contract::Engine;
use crate::couchstore::{Couchstore, CouchstoreConfig};
use crate::disk::{Fault, FaultyDisk, MemoryDisk};

mod failures;
mod states;
mod views;

const VB: Vbid = Vbid(0);

struct Rig {
    disk: FaultyDisk,
    engine: Couchstore,
    vbucket: VBucket,
    flusher: Flusher,
}

fn open(disk: &FaultyDisk) -> Couchstore {
    let disk = Arc::new(disk.clone());
    Couchstore::open(disk, Path::new("/store"), CouchstoreConfig::default())
        .expect("a sound store")
        .0
}

fn rig() -> Rig {
    let disk = FaultyDisk::new(MemoryDisk::new());
    crate::disk::Disk::create_dir(&disk, Path::new("/store")).expect("an empty disk");
    let engine = open(&disk);
    engine.create(VB).expect("an empty store");
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
    let config = CheckpointConfig::persistent();
    let vbucket = VBucket::new(VB, &state, config);
    let mut flusher = Flusher::new(ReadLimit::NONE);
    flusher.attach(VB, state, Seqno::ZERO);
    Rig {
        disk,
        engine,
        vbucket,
        flusher,
    }
}

impl Rig {
    fn set(&self, key: &str, value: &'static str) {
        let item = Item::mutation(
            Key::new(key.as_bytes()),
            Bytes::from_static(value.as_bytes()),
        );
        self.vbucket.write(item, 1).expect("active");
    }

    fn flush(&mut self) -> Vec<Flushed> {
        let group = self.flusher.begin([&self.vbucket]).expect("no other flush");
        let committed = group.commit(&self.engine, 1);
        self.flusher.finish(committed)
    }

    fn stored(&self, key: &str) -> Option<(u64, Bytes)> {
        let found = self
            .engine
            .get(VB, Namespace::Committed, &Key::new(key.as_bytes()))
            .expect("readable");
        found.map(|item| (item.seqno.0, item.value.expect("a live document")))
    }
}

fn persisted(flushed: &[Flushed]) -> Option<Persisted> {
    flushed
        .first()
        .and_then(|flushed| flushed.result.as_ref().ok())
        .cloned()
}

#[test]
fn key_is_written_once_with_its_newest_revision() {
    let mut rig = rig();
    rig.set("a", "one");
    rig.vbucket.manager().close();
    rig.set("b", "two");
    rig.set("a", "three");
    let flushed = rig.flush();
    assert_eq!(
        persisted(&flushed),
        Some(Persisted {
            seqno: Seqno(3),
            prepared: Seqno::ZERO,
            items: 2,
            more: false
        })
    );
    assert_eq!(rig.stored("a"), Some((3, Bytes::from_static(b"three"))));
    assert_eq!(rig.flusher.persisted_seqno(VB), Some(Seqno(3)));
}

#[test]
fn flush_without_changes_commits_nothing() {
    let mut rig = rig();
    assert!(
        rig.flusher
            .begin([&rig.vbucket])
            .expect("no other flush")
            .is_empty()
    );
    assert!(rig.flush().is_empty());
    assert!(
        rig.vbucket.manager().begin_flush(ReadLimit::NONE).is_ok(),
        "no flush was left in progress"
    );
}

/// F5.
#[test]
fn vbucket_with_wider_limits_than_the_engine_is_refused_at_its_first_flush() {
    let mut rig = rig();
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
    let limits = ItemLimits::DEFAULT.with_value_bytes_max(usize::MAX);
    let config = CheckpointConfig::persistent().with_limits(limits);
    rig.vbucket = VBucket::new(VB, &state, config);
    rig.set("a", "small enough");
    let flushed = rig.flush();
    let refused = flushed[0]
        .result
        .as_ref()
        .expect_err("refused before it matters");
    assert_eq!(refused.kind(), "invalid-argument");
    assert!(
        refused
            .to_string()
            .contains("make it with the engine's limits"),
        "{refused}"
    );
    assert_eq!(rig.stored("a"), None);
}

#[test]
fn detached_vbucket_is_not_flushed() {
    let mut rig = rig();
    rig.set("a", "one");
    rig.flusher.detach(VB);
    assert_eq!(rig.flusher.persisted_seqno(VB), None);
    assert!(rig.flush().is_empty());
    assert_eq!(rig.stored("a"), None);
}

#[test]
fn vbucket_detached_during_its_flush_gets_no_report() {
    for is_new in [false, true] {
        let mut rig = rig();
        rig.set("a", "one");
        let group = rig.flusher.begin([&rig.vbucket]).expect("no other flush");
        let committed = group.commit(&rig.engine, 1);
        rig.flusher.detach(VB);
        if is_new {
            rig.flusher.attach(
                VB,
                VBucketState::new(State::Replica, FailoverLog::new(VbUuid(2))),
                Seqno::ZERO,
            );
        }
        assert!(rig.flusher.finish(committed).is_empty());
        assert_eq!(
            rig.flusher.persisted_seqno(VB),
            is_new.then_some(Seqno::ZERO)
        );
    }
}
