//! Helpers of the engine's tests: stores on memory disks, batches, and the content of a store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{
    Cas, FailoverLog, Item, Key, Namespace, Operation, Seqno, State, VBucketState, VbUuid, Vbid,
};

use crate::contract::{CommitBatch, Committed, Engine, EngineError, RecoveryReport, ScanLimit};
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::engine::Couchstore;
use crate::disk::{Disk, MemoryDisk};

pub(super) const VB: Vbid = Vbid(7);

pub(super) fn dir() -> PathBuf {
    PathBuf::from("/store")
}

pub(super) fn file() -> PathBuf {
    dir().join("7.couch.1")
}

pub(in crate::couchstore) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/couchstore")
        .join(name)
}

/// Puts one of the vendor's files into a store.
pub(super) fn store_with(case: &str) -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir(&dir()).expect("made");
    let golden = std::fs::read(fixture(&format!("{case}.couch.1"))).expect("fixture");
    let stored = disk.create(&file()).expect("new");
    stored.write_at(&[&golden], 0).expect("written");
    stored.sync_data().expect("synced");
    disk.sync_dir(&dir()).expect("synced");
    disk
}

pub(super) fn open_with(
    disk: &(impl Disk + Clone + 'static),
    config: CouchstoreConfig,
) -> Result<(Couchstore, RecoveryReport), EngineError> {
    Couchstore::open(Arc::new(disk.clone()), &dir(), config)
}

pub(super) fn open(
    disk: &(impl Disk + Clone + 'static),
) -> Result<(Couchstore, RecoveryReport), EngineError> {
    open_with(disk, CouchstoreConfig::default())
}

pub(super) fn state(high: u64) -> VBucketState {
    let log = FailoverLog::new(VbUuid(0xabcd));
    VBucketState {
        snapshot_end: Seqno(high),
        ..VBucketState::new(State::Active, log)
    }
}

pub(super) fn set(seqno: u64, key: &str, value: &[u8]) -> Item {
    let value = Bytes::copy_from_slice(value);
    Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(key.as_bytes()), value)
    }
}

pub(super) fn delete(seqno: u64, key: &str) -> Item {
    Item {
        seqno: Seqno(seqno),
        ..Item::deletion(Key::new(key.as_bytes()))
    }
}

pub(super) fn commit(
    engine: &dyn Engine,
    vb: Vbid,
    items: &[Item],
) -> Result<Committed, EngineError> {
    let refs: Vec<&Item> = items.iter().collect();
    let state = state(items.last().map_or(0, |item| item.seqno.0));
    let batch = CommitBatch {
        vb,
        items: &refs,
        state: &state,
        timestamp: 1,
    };
    engine.commit(&[batch]).pop().expect("one result a batch")
}

/// Finding of the engine's own check on the vendor's `d_rich` until it is compacted: its writer did
/// not count its prepare.
const VENDORS_COUNT: &str = "the state counts 0 prepares with 0 bytes, there are 1 with 24";

/// Returns whether a vBucket has the prepare of `d_rich`, which no other test's vBucket has.
fn is_d_rich(engine: &dyn Engine, vb: Vbid) -> bool {
    let prepare = engine
        .get(vb, Namespace::Prepared, &Key::new(b"prepared-doc"))
        .expect("readable");
    prepare.is_some_and(|prepare| prepare.cas == Cas(1_702_838_688_282_902_542))
}

/// Checks that a vBucket passes the engine's own check.
pub(super) fn check(engine: &dyn Engine, vb: Vbid) {
    let mut found = engine.check(vb).expect("readable");
    if is_d_rich(engine, vb) {
        found.retain(|finding| !finding.ends_with(VENDORS_COUNT));
    }
    assert_eq!(found, [""; 0]);
}

/// Returns every item of a vBucket by seqno. Also checks that the by-id index and the figures
/// agree, and the whole file.
pub(super) fn contents(engine: &dyn Engine, vb: Vbid) -> BTreeMap<u64, Item> {
    check(engine, vb);
    let snapshot = engine.snapshot(vb).expect("there");
    let slice = snapshot
        .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
        .expect("readable");
    assert_eq!(slice.next, None);
    for item in &slice.items {
        let namespace = item.operation.namespace().expect("stored");
        assert_eq!(
            snapshot
                .get(namespace, &item.key)
                .expect("readable")
                .as_ref(),
            Some(item)
        );
    }
    let info = snapshot.info();
    assert_eq!(info.items + info.deleted, slice.items.len() as u64);
    // In the index an abort is a deleted prepare.
    let is_tombstone = |item: &&Item| match item.operation {
        Operation::Prepare => false,
        operation => item.deleted || operation == Operation::Abort,
    };
    assert_eq!(
        info.deleted,
        slice.items.iter().filter(is_tombstone).count() as u64
    );
    assert!(
        slice
            .items
            .last()
            .is_none_or(|item| item.seqno <= snapshot.high())
    );
    slice
        .items
        .into_iter()
        .map(|item| (item.seqno.0, item))
        .collect()
}

/// Makes bytes that snappy cannot shorten.
pub(super) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    next.take(len).collect()
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
