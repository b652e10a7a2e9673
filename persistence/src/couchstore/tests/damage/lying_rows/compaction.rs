//! A compaction refuses a file with a lying row and leaves it alone (E13).

use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{Key, Namespace, Seqno, Vbid};

use crate::contract::{Budget, CompactionRequest, Engine, EngineError, ScanLimit};
use crate::couchstore::compact::compact_file;
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::engine::Couchstore;
use crate::couchstore::format::DocInfo;
use crate::couchstore::tests::craft::{Craft, OnRows, both};
use crate::couchstore::tests::support::{VB, commit, dir, file, open_with, set};
use crate::disk::Disk;

use super::{EAGER, bytes, lie_at, lies, row, run, store_of};

fn refused(rows: OnRows<'_>, what: &str) {
    let image = Craft::of_rows(rows).image();
    refused_image(&image, what);
}

fn refused_image(image: &[u8], what: &str) {
    // One file into another.
    let disk = store_of(image);
    let target = dir().join("new");
    let error = compact_file(
        &disk,
        &file(),
        &target,
        CompactionRequest::default(),
        &mut |_, _| {},
    );
    let error = error.expect_err(what);
    let EngineError::Corrupt {
        path,
        offset,
        what: said,
    } = &error
    else {
        panic!("{what}: {error}")
    };
    assert!(
        path == &file() && *offset > 0 && !said.is_empty(),
        "{what}: {error}"
    );
    assert_eq!(disk.list(&dir()).expect("listed"), ["7.couch.1"], "{what}");

    // Concurrent with commits: on request, and as maintenance.
    for upkeep in [false, true] {
        let disk = store_of(image);
        let (engine, _) = open_with(&disk, EAGER).expect("opens");
        let before = bytes(&disk, &file());
        let job = if upkeep {
            engine.maintenance()
        } else {
            engine.compact(VB, CompactionRequest::default()).ok()
        };
        let error = run(
            &mut *job.expect("due"),
            Budget {
                items: 2,
                bytes: 64,
            },
        )
        .expect_err(what);
        assert_eq!(error.kind(), "corrupt", "{what}: {error}");
        assert_eq!(disk.list(&dir()).expect("listed"), ["7.couch.1"], "{what}");
        assert!(
            bytes(&disk, &file()) == before,
            "{what}: the file is as it was"
        );
        assert!(
            engine.maintenance().is_none(),
            "{what}: upkeep does not try again and again"
        );
        commit(&engine, VB, &[set(7, "a", b"1")]).expect("the vBucket goes on");
    }
}

#[test]
fn lying_by_seqno_row_is_refused() {
    for (what, lie) in lies() {
        refused(&|by_seqno, _| lie_at(by_seqno, &*lie), what);
    }
}

#[test]
fn lying_by_id_row_is_refused() {
    for (what, lie) in lies().into_iter().filter(|(what, _)| !what.contains("key")) {
        refused(
            &|by_seqno, by_id| {
                let other = by_seqno[row(5)].clone();
                lie(
                    by_id
                        .iter_mut()
                        .find(|row| row.seqno == Seqno(3))
                        .expect("there"),
                    &other,
                );
            },
            what,
        );
    }
    refused(&|_, by_id| by_id[3].seqno = Seqno(1), "seqno");
    refused(&|_, by_id| _ = by_id.remove(2), "a row less");
    refused(&|by_seqno, _| _ = by_seqno.remove(2), "a row more");
    let swapped = |_: &mut Vec<DocInfo>, by_id: &mut Vec<DocInfo>| {
        let (first, second) = (by_id[0].seqno, by_id[1].seqno);
        (by_id[0].seqno, by_id[1].seqno) = (second, first);
    };
    refused(&swapped, "seqnos of each other");
}

#[test]
fn row_that_lies_in_both_indexes_is_refused() {
    let gone = |row: &mut DocInfo| (row.body_position, row.physical_bytes) = (0, 0);
    refused(&both(gone, 3), "no body");
    refused(
        &both(
            |row| row.rev_meta = Bytes::from_static(b"16 bytes, as of "),
            3,
        ),
        "metadata",
    );
    refused(
        &both(|row| row.seqno = Seqno(7), 6),
        "a seqno above the highest",
    );
    refused(&both(|row| row.seqno = Seqno(0), 1), "seqno 0");
    let shared = |a: &mut Vec<DocInfo>, b: &mut Vec<DocInfo>| {
        let (position, bytes) = (a[0].body_position, a[0].physical_bytes);
        both(
            move |row| (row.body_position, row.physical_bytes) = (position, bytes),
            4,
        )(a, b);
    };
    refused(&shared, "one body for two");
    let raw = |row: &mut DocInfo| row.body_position = 60;
    refused(&both(raw, 2), "a body that is not a snappy block");
    refused_image(&Craft::of_wrong_sums().image(), "sums");
}

#[test]
fn sound_file_is_compacted() {
    let disk = store_of(&Craft::of_rows(&|_, _| {}).image());
    let (engine, _) = open_with(&disk, EAGER).expect("opens");
    let before = engine
        .snapshot(VB)
        .expect("there")
        .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
        .expect("readable");
    run(&mut *engine.maintenance().expect("due"), Budget::NONE).expect("compacted");
    let after = engine
        .snapshot(VB)
        .expect("there")
        .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
        .expect("readable");
    assert_eq!((before.items.len(), before.items), (6, after.items));
}

/// An unreadable part of the by-id index is built again. Its readable rows must still agree.
#[test]
fn lying_row_next_to_an_unreadable_node_is_refused() {
    refused_image(
        &Craft::of_unreadable_leaf(&|rows, _| rows[row(3)].rev_seqno = 9).image(),
        "by seqno",
    );
    refused_image(
        &Craft::of_unreadable_leaf(&|_, by_id| by_id[0].rev_seqno = 9).image(),
        "by id",
    );
    let disk = store_of(&Craft::of_unreadable_leaf(&|_, _| {}).image());
    let (engine, _) = open_with(&disk, EAGER).expect("opens");
    run(&mut *engine.maintenance().expect("due"), Budget::NONE).expect("compacted");
    assert_eq!(engine.check(VB).expect("readable"), [""; 0]);
    assert_eq!(engine.info(VB).expect("there").items, 6);
}

/// A damaged vBucket must not prevent the others from being compacted.
#[test]
fn maintenance_continues_with_sound_vbuckets() {
    let disk = store_of(&Craft::of_rows(&|rows, _| rows[2].rev_seqno = 9).image());
    let (engine, _) = open_with(&disk, EAGER).expect("opens");
    let other = Vbid(8);
    engine.create(other).expect("created");
    commit(&engine, other, &[set(1, "a", b"1")]).expect("committed");
    let mut done = 0;
    while let Some(mut job) = engine.maintenance() {
        done += usize::from(run(&mut *job, Budget::NONE).is_ok());
        if done > 0 {
            break;
        }
    }
    assert_eq!(done, 1);
    assert!(
        disk.list(&dir())
            .expect("listed")
            .contains(&"8.couch.2".to_owned())
    );
}

/// Reading a row that names no body is an error, never a document without a value.
#[test]
fn live_row_without_a_body_is_an_error_to_readers() {
    let image = Craft::of_rows(&|by_seqno, _| {
        let row = &mut by_seqno[2];
        (row.body_position, row.physical_bytes) = (0, 0);
    });
    let disk = store_of(&image.image());
    let (engine, _) =
        Couchstore::open(Arc::new(disk), &dir(), CouchstoreConfig::DEFAULT).expect("opens");
    let snapshot = engine.snapshot(VB).expect("there");
    let error = snapshot
        .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
        .expect_err("row 3");
    assert!(
        error
            .to_string()
            .contains("seqno 3: a document without a body"),
        "{error}"
    );
    let sound = snapshot
        .get(Namespace::Committed, &Key::new(b"key1"))
        .expect("by key")
        .expect("there");
    assert_eq!(
        (sound.seqno, sound.value.as_deref()),
        (Seqno(3), Some(&b"value 3"[..]))
    );
}
