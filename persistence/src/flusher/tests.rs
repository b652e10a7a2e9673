use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{
    CheckpointConfig, FailoverLog, Item, Key, Namespace, ReadLimit, Seqno, State, VBucket,
    VBucketState, VbUuid, Vbid,
};

use super::*;
use crate::couchstore::{Couchstore, CouchstoreConfig};
use crate::disk::{Fault, FaultyDisk, MemoryDisk};

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
    let config = CheckpointConfig {
        persistence: true,
        ..CheckpointConfig::default()
    };
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
fn a_key_is_written_once_with_its_newest_revision() {
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
fn nothing_to_persist_is_no_commit() {
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
fn a_vbucket_with_wider_limits_than_the_engines_is_told_so_at_its_first_flush() {
    let mut rig = rig();
    let state = VBucketState::new(State::Active, FailoverLog::new(VbUuid(1)));
    let limits = ItemLimits {
        value_bytes_max: usize::MAX,
        ..ItemLimits::DEFAULT
    };
    let config = CheckpointConfig {
        persistence: true,
        limits,
        ..CheckpointConfig::default()
    };
    rig.vbucket = VBucket::new(VB, &state, config);
    rig.set("a", "small enough");
    let flushed = rig.flush();
    let refused = flushed[0]
        .result
        .as_ref()
        .expect_err("told before it matters");
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
fn a_failed_flush_is_read_again_with_what_came_since() {
    let mut rig = rig();
    rig.set("a", "one");
    rig.disk.fail_write(1, Fault::Eio);
    let flushed = rig.flush();
    assert!(
        flushed
            .first()
            .is_some_and(|flushed| flushed.result.is_err()),
        "{flushed:?}"
    );
    assert_eq!(rig.flusher.persisted_seqno(VB), Some(Seqno::ZERO));
    rig.set("b", "two");
    let flushed = rig.flush();
    assert_eq!(
        persisted(&flushed).map(|persisted| (persisted.seqno, persisted.items)),
        Some((Seqno(2), 2))
    );
    assert_eq!(rig.stored("a"), Some((1, Bytes::from_static(b"one"))));
}

#[test]
fn a_group_that_is_dropped_has_failed() {
    let mut rig = rig();
    rig.set("a", "one");
    drop(rig.flusher.begin([&rig.vbucket]).expect("no other flush"));
    let committed = rig
        .flusher
        .begin([&rig.vbucket])
        .expect("the first has ended")
        .commit(&rig.engine, 1);
    drop(committed);
    let flushed = rig.flush();
    // The engine has it already and refuses seqnos it knows; the host would attach anew. Nothing was lost.
    assert!(
        flushed
            .first()
            .is_some_and(|flushed| flushed.result.is_err()),
        "{flushed:?}"
    );
    let info = rig.engine.info(VB).expect("there");
    let state = rig
        .engine
        .snapshot(VB)
        .expect("there")
        .state()
        .cloned()
        .expect("committed");
    rig.flusher.attach(VB, state, info.high);
    rig.set("b", "two");
    assert_eq!(
        persisted(&rig.flush()).map(|persisted| persisted.items),
        Some(1),
        "only what was not there"
    );
    assert_eq!(
        (rig.stored("a").is_some(), rig.stored("b").is_some()),
        (true, true)
    );
}

#[test]
fn a_poisoned_store_takes_nothing_until_it_is_reopened() {
    let mut rig = rig();
    rig.set("a", "one");
    rig.disk.fail_sync(1);
    assert!(persisted(&rig.flush()).is_none());
    let again = rig.flush();
    let error = again
        .first()
        .and_then(|flushed| flushed.result.as_ref().err())
        .map(EngineError::kind);
    assert_eq!(error, Some("poisoned"));

    let Rig {
        disk,
        engine,
        vbucket,
        mut flusher,
    } = rig;
    drop(engine);
    let engine = open(&disk);
    let info = engine.info(VB).expect("there");
    let state = engine.snapshot(VB).expect("there").state().cloned();
    flusher.attach(
        VB,
        state.unwrap_or_else(|| VBucketState::new(State::Active, vbucket.failover_log())),
        info.high,
    );
    let mut rig = Rig {
        disk,
        engine,
        vbucket,
        flusher,
    };
    rig.set("b", "two");
    assert_eq!(
        persisted(&rig.flush()).map(|persisted| persisted.seqno),
        Some(Seqno(2))
    );
    assert_eq!(
        (rig.stored("a").is_some(), rig.stored("b").is_some()),
        (true, true)
    );
}

#[test]
fn the_state_committed_is_that_of_the_batch_not_of_now() {
    let mut rig = rig();
    rig.set("a", "one");
    let group = rig.flusher.begin([&rig.vbucket]).expect("no other flush");
    rig.set("b", "two");
    let committed = group.commit(&rig.engine, 1);
    rig.flusher.finish(committed);
    let state = rig
        .engine
        .snapshot(VB)
        .expect("there")
        .state()
        .cloned()
        .expect("committed");
    assert_eq!(
        (state.snapshot_end, state.max_visible_seqno),
        (Seqno(1), Seqno(1))
    );
}

#[test]
fn a_change_of_state_alone_is_committed() {
    let mut rig = rig();
    rig.set("a", "one");
    rig.flush();
    rig.vbucket
        .set_state(State::Replica, None)
        .expect("allowed");
    let flushed = rig.flush();
    assert_eq!(
        persisted(&flushed),
        Some(Persisted {
            seqno: Seqno(1),
            prepared: Seqno::ZERO,
            items: 0,
            more: false
        })
    );
    let state = rig
        .engine
        .snapshot(VB)
        .expect("there")
        .state()
        .cloned()
        .expect("committed");
    assert_eq!(
        (state.state, state.snapshot_end),
        (State::Replica, Seqno(1))
    );
}

#[test]
fn a_vbucket_it_forgot_is_not_flushed() {
    let mut rig = rig();
    rig.set("a", "one");
    rig.flusher.detach(VB);
    assert_eq!(rig.flusher.persisted_seqno(VB), None);
    assert!(rig.flush().is_empty());
    assert_eq!(rig.stored("a"), None);
}

#[test]
fn half_a_snapshot_of_a_promoted_copy_is_its_own_history_on_disk_too() {
    let mut rig = rig();
    let half = |seqno| Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(b"a"), Bytes::from_static(b"v"))
    };
    rig.vbucket
        .set_state(State::Replica, None)
        .expect("a replica");
    let marker = lowtide_checkpoint::SnapshotMarker::new(
        lowtide_checkpoint::SnapshotType::Memory,
        Seqno::ZERO,
        Seqno(3),
    );
    rig.vbucket.receive_marker(marker).expect("the first");
    rig.vbucket.receive(half(2)).expect("inside");
    rig.flush();
    let range = |rig: &Rig| {
        let snapshot = rig.engine.snapshot(VB).expect("there");
        let state = snapshot.state().expect("committed").clone();
        (state.state, state.snapshot_start, state.snapshot_end)
    };
    assert_eq!(range(&rig), (State::Replica, Seqno::ZERO, Seqno(3)));
    rig.vbucket
        .set_state(State::Active, Some(VbUuid(7)))
        .expect("a branch");
    rig.flush();
    assert_eq!(
        range(&rig),
        (State::Active, Seqno(2), Seqno(2)),
        "nothing was written but its state"
    );
}

#[test]
fn what_was_detached_meanwhile_is_nothing_to_what_came_in_its_place() {
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
