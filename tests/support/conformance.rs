//! Conformance suite of storage engines: it takes a way to open an engine, and panics if the engine
//! breaks one of the promises of `lowtide_persistence::Engine`.
//!
//! [`run`] checks all of them; each check starts on an empty disk of its own.

mod compaction;
mod contents;
mod failures;
mod groups;
mod limits;
mod past;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{Cas, FailoverLog, Item, Key, Seqno, State, VBucketState, VbUuid, Vbid};
use lowtide_persistence::disk::{Disk, MemoryDisk, PowerLoss};
use lowtide_persistence::{
    CommitBatch, Committed, Engine, EngineError, Executor, InOrder, ScanLimit, Snapshot,
};

/// Opens the engine's store on a disk, always in the same directory, with an executor.
pub type OpenWith<'a> =
    &'a dyn Fn(Arc<dyn Disk>, Arc<dyn Executor>) -> Result<Box<dyn Engine>, EngineError>;

/// Same as [`OpenWith`], for checks that are independent of the executor.
type Open<'a> = &'a dyn Fn(Arc<dyn Disk>) -> Result<Box<dyn Engine>, EngineError>;

/// vBuckets of the checks.
const VBS: [Vbid; 2] = [Vbid(3), Vbid(700)];

/// Contents of a vBucket, by seqno.
type Contents = BTreeMap<u64, Item>;

/// Checks every promise.
pub fn run(open_with: OpenWith<'_>) {
    let open: Open<'_> = &|disk| open_with(disk, Arc::new(InOrder));
    contents::items_of_every_kind_come_back(open);
    contents::seqnos_rise(open);
    contents::last_item_of_a_key_wins(open);
    contents::keys_up_to_the_limit_are_taken(open);
    limits::items_within_the_limits_are_flushed(open);
    past::snapshot_contents_stay(open);
    past::dropped_vbucket_stays_away(open);
    past::rollback_restores_exactly(open);
    past::purged_tombstones_of_the_past_stay_away(open);
    past::nothing_comes_back_after_a_power_loss(open);
    failures::closing_keeps_everything(open);
    failures::power_loss_keeps_acknowledged_batches(open);
    failures::failures_leave_batches_in_or_out(open);
    failures::failed_sync_poisons(open);
    groups::group_gives_the_results_of_its_batches(open_with);
    compaction::compaction_keeps_everything(open);
    compaction::purged_tombstones_stay_away(open);
    compaction::highest_seqno_of_a_collection_stays(open);
}

fn fresh(open: Open<'_>) -> (MemoryDisk, Box<dyn Engine>) {
    let disk = MemoryDisk::new();
    let engine = open(Arc::new(disk.clone())).expect("an empty disk opens");
    engine.create(VBS[0]).expect("created");
    (disk, engine)
}

fn set(seqno: u64, key: &str, value: &[u8]) -> Item {
    Item {
        seqno: Seqno(seqno),
        ..Item::mutation(Key::new(key.as_bytes()), Bytes::copy_from_slice(value))
    }
}

fn delete(seqno: u64, key: &str) -> Item {
    Item {
        seqno: Seqno(seqno),
        ..Item::deletion(Key::new(key.as_bytes()))
    }
}

fn delete_in(collection: u32, seqno: u64, key: &str) -> Item {
    Item {
        seqno: Seqno(seqno),
        ..Item::deletion(Key::in_collection(collection, key.as_bytes()))
    }
}

fn state(high: u64) -> VBucketState {
    let log = FailoverLog::new(VbUuid(0xabcd));
    VBucketState {
        snapshot_start: Seqno(high),
        snapshot_end: Seqno(high),
        max_cas: Cas(high * 1000),
        ..VBucketState::new(State::Active, log)
    }
}

/// Commits to several vBuckets at once.
fn commit_all(
    engine: &dyn Engine,
    batches: &[(Vbid, Vec<Item>)],
) -> Vec<Result<Committed, EngineError>> {
    let states: Vec<_> = batches
        .iter()
        .map(|(_, items)| state(items.last().map_or(0, |item| item.seqno.0)))
        .collect();
    let refs: Vec<Vec<&Item>> = batches
        .iter()
        .map(|(_, items)| items.iter().collect())
        .collect();
    let parts = batches.iter().zip(&refs).zip(&states);
    let batches: Vec<CommitBatch<'_>> = parts
        .map(|((&(vb, _), items), state)| CommitBatch::new(vb, items, state).with_timestamp(1))
        .collect();
    let results = engine.commit(&batches);
    assert_eq!(results.len(), batches.len(), "one result a batch");
    results
}

fn commit(engine: &dyn Engine, vb: Vbid, items: &[Item]) -> Result<Committed, EngineError> {
    commit_all(engine, &[(vb, items.to_vec())])
        .pop()
        .expect("one")
}

/// Returns everything a snapshot holds, after checking that reads by key and figures agree.
fn contents_of(snapshot: &dyn Snapshot) -> Contents {
    let slice = snapshot
        .scan(Seqno::ZERO, Seqno::MAX, ScanLimit::NONE)
        .expect("readable");
    assert_eq!(slice.next, None);
    assert!(
        slice.items.is_sorted_by(|a, b| a.seqno < b.seqno),
        "ascending"
    );
    for item in &slice.items {
        let namespace = item.operation.namespace().expect("only items are stored");
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
    assert_eq!(info.high, snapshot.high());
    assert!(
        slice
            .items
            .last()
            .is_none_or(|item| item.seqno <= info.high)
    );
    slice
        .items
        .into_iter()
        .map(|item| (item.seqno.0, item))
        .collect()
}

fn contents(engine: &dyn Engine, vb: Vbid) -> Contents {
    assert_eq!(engine.check(vb).expect("readable"), [""; 0]);
    contents_of(&*engine.snapshot(vb).expect("there"))
}

fn apply(contents: &Contents, batch: &[Item]) -> Contents {
    let mut next = contents.clone();
    for item in batch {
        next.retain(|_, old| {
            old.key != item.key || old.operation.namespace() != item.operation.namespace()
        });
        next.insert(item.seqno.0, item.clone());
    }
    next
}

/// Returns bytes that don't compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    next.take(len).collect()
}

/// Returns batches of one vBucket that touch old and new keys, small and large values.
fn history() -> Vec<Vec<Item>> {
    vec![
        vec![
            set(1, "a", b"1"),
            set(2, "b", b"2"),
            set(3, "c", &noise(5000)),
        ],
        vec![set(4, "a", b"4"), delete(5, "b")],
        (6..30)
            .map(|seqno| set(seqno, &format!("key-{seqno}"), &noise(seqno as usize * 9)))
            .collect(),
        vec![
            set(40, "b", b"back"),
            delete(41, "key-7"),
            set(43, "a", &noise(9000)),
        ],
        vec![delete(44, "a"), set(45, "z", b""), set(46, "c", b"{}")],
    ]
}

/// Returns the contents of a vBucket after each number of batches.
fn stages() -> Vec<Contents> {
    let mut stages = vec![Contents::new()];
    for batch in history() {
        stages.push(apply(stages.last().expect("one"), &batch));
    }
    stages
}

/// Returns the parts of the unsynced bytes that a power loss may keep.
fn keeps(seed: u64) -> [PowerLoss; 5] {
    let random = |n| PowerLoss::Random { seed: 3 * seed + n };
    [
        PowerLoss::DropUnsynced,
        PowerLoss::KeepUnsynced,
        random(0),
        random(1),
        random(2),
    ]
}
