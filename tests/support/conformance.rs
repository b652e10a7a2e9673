//! What every storage engine must keep, whatever its files look like: a way to open an engine goes in, a panic comes
//! out if it breaks one of the six promises of `persistence::Engine`.
//!
//! [`run`] checks all of them; each check starts on an empty disk of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use checkpoint::{
    Cas, Datatype, DurabilityLevel, FailoverLog, Item, Key, Namespace, Operation, Seqno, State, VBucketState,
    VbUuid, Vbid,
};
use persistence::disk::{Disk, Fault, FaultyDisk, Keep, MemoryDisk};
use persistence::{Batch, Committed, Engine, EngineError, ScanLimit, Snapshot};

/// Opens the engine's store on that disk, always in the same directory.
pub type Open<'a> = &'a dyn Fn(Arc<dyn Disk>) -> Result<Box<dyn Engine>, EngineError>;

/// The vBuckets the checks use.
const VBS: [Vbid; 2] = [Vbid(3), Vbid(700)];

/// What a vBucket holds, by seqno.
type Contents = BTreeMap<u64, Item>;

/// Checks every promise.
pub fn run(open: Open<'_>) {
    items_come_back(open);
    seqnos_rise(open);
    the_last_of_a_key_wins(open);
    snapshots_stay(open);
    what_was_dropped_stays_away(open);
    closing_keeps_everything(open);
    power_loss_keeps_what_was_acknowledged(open);
    failures_leave_batches_in_or_out(open);
    a_failed_sync_poisons(open);
}

fn fresh(open: Open<'_>) -> (MemoryDisk, Box<dyn Engine>) {
    let disk = MemoryDisk::new();
    let engine = open(Arc::new(disk.clone())).expect("an empty disk opens");
    engine.create(VBS[0]).expect("created");
    (disk, engine)
}

fn set(seqno: u64, key: &str, value: &[u8]) -> Item {
    Item { seqno: Seqno(seqno), ..Item::mutation(Key::new(key.as_bytes()), Bytes::copy_from_slice(value)) }
}

fn delete(seqno: u64, key: &str) -> Item {
    Item { seqno: Seqno(seqno), ..Item::deletion(Key::new(key.as_bytes())) }
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
fn commit_all(engine: &dyn Engine, batches: &[(Vbid, Vec<Item>)]) -> Vec<Result<Committed, EngineError>> {
    let states: Vec<_> =
        batches.iter().map(|(_, items)| state(items.last().map_or(0, |item| item.seqno.0))).collect();
    let refs: Vec<Vec<&Item>> = batches.iter().map(|(_, items)| items.iter().collect()).collect();
    let parts = batches.iter().zip(&refs).zip(&states);
    let batches: Vec<Batch<'_>> =
        parts.map(|((&(vb, _), items), state)| Batch { vb, items, state, timestamp: 1 }).collect();
    let results = engine.commit(&batches);
    assert_eq!(results.len(), batches.len(), "one result a batch");
    results
}

fn commit(engine: &dyn Engine, vb: Vbid, items: &[Item]) -> Result<Committed, EngineError> {
    commit_all(engine, &[(vb, items.to_vec())]).pop().expect("one")
}

/// Everything a snapshot holds; checks that reads by key and figures agree.
fn contents_of(snapshot: &dyn Snapshot) -> Contents {
    let slice = snapshot.scan(Seqno::ZERO, Seqno::MAX, ScanLimit::NONE).expect("readable");
    assert_eq!(slice.next, None);
    assert!(slice.items.is_sorted_by(|a, b| a.seqno < b.seqno), "ascending");
    for item in &slice.items {
        let namespace = item.operation.namespace().expect("only items are stored");
        assert_eq!(snapshot.get(namespace, &item.key).expect("readable").as_ref(), Some(item));
    }
    let info = snapshot.info();
    assert_eq!(info.items + info.deleted, slice.items.len() as u64);
    assert_eq!(info.high, snapshot.high());
    assert!(slice.items.last().is_none_or(|item| item.seqno <= info.high));
    slice.items.into_iter().map(|item| (item.seqno.0, item)).collect()
}

fn contents(engine: &dyn Engine, vb: Vbid) -> Contents {
    assert_eq!(engine.check(vb).expect("readable"), [""; 0]);
    contents_of(&*engine.snapshot(vb).expect("there"))
}

fn apply(contents: &Contents, batch: &[Item]) -> Contents {
    let mut next = contents.clone();
    for item in batch {
        next.retain(|_, old| old.key != item.key || old.operation.namespace() != item.operation.namespace());
        next.insert(item.seqno.0, item.clone());
    }
    next
}

/// Bytes that don't compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    next.take(len).collect()
}

/// Batches of one vBucket that touch old and new keys, small and large values.
fn history() -> Vec<Vec<Item>> {
    vec![
        vec![set(1, "a", b"1"), set(2, "b", b"2"), set(3, "c", &noise(5000))],
        vec![set(4, "a", b"4"), delete(5, "b")],
        (6..30).map(|seqno| set(seqno, &format!("key-{seqno}"), &noise(seqno as usize * 9))).collect(),
        vec![set(40, "b", b"back"), delete(41, "key-7"), set(43, "a", &noise(9000))],
        vec![delete(44, "a"), set(45, "z", b""), set(46, "c", b"{}")],
    ]
}

/// What a vBucket holds after each number of batches.
fn stages() -> Vec<Contents> {
    let mut stages = vec![Contents::new()];
    for batch in history() {
        stages.push(apply(stages.last().expect("one"), &batch));
    }
    stages
}

/// Items of every kind come back as they were, by key, by seqno, and in slices; so do states and figures.
pub fn items_come_back(open: Open<'_>) {
    let (disk, engine) = fresh(open);
    let key = |key: &[u8]| Key::in_collection(0x1f4, key);
    let full = |seqno, operation, name: &[u8]| Item {
        seqno: Seqno(seqno),
        cas: Cas(0x1122_3344_5566_7788),
        rev_seqno: 9,
        flags: 0x0200_0006,
        expiry: 1_700_000_000,
        datatype: Datatype::JSON,
        value: Some(Bytes::from_static(b"{\"a\":1}")),
        ..Item::new(operation, key(name))
    };
    let items = vec![
        full(1, Operation::Mutation, b"set"),
        Item { value: Some(Bytes::new()), datatype: Datatype::RAW, ..full(2, Operation::Mutation, b"empty") },
        Item { value: None, datatype: Datatype::RAW, ..full(3, Operation::Deletion, b"deleted") },
        Item { datatype: Datatype::XATTR, ..full(4, Operation::Deletion, b"with attributes") },
        Item { value: None, datatype: Datatype::RAW, ..full(5, Operation::Expiration, b"expired") },
        Item { durability: Some(DurabilityLevel::PersistToMajority), ..full(6, Operation::Prepare, b"set") },
        Item {
            durability: Some(DurabilityLevel::Majority),
            deleted: true,
            value: None,
            datatype: Datatype::RAW,
            ..full(7, Operation::Prepare, b"deleted")
        },
        Item {
            prepare_seqno: Seqno(4),
            value: None,
            datatype: Datatype::RAW,
            ..full(8, Operation::Abort, b"aborted")
        },
        full(9, Operation::SystemEvent, b"set"),
        full(0xffff_ffff_ffff, Operation::Mutation, &[0xff; 240]),
    ];
    let committed = commit(&*engine, VBS[0], &items).expect("committed");
    assert_eq!((committed.high, committed.items), (Seqno(0xffff_ffff_ffff), items.len()));
    let check = |engine: &dyn Engine| {
        let found: Vec<Item> = contents(engine, VBS[0]).into_values().collect();
        assert_eq!(found, items);
        let snapshot = engine.snapshot(VBS[0]).expect("there");
        slices_add_up(&*snapshot, &items);
        assert_eq!(snapshot.state(), Some(&state(0xffff_ffff_ffff)));
        assert_eq!(snapshot.get(Namespace::Committed, &key(b"aborted")).expect("readable"), None);
        assert_eq!(snapshot.get(Namespace::Prepared, &key(b"empty")).expect("readable"), None);
    };
    check(&*engine);
    assert_eq!(open(Arc::new(disk.clone())).expect_err("open already").kind(), "locked");
    disk.crash(Keep::None);
    drop(engine);
    check(&*open(Arc::new(disk.clone())).expect("opens"));
}

fn slices_add_up(snapshot: &dyn Snapshot, expected: &[Item]) {
    for items in 1..=expected.len() + 1 {
        for bytes in [0, 1, 300, usize::MAX] {
            let (mut found, mut from) = (Vec::new(), Some(Seqno::ZERO));
            while let Some(at) = from {
                let slice = snapshot.scan(at, Seqno::MAX, ScanLimit { items, bytes }).expect("readable");
                assert!(!slice.items.is_empty() && slice.items.len() <= items);
                found.extend(slice.items);
                from = slice.next;
            }
            assert_eq!(found, expected);
        }
    }
    let between = snapshot.scan(Seqno(2), Seqno(4), ScanLimit::NONE).expect("readable");
    assert_eq!(between.items, expected[1..4]);
}

/// Promise 1: seqnos strictly rise, else nothing changes; unknown vBuckets are refused.
pub fn seqnos_rise(open: Open<'_>) {
    let (_, engine) = fresh(open);
    commit(&*engine, VBS[0], &[set(5, "a", b"1")]).expect("committed");
    let before = contents(&*engine, VBS[0]);
    for batch in [
        vec![set(5, "b", b"")],
        vec![set(4, "b", b"")],
        vec![set(7, "b", b""), set(7, "c", b"")],
        vec![set(8, "b", b""), delete(7, "a")],
    ] {
        let refused = commit(&*engine, VBS[0], &batch).expect_err("out of order");
        assert_eq!(refused.kind(), "out-of-order");
        assert_eq!(contents(&*engine, VBS[0]), before);
    }
    assert_eq!(commit(&*engine, VBS[1], &[]).expect_err("unknown").kind(), "unknown-vbucket");
    commit(&*engine, VBS[0], &[set(6, "b", b"")]).expect("refusals leave no trace");
}

/// Promise 1: of two items with one key in one name space the later wins, in a batch and across batches.
pub fn the_last_of_a_key_wins(open: Open<'_>) {
    let (_, engine) = fresh(open);
    let prepare = Item { operation: Operation::Prepare, ..set(3, "a", b"prepared") };
    let first = vec![set(1, "a", b"1"), set(2, "b", b"2"), prepare, set(4, "a", b"4")];
    assert_eq!(commit(&*engine, VBS[0], &first).expect("committed").items, 3);
    let expected = apply(&Contents::new(), &first);
    assert_eq!(expected.keys().copied().collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(contents(&*engine, VBS[0]), expected);
    let second = [delete(9, "b")];
    commit(&*engine, VBS[0], &second).expect("committed");
    assert_eq!(contents(&*engine, VBS[0]), apply(&expected, &second));
}

/// Promise 3: what a snapshot shows never changes.
pub fn snapshots_stay(open: Open<'_>) {
    let (_, engine) = fresh(open);
    let mut pinned = vec![engine.snapshot(VBS[0]).expect("there")];
    for batch in history() {
        commit(&*engine, VBS[0], &batch).expect("committed");
        pinned.push(engine.snapshot(VBS[0]).expect("there"));
    }
    engine.drop_vbucket(VBS[0]).expect("dropped");
    for (snapshot, stage) in pinned.iter().zip(stages()) {
        assert_eq!(contents_of(&**snapshot), stage);
        assert_eq!(snapshot.state().is_none(), stage.is_empty());
    }
}

/// Promise 4: a dropped vBucket is gone, also when it is made again, and after power loss.
pub fn what_was_dropped_stays_away(open: Open<'_>) {
    for keep in [Keep::None, Keep::All, Keep::Random { seed: 1 }, Keep::Random { seed: 2 }] {
        for again in [false, true] {
            let (disk, engine) = fresh(open);
            commit(&*engine, VBS[0], &history()[0]).expect("committed");
            assert_eq!(engine.create(VBS[0]).expect_err("there").kind(), "vbucket-exists");
            engine.drop_vbucket(VBS[0]).expect("dropped");
            assert_eq!(engine.info(VBS[0]).expect_err("gone").kind(), "unknown-vbucket");
            assert_eq!(engine.drop_vbucket(VBS[0]).expect_err("gone").kind(), "unknown-vbucket");
            if again {
                engine.create(VBS[0]).expect("created");
            }
            disk.crash(keep);
            drop(engine);
            let engine = open(Arc::new(disk.clone())).expect("opens");
            assert_eq!(engine.vbuckets(), if again { vec![VBS[0]] } else { vec![] });
            if again {
                assert_eq!(contents(&*engine, VBS[0]), Contents::new());
                assert_eq!(engine.info(VBS[0]).expect("there").high, Seqno::ZERO);
            }
        }
    }
}

/// Closing gives up the lock, takes no more writes, and loses nothing.
pub fn closing_keeps_everything(open: Open<'_>) {
    let (disk, engine) = fresh(open);
    for batch in history() {
        commit(&*engine, VBS[0], &batch).expect("committed");
    }
    engine.close().expect("closed");
    assert!(commit(&*engine, VBS[0], &[set(99, "late", b"")]).is_err());
    assert!(engine.create(VBS[1]).is_err());
    disk.crash(Keep::None);
    let engine = open(Arc::new(disk.clone())).expect("opens");
    assert_eq!(Some(contents(&*engine, VBS[0])), stages().pop());
}

/// How many batches of each vBucket were acknowledged; `None` if the vBucket itself was not.
type Acknowledged = [Option<usize>; VBS.len()];

/// Runs the history on both vBuckets until something fails.
fn run_until_failure(open: Open<'_>, disk: &FaultyDisk) -> (Acknowledged, bool) {
    let mut acknowledged = [None; VBS.len()];
    let Ok(engine) = open(Arc::new(disk.clone())) else { return (acknowledged, false) };
    for (vb, count) in VBS.into_iter().zip(&mut acknowledged) {
        if engine.create(vb).is_err() {
            return (acknowledged, false);
        }
        *count = Some(0);
    }
    for batch in history() {
        let results = commit_all(&*engine, &VBS.map(|vb| (vb, batch.clone())));
        for (result, count) in results.iter().zip(&mut acknowledged) {
            *count = count.map(|count| count + usize::from(result.is_ok()));
        }
        if results.iter().any(Result::is_err) {
            return (acknowledged, false);
        }
    }
    (acknowledged, engine.close().is_ok())
}

/// What was acknowledged is there, and at most one batch more, as a whole. Returns how many are.
fn check_after(engine: &dyn Engine, acknowledged: &Acknowledged, what: &str) -> Acknowledged {
    let (stages, there) = (stages(), engine.vbuckets());
    let mut shown = [None; VBS.len()];
    for ((vb, &least), shown) in VBS.into_iter().zip(acknowledged).zip(&mut shown) {
        if !there.contains(&vb) {
            assert_eq!(least, None, "{what}: vBucket {vb} is gone");
            continue;
        }
        let (found, least) = (contents(engine, vb), least.unwrap_or(0));
        *shown = (least..stages.len().min(least + 2)).find(|&stage| stages[stage] == found);
        assert!(shown.is_some(), "{what}: vBucket {vb}: {least} acknowledged, found {:?}", found.keys());
    }
    shown
}

fn keeps(seed: u64) -> [Keep; 5] {
    let random = |n| Keep::Random { seed: 3 * seed + n };
    [Keep::None, Keep::All, random(0), random(1), random(2)]
}

/// Promises 2 and 6: after power loss at any I/O everything acknowledged is there, and what is shown then stays.
pub fn power_loss_keeps_what_was_acknowledged(open: Open<'_>) {
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(run_until_failure(open, &counting).1);
    for nth in 1..=counting.io_count() {
        for keep in keeps(nth) {
            let what = format!("power off at I/O {nth}, {keep:?}");
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.power_off_at_io(nth);
            let (acknowledged, _) = run_until_failure(open, &disk);
            disk.crash(keep);
            let engine = open(Arc::new(disk.clone())).unwrap_or_else(|error| panic!("{what}: {error}"));
            let shown = check_after(&*engine, &acknowledged, &what);
            drop(engine);
            disk.crash(Keep::None);
            let engine = open(Arc::new(disk.clone())).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(check_after(&*engine, &acknowledged, &what), shown, "{what}: shown, then gone");
        }
    }
}

/// Promises 2 and 5: whatever fails, a batch is invisible or acknowledged; left out for good once a later one is in.
pub fn failures_leave_batches_in_or_out(open: Open<'_>) {
    let faults = [Fault::Eio, Fault::Enospc, Fault::Torn { bytes: 700 }, Fault::EioPersisted];
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(run_until_failure(open, &counting).1);
    let mut failures = 0;
    for (nth, fault) in (1..=counting.io_count()).flat_map(|nth| faults.map(|fault| (nth, fault))) {
        let what = format!("{fault:?} at I/O {nth}");
        let disk = FaultyDisk::new(MemoryDisk::new());
        disk.fail_io(nth, fault);
        let reopen = || {
            let tries = (0..2).find_map(|_| open(Arc::new(disk.clone())).ok());
            tries.unwrap_or_else(|| panic!("{what}: does not open"))
        };
        let mut engine = reopen();
        while engine.vbuckets().is_empty() {
            if let Err(EngineError::Poisoned { .. }) = engine.create(VBS[0]) {
                drop(engine);
                engine = reopen();
            }
        }
        let mut expected = Contents::new();
        for batch in history() {
            if commit(&*engine, VBS[0], &batch).is_ok() {
                expected = apply(&expected, &batch);
                continue;
            }
            failures += 1;
            assert_eq!(contents(&*engine, VBS[0]), expected, "{what}: a failed batch is invisible");
            if matches!(commit(&*engine, VBS[0], &[]), Err(EngineError::Poisoned { .. })) {
                drop(engine);
                engine = reopen();
                let whole = apply(&expected, &batch);
                let found = contents(&*engine, VBS[0]);
                assert!(found == expected || found == whole, "{what}: a part of a batch");
                expected = found;
            }
        }
        disk.clear_faults();
        for keep in [Keep::Random { seed: nth }, Keep::None] {
            drop(engine);
            disk.crash(keep);
            engine = reopen();
            assert_eq!(contents(&*engine, VBS[0]), expected, "{what}, {keep:?}");
        }
    }
    assert!(failures > 10, "the faults must strike: {failures}");
}

/// Promise 5: after a failed sync reads go on, writes are refused until the store is reopened, and nothing is lost.
pub fn a_failed_sync_poisons(open: Open<'_>) {
    for keep in keeps(0) {
        let disk = FaultyDisk::new(MemoryDisk::new());
        let engine = open(Arc::new(disk.clone())).expect("opens");
        engine.create(VBS[0]).expect("created");
        commit(&*engine, VBS[0], &history()[0]).expect("committed");
        disk.fail_sync(1);
        assert!(commit(&*engine, VBS[0], &history()[1]).is_err());
        for refused in [commit(&*engine, VBS[0], &history()[2]).map(|_| ()), engine.create(VBS[1])] {
            assert_eq!(refused.expect_err("poisoned").kind(), "poisoned");
        }
        assert_eq!(contents(&*engine, VBS[0]), stages()[1], "reads go on");
        drop(engine);
        let engine = open(Arc::new(disk.clone())).expect("opens");
        let shown = check_after(&*engine, &[Some(1), None], "reopened");
        drop(engine);
        disk.crash(keep);
        let engine = open(Arc::new(disk.clone())).expect("opens");
        assert_eq!(check_after(&*engine, &[Some(1), None], "crashed"), shown);
    }
}
