//! This engine's rollbacks and purges: the headers that count as commits, files of every version,
//! and syncs.

use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Operation, Seqno};

use crate::contract::{Engine, EngineError, RolledBack, ScanLimit};
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::file::{Earlier, header_chain, header_search};
use crate::couchstore::format::Header;
use crate::couchstore::format::block::{DATA, HEADER};
use crate::couchstore::tools::CouchFile;
use crate::disk::{Access, Disk, MemoryDisk, PowerLoss};

use super::reference_model;
use super::support::{
    VB, commit, contents, delete, file, fixture, open, open_with, set, store_with,
};

/// Returns positions and high seqnos of a file's headers, newest first, as the vendor's tool lists
/// them. Of several with one high seqno the newest counts.
fn headers_of(case: &str) -> Vec<(u64, u64)> {
    let text = std::fs::read_to_string(fixture(&format!("{case}.info.txt"))).expect("fixture");
    let number = |line: &str, name: &str| -> Option<u64> {
        line.trim()
            .strip_prefix(name)?
            .trim()
            .split(' ')
            .next()?
            .parse()
            .ok()
    };
    let mut headers = Vec::new();
    let mut position = None;
    for line in text.lines() {
        position = number(line, "Header at file offset").or(position);
        if let (Some(at), Some(high)) = (position, number(line, "update_seq:")) {
            headers.push((at, high));
        }
    }
    headers.dedup_by_key(|&mut (_, high)| high);
    headers
}

#[test]
fn commits_match_the_vendors_list() {
    let mut compared = 0;
    for case in [
        "d_rich",
        "h_boundary",
        "j_v6.6.5_d_rich",
        "j_v7.6.11_d_rich",
        "j_v6.6.5_h_boundary",
        "g_ten_v11",
    ] {
        let disk = store_with(case);
        let newest = header_search::newest(
            disk.open(&file(), Access::ReadOnly).expect("there"),
            &file(),
        )
        .expect("opens");
        let headers = headers_of(case);
        assert!(!headers.is_empty(), "{case}");
        for &(position, high) in &headers {
            let Earlier::Found(view) =
                header_chain::at_or_below(&newest, Seqno(high)).expect("sound")
            else {
                panic!("{case}: {high}");
            };
            assert_eq!(
                (view.position, view.header.update_seq),
                (position, high),
                "{case}"
            );
            view.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
                .expect("readable");
            compared += 1;
        }
    }
    assert!(compared >= 10, "{compared}");
}

#[test]
fn older_files_roll_back_in_their_version() {
    for (case, version) in [("j_v6.6.5_d_rich", 12), ("j_v7.6.11_d_rich", 13)] {
        let disk = store_with(case);
        let (engine, report) = open(&disk).expect("opens");
        assert_eq!(report.unreadable, [], "{case}");
        let before: Vec<u64> = headers_of(case).into_iter().map(|(_, high)| high).collect();
        let [newest, middle, ..] = before[..] else {
            panic!("{before:?}")
        };
        let whole = reference_model::now(&engine);
        assert_eq!(whole.high, newest);
        let pinned = engine.snapshot(VB).expect("there");
        assert_eq!(reference_model::rollback(&engine, newest - 1), middle);
        let restored = reference_model::now(&engine);
        assert_ne!(restored.rows, whole.rows);
        commit(&engine, VB, &[set(middle + 1, "again", b"1")]).expect("committed");
        // The abandoned header lies between, and is not met.
        assert_eq!(reference_model::rollback(&engine, middle), middle);
        assert_eq!(reference_model::now(&engine), restored);
        assert_eq!(reference_model::of(&*pinned), whole);
        drop(engine);
        disk.crash(PowerLoss::DropUnsynced);
        let (engine, _) = open(&disk).expect("opens");
        assert_eq!(reference_model::now(&engine), restored);
        let header = CouchFile::open_read_only(&disk, &file())
            .expect("opens")
            .header();
        assert_eq!(header.version, version);
    }
}

#[test]
fn compacted_file_needs_a_reset() {
    let disk = store_with("k_compact_d_rich");
    let (engine, _) = open(&disk).expect("opens");
    let before = reference_model::now(&engine);
    let image = || {
        std::iter::once(
            disk.open(&file(), Access::ReadOnly)
                .expect("there")
                .len()
                .expect("known"),
        )
    };
    let len: Vec<u64> = image().collect();
    for to in [0, before.high - 1] {
        let reset = engine.rollback(VB, Seqno(to)).expect("answered");
        assert_eq!(
            reset,
            RolledBack::NeedsReset {
                lowest: Seqno(before.high)
            }
        );
    }
    assert_eq!(
        (reference_model::now(&engine), image().collect::<Vec<_>>()),
        (before.clone(), len),
        "nothing has changed"
    );
    commit(&engine, VB, &[set(before.high + 5, "new", b"1")]).expect("committed");
    assert_eq!(
        reference_model::rollback(&engine, before.high + 4),
        before.high
    );
    assert_eq!(reference_model::now(&engine), before);
}

#[test]
fn rollback_takes_two_syncs_or_none_without_change() {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, CouchstoreConfig::default()).expect("opens");
    engine.create(VB).expect("created");
    commit(&engine, VB, &[set(1, "a", b"1"), delete(2, "b")]).expect("committed");
    commit(&engine, VB, &[set(3, "a", b"3")]).expect("committed");
    let syncs = || engine.stats()["syncs"];
    let before = syncs();
    assert_eq!(reference_model::rollback(&engine, 3), 3);
    assert_eq!(reference_model::rollback(&engine, u64::MAX), 3);
    assert_eq!(engine.purge(VB, Seqno(1)).expect("purged"), Seqno(0));
    assert_eq!(syncs(), before, "nothing to do");
    engine.purge(VB, Seqno(2)).expect("purged");
    assert_eq!(syncs(), before + 1, "recovery knows a purge by its nodes");
    let view = header_search::newest(
        disk.open(&file(), Access::ReadOnly).expect("there"),
        &file(),
    )
    .expect("opens");
    let Earlier::Found(target) = header_chain::at_or_below(&view, Seqno(2)).expect("sound") else {
        panic!()
    };
    assert_eq!(reference_model::rollback(&engine, 2), 2);
    assert_eq!(syncs(), before + 3);
    let header = CouchFile::open_read_only(&disk, &file())
        .expect("opens")
        .header();
    assert_eq!(
        header.previous,
        Some(target.position),
        "as the vendor's library does"
    );
    assert_eq!(
        header.info.high,
        Seqno(2),
        "the vendor's tools see it at once"
    );
}

/// Purging all rows writes no node, so such a commit could not be distinguished from garbage.
#[test]
fn purge_of_all_rows_is_durable() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    // System events are in no collection, so no collection's highest seqno keeps them.
    let dropped = |seqno: u64, name: &[u8]| Item {
        seqno: Seqno(seqno),
        deleted: true,
        ..Item::new(Operation::SystemEvent, Key::new(name))
    };
    commit(&engine, VB, &[dropped(1, b"a"), dropped(2, b"b")]).expect("committed");
    engine.purge(VB, Seqno(1)).expect("purged");
    let view = header_search::newest(
        disk.open(&file(), Access::ReadOnly).expect("there"),
        &file(),
    )
    .expect("opens");
    drop(engine);
    // A vendor's compaction leaves a file like this: no row has the highest seqno.
    let higher = Header {
        update_seq: 9,
        ..view.header.clone()
    }
    .encode(HEADER);
    disk.open(&file(), Access::ReadWrite)
        .expect("there")
        .write_at(&[&higher], view.position)
        .expect("written");
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(engine.purge(VB, Seqno(9)).expect("purged"), Seqno(2));
    assert!(contents(&engine, VB).is_empty());
    disk.crash(PowerLoss::DropUnsynced);
    drop(engine);
    let (engine, report) = open(&disk).expect("opens");
    assert_eq!(report.repairs, []);
    let now = reference_model::now(&engine);
    assert_eq!((now.high, now.purge, now.rows.len()), (9, 2, 0));
}

#[test]
fn purged_rows_stay_away_after_any_rollback() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    commit(&engine, VB, &[delete(1, "a"), set(2, "b", b"2")]).expect("committed");
    commit(&engine, VB, &[delete(3, "c"), delete(4, "d")]).expect("committed");
    commit(&engine, VB, &[set(5, "e", b"5")]).expect("committed");
    assert_eq!(engine.purge(VB, Seqno(5)).expect("purged"), Seqno(4));
    let rows = || contents(&engine, VB).into_keys().collect::<Vec<_>>();
    assert_eq!(rows(), [2, 5]);
    // The highest seqno of the restored commit stays, as it would have then.
    assert_eq!(
        (reference_model::rollback(&engine, 4), rows()),
        (4, vec![2, 4])
    );
    assert_eq!(engine.info(VB).expect("there").purge, Seqno(3));
    assert_eq!(
        (reference_model::rollback(&engine, 2), rows()),
        (2, vec![2])
    );
    assert_eq!(engine.info(VB).expect("there").purge, Seqno(1));
    // Nothing above the restored seqno was purged from this history.
    commit(&engine, VB, &[delete(3, "x"), set(4, "y", b"4")]).expect("committed");
    assert_eq!(
        (reference_model::rollback(&engine, 4), rows()),
        (4, vec![2, 3, 4])
    );
}

#[test]
fn rollback_restores_the_figures_of_prepares() {
    let prepare = |seqno, key: &[u8]| Item {
        seqno: Seqno(seqno),
        value: Some(Bytes::from_static(b"x")),
        ..Item::new(Operation::Prepare, Key::new(key))
    };
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    let counted = || {
        let file = CouchFile::open_read_only(&disk, &file()).expect("opens");
        let state = file
            .local_docs()
            .expect("readable")
            .pop()
            .expect("the state")
            .1;
        let json: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
        json["on_disk_prepares"]
            .as_str()
            .expect("a string")
            .to_owned()
    };
    commit(&engine, VB, &[prepare(1, b"a")]).expect("committed");
    commit(&engine, VB, &[prepare(2, b"b"), prepare(3, b"c")]).expect("committed");
    assert_eq!(counted(), "3");
    reference_model::rollback(&engine, 1);
    assert_eq!(counted(), "1");
    commit(&engine, VB, &[prepare(2, b"d")]).expect("committed");
    assert_eq!(counted(), "2");
}

/// A body with a header's bytes is not on the way back, and neither is an abandoned header.
#[test]
fn damage_on_the_way_back_fails_the_rollback() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    for seqno in 1..5 {
        commit(&engine, VB, &[set(seqno, "a", b"1")]).expect("committed");
    }
    let raw: Arc<_> = disk.open(&file(), Access::ReadWrite).expect("there");
    let view = header_search::newest(Arc::clone(&raw), &file()).expect("opens");
    let Earlier::Found(second) = header_chain::at_or_below(&view, Seqno(2)).expect("sound") else {
        panic!()
    };
    let before = reference_model::now(&engine);
    for (at, byte) in [(0, DATA), (0, 7), (20, 0xff)] {
        let mut old = [0];
        raw.read_at(&mut old, second.position + at).expect("read");
        raw.write_at(&[&[byte]], second.position + at)
            .expect("written");
        let error = engine.rollback(VB, Seqno(1)).expect_err("damaged");
        assert!(
            matches!(&error, EngineError::Corrupt { offset, .. } if *offset == second.position),
            "{error}"
        );
        assert_eq!(
            reference_model::rollback(&engine, 4),
            4,
            "what is newer needs none of it"
        );
        raw.write_at(&[&old], second.position + at)
            .expect("written");
    }
    assert_eq!(reference_model::now(&engine), before);
    assert_eq!(reference_model::rollback(&engine, 1), 1);
}

#[test]
fn closed_or_dropped_vbucket_is_not_rolled_back() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    for refused in [
        engine.rollback(VB, Seqno(0)).map(|_| ()),
        engine.purge(VB, Seqno(0)).map(|_| ()),
    ] {
        assert_eq!(refused.expect_err("unknown").kind(), "unknown-vbucket");
    }
    engine.create(VB).expect("created");
    engine.close().expect("closed");
    assert!(engine.rollback(VB, Seqno(0)).is_err());
    assert!(engine.purge(VB, Seqno(0)).is_err());
}

/// Found by the property test. A tombstone that a purge spares, as its collection's highest seqno,
/// lies below the purge seqno. After a rollback it need not be the highest any more. It was not
/// purged, so it is still there.
#[test]
fn rollback_keeps_what_the_last_purge_before_it_spared() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    let in_8 = |item: Item| Item {
        key: Key::in_collection(8, b"k"),
        ..item
    };
    commit(
        &engine,
        VB,
        &[in_8(delete(1, "")), delete(2, "a"), set(3, "b", b"3")],
    )
    .expect("committed");
    assert_eq!(engine.purge(VB, Seqno(2)).expect("purged"), Seqno(2));
    let more = Item {
        key: Key::in_collection(8, b"more"),
        ..set(4, "", b"4")
    };
    commit(&engine, VB, &[more]).expect("committed");
    let then = contents(&engine, VB);
    assert_eq!(then.keys().copied().collect::<Vec<_>>(), [1, 3, 4]);
    commit(&engine, VB, &[set(5, "b", b"5")]).expect("committed");
    assert_eq!(reference_model::rollback(&engine, 4), 4);
    assert_eq!(contents(&engine, VB), then);
    assert_eq!(engine.purge(VB, Seqno(2)).expect("purged"), Seqno(2));
    assert_eq!(
        contents(&engine, VB).into_keys().collect::<Vec<_>>(),
        [3, 4],
        "the next purge takes it"
    );
}
