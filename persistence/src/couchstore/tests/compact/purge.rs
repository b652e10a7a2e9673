//! The rows that a compaction removes, and those that it never removes.

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Operation, Seqno};

use crate::contract::{
    CommitBatch, CompactionFilter, CompactionRequest, Engine, EnginePoint, Verdict,
};
use crate::couchstore::tests::support::{VB, commit, contents, delete, dir, open, set, state};
use crate::couchstore::tools::CouchFile;
use crate::disk::MemoryDisk;

use super::{SMALL, compact, to_end, to_point};

/// Makes a store with these items, each in a commit of its own.
fn store(items: &[Item]) -> (MemoryDisk, crate::couchstore::engine::Couchstore) {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    for item in items {
        commit(&engine, VB, std::slice::from_ref(item)).expect("committed");
    }
    (disk, engine)
}

fn deleted_at(seqno: u64, key: &str, seconds: u32) -> Item {
    Item {
        expiry: seconds,
        ..delete(seqno, key)
    }
}

fn seqnos(engine: &dyn Engine) -> Vec<u64> {
    contents(engine, VB).into_keys().collect()
}

fn request(before: Option<u32>, upto: Option<u64>) -> CompactionRequest {
    CompactionRequest {
        purge_before: before,
        purge_upto: upto.map(Seqno),
        filter: None,
    }
}

#[test]
fn tombstones_are_purged_by_age_and_by_seqno() {
    let items = [
        deleted_at(1, "a", 100),
        deleted_at(2, "b", 200),
        set(3, "c", b"3"),
        deleted_at(4, "d", 100),
        deleted_at(5, "e", 0),
        deleted_at(6, "f", 100),
    ];
    for (request, left, purge) in [
        (request(None, None), vec![1, 2, 3, 4, 5, 6], 0),
        (request(Some(100), None), vec![1, 2, 3, 4, 5, 6], 0),
        (request(Some(150), None), vec![2, 3, 5, 6], 4),
        (request(Some(u32::MAX), None), vec![3, 5, 6], 4),
        (request(None, Some(2)), vec![3, 4, 5, 6], 2),
        (request(None, Some(99)), vec![3, 6], 5),
        (request(Some(150), Some(3)), vec![2, 3, 4, 5, 6], 1),
        (request(Some(0), Some(99)), vec![1, 2, 3, 4, 5, 6], 0),
    ] {
        let (disk, engine) = store(&items);
        let what = format!("{request:?}");
        let report = compact(&engine, VB, request);
        assert_eq!(seqnos(&engine), left, "{what}");
        assert_eq!(report.tombstones_purged, 6 - left.len() as u64, "{what}");
        let info = engine.info(VB).expect("there");
        assert_eq!(
            (info.high, info.purge),
            (Seqno(6), Seqno(purge)),
            "{what}: the highest seqno stays"
        );
        drop(engine);
        let (engine, _) = open(&disk).expect("opens");
        assert_eq!(
            (seqnos(&engine), engine.info(VB).expect("there")),
            (left, info),
            "{what}"
        );
    }
}

#[test]
fn purge_seqno_never_falls() {
    let (_, engine) = store(&[
        deleted_at(1, "a", 1),
        deleted_at(2, "b", 1),
        set(3, "c", b"3"),
    ]);
    compact(&engine, VB, request(None, Some(2)));
    assert_eq!(engine.info(VB).expect("there").purge, Seqno(2));
    compact(&engine, VB, request(None, Some(1)));
    assert_eq!(engine.info(VB).expect("there").purge, Seqno(2));
    assert_eq!(engine.stats()["tombstones-purged"], 2);
}

#[test]
fn completed_prepares_are_dropped_and_counted() {
    let item = |seqno, operation, key: &[u8]| Item {
        seqno: Seqno(seqno),
        value: (operation == Operation::Prepare).then(|| Bytes::from_static(b"x")),
        ..Item::new(operation, Key::new(key))
    };
    let (disk, engine) = store(&[]);
    let commit = |items: &[Item], completed| {
        let refs: Vec<&Item> = items.iter().collect();
        let high = items.last().expect("some").seqno.0;
        let state = lowtide_checkpoint::VBucketState {
            high_completed_seqno: Seqno(completed),
            ..state(high)
        };
        let batch = CommitBatch {
            vb: VB,
            items: &refs,
            state: &state,
            timestamp: 1,
        };
        engine
            .commit(&[batch])
            .pop()
            .expect("one")
            .expect("committed");
    };
    let prepares = |revision: u64| {
        let path = dir().join(format!("7.couch.{revision}"));
        let file = CouchFile::open_read_only(&disk, &path).expect("opens");
        let state = file
            .local_docs()
            .expect("readable")
            .pop()
            .expect("the state")
            .1;
        let json: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
        (
            json["on_disk_prepares"].clone(),
            json["on_disk_prepare_bytes"].clone(),
        )
    };
    commit(
        &[
            item(1, Operation::Prepare, b"a"),
            item(2, Operation::Prepare, b"b"),
            set(3, "c", b"3"),
        ],
        1,
    );
    assert_eq!(prepares(1), ("2".into(), "22".into()));
    let mut job = engine
        .compact(VB, CompactionRequest::default())
        .expect("begun");
    to_point(&mut *job, EnginePoint::CompactCopied);
    // A key that only the old file has is replaced, and one that both files have.
    commit(
        &[
            item(4, Operation::Prepare, b"a"),
            item(5, Operation::Abort, b"b"),
            item(6, Operation::Prepare, b"d"),
        ],
        1,
    );
    let report = to_end(&mut *job, SMALL).expect("no failure");
    assert_eq!((report.prepares_dropped, report.catch_up_rounds), (1, 1));
    assert_eq!(prepares(2), ("2".into(), "22".into()));
    assert_eq!(seqnos(&engine), [3, 4, 5, 6]);
    commit(&[set(7, "e", b"7")], 6);
    assert_eq!(
        compact(&engine, VB, CompactionRequest::default()).prepares_dropped,
        2
    );
    assert_eq!(prepares(3), ("0".into(), "0".into()));
    assert_eq!(
        engine.info(VB).expect("there").purge,
        Seqno(0),
        "prepares are no tombstones"
    );
    commit(&[item(8, Operation::Prepare, b"a")], 6);
    assert_eq!(
        prepares(3).0,
        "1",
        "counting goes on from what the new file has"
    );
}

/// A filter that drops and expires by key.
#[derive(Debug)]
struct ByKey;

impl CompactionFilter for ByKey {
    fn judge(&mut self, item: &Item) -> Verdict {
        assert!(item.value.is_none() && !item.deleted);
        match item.key.user() {
            b"drop" | b"high" => Verdict::Drop,
            b"old" => Verdict::Expire,
            _ => Verdict::Keep,
        }
    }
}

#[test]
fn filter_judges_live_rows_except_the_highest_seqno() {
    let items = [
        set(1, "drop", b"1"),
        set(2, "old", b"2"),
        delete(3, "dead"),
        set(4, "k", b"4"),
        set(5, "high", b"5"),
    ];
    let (_, engine) = store(&items);
    let filter = || CompactionRequest {
        filter: Some(Box::new(ByKey)),
        ..CompactionRequest::default()
    };
    let report = compact(&engine, VB, filter());
    assert_eq!(
        (
            report.items_filtered,
            report.items_expired,
            report.items_copied
        ),
        (1, 1, 4)
    );
    assert_eq!(seqnos(&engine), [2, 3, 4, 5]);
    assert_eq!(engine.info(VB).expect("there").purge, Seqno(0));
    commit(&engine, VB, &[set(6, "k", b"6")]).expect("committed");
    compact(&engine, VB, filter());
    assert_eq!(seqnos(&engine), [2, 3, 6]);
}
