//! Rows that lie under right checksums, in one index or in both: compaction refuses them and leaves the file alone, and what
//! is saved of the file is the row that is sound (E13, T5).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{Item, Key, Namespace, Seqno};

use crate::contract::{Budget, CompactionRequest, Engine, EngineError, Job, Progress, ScanLimit};
use crate::couchstore::compact::compact_file;
use crate::couchstore::config::{CompactionConfig, CouchstoreConfig};
use crate::couchstore::engine::Couchstore;
use crate::couchstore::file::Keyring;
use crate::couchstore::format::{DocInfo, RevisionMeta};
use crate::couchstore::tools::{CouchFile, Loss, salvage};
use crate::disk::{Access, Disk, MemoryDisk};

use super::craft::{Craft, OnRows, both};
use super::support::{VB, commit, dir, file, fixture, open_with, set};

/// Everything is worth compacting.
const EAGER: CouchstoreConfig = CouchstoreConfig {
    compaction: CompactionConfig {
        fragmentation_percent: Some(0),
        file_bytes_min: 0,
        ..CompactionConfig::DEFAULT
    },
    ..CouchstoreConfig::DEFAULT
};

/// A store whose only file is this one.
fn store_of(image: &[u8]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir(&dir()).expect("made");
    disk.create(&file())
        .expect("new")
        .write_at(&[image], 0)
        .expect("written");
    disk
}

fn bytes(disk: &MemoryDisk, path: &Path) -> Vec<u8> {
    let file = disk.open(path, Access::ReadOnly).expect("there");
    let mut bytes = vec![0; file.len().expect("known") as usize];
    file.read_at(&mut bytes, 0).expect("readable");
    bytes
}

fn run(job: &mut dyn Job, budget: Budget) -> Result<(), EngineError> {
    while !matches!(job.step(budget)?, Progress::Done(_)) {}
    Ok(())
}

const fn row(seqno: usize) -> usize {
    seqno - 1
}

/// Changes a row; the other one is a sound row of the file.
type Lie = Box<dyn Fn(&mut DocInfo, &DocInfo)>;

/// Each field of a by-seqno row made to lie, the by-id row being whole.
fn lies() -> Vec<(&'static str, Lie)> {
    vec![
        ("body position 0", Box::new(|row, _| row.body_position = 0)),
        (
            "no body at all",
            Box::new(|row, _| (row.body_position, row.physical_bytes) = (0, 0)),
        ),
        (
            "body where none is",
            Box::new(|row, _| row.body_position += 1),
        ),
        (
            "body beyond the file",
            Box::new(|row, _| row.body_position = 1 << 40),
        ),
        (
            "another row's body",
            Box::new(|row, other| row.body_position = other.body_position),
        ),
        ("size", Box::new(|row, _| row.physical_bytes -= 1)),
        ("compression", Box::new(|row, _| row.content_meta = 0)),
        ("a tombstone", Box::new(|row, _| row.deleted = true)),
        (
            "metadata of no known layout",
            Box::new(|row, _| row.rev_meta = Bytes::from_static(b"16 bytes, as of ")),
        ),
        (
            "metadata",
            Box::new(|row, _| {
                row.rev_meta = RevisionMeta {
                    cas: 9,
                    ..RevisionMeta::default()
                }
                .encode()
            }),
        ),
        ("revision", Box::new(|row, _| row.rev_seqno = 9)),
        (
            "another key",
            Box::new(|row, _| row.id = Bytes::from_static(b"\0key9")),
        ),
        (
            "another row's key",
            Box::new(|row, other| row.id = other.id.clone()),
        ),
    ]
}

fn refused(rows: OnRows<'_>, what: &str) {
    let image = Craft::of_rows(rows).image();
    refused_image(&image, what);
}

fn refused_image(image: &[u8], what: &str) {
    // A file into another.
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

    // Beside commits: on request, and as upkeep.
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
fn a_lying_by_seqno_row_is_not_compacted_away() {
    for (what, lie) in lies() {
        refused(&|by_seqno, _| lie_at(by_seqno, &*lie), what);
    }
}

fn lie_at(rows: &mut [DocInfo], lie: &dyn Fn(&mut DocInfo, &DocInfo)) {
    let other = rows[row(5)].clone();
    lie(&mut rows[row(3)], &other);
}

#[test]
fn a_lying_by_id_row_is_not_compacted_away() {
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
fn what_lies_in_both_indexes_is_not_compacted_away() {
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
    refused(&both(raw, 2), "a body that is no snappy block");
    refused_image(&Craft::of_wrong_sums().image(), "sums");
}

#[test]
fn a_sound_file_is_compacted() {
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

/// A by-id index that can't be read everywhere is made anew; what can be read of it still speaks.
#[test]
fn a_lying_row_beside_an_unreadable_node_is_not_compacted_away() {
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

/// A damaged vBucket must not keep the others from being compacted.
#[test]
fn upkeep_goes_on_with_the_vbuckets_that_are_sound() {
    let disk = store_of(&Craft::of_rows(&|rows, _| rows[2].rev_seqno = 9).image());
    let (engine, _) = open_with(&disk, EAGER).expect("opens");
    let other = lowtide_checkpoint::Vbid(8);
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

/// What is read through a row that names no body is an error, never a document without a value.
#[test]
fn a_live_document_without_a_body_is_an_error_to_readers() {
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

fn saved(rows: OnRows<'_>) -> (Vec<Loss>, BTreeMap<u64, Item>) {
    let disk = store_of(&Craft::of_rows(rows).image());
    let target = PathBuf::from("/saved");
    let mut lost = Vec::new();
    salvage(&disk, &file(), &target, &Keyring::new(), &mut lost).expect("something is readable");
    let items = CouchFile::open_read_only(&disk, &target).expect("opens");
    let items = items
        .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
        .expect("sound")
        .items;
    (
        lost,
        items.into_iter().map(|item| (item.seqno.0, item)).collect(),
    )
}

/// Whichever index lies: the sound row is saved; and where nothing tells which it is, the doubt is told.
#[test]
fn the_sound_row_is_saved_whichever_index_has_it() {
    let (lost, whole) = saved(&|_, _| {});
    assert_eq!((lost, whole.len()), (vec![], 6));
    // Both rows can be read, and nothing else speaks for one of them.
    let doubtful = [
        "compression",
        "a tombstone",
        "metadata",
        "revision",
        "another key",
    ];
    for (what, lie) in lies() {
        let (lost, items) = saved(&|by_seqno, _| lie_at(by_seqno, &*lie));
        assert_eq!(items, whole, "{what} by seqno: {lost:?}");
        assert_eq!(
            lost.len(),
            usize::from(doubtful.contains(&what)),
            "{what} by seqno: {lost:?}"
        );
        assert!(
            lost.iter().all(|loss| loss.rows == Some(0)),
            "{what}: {lost:?}"
        );
        if what.contains("key") {
            continue;
        }
        let (lost, items) = saved(&|by_seqno, by_id| {
            let other = by_seqno[row(5)].clone();
            lie(
                by_id
                    .iter_mut()
                    .find(|row| row.seqno == Seqno(3))
                    .expect("there"),
                &other,
            );
        });
        if doubtful.contains(&what) {
            assert_eq!((lost.len(), items.len()), (1, 6), "{what} by id: {lost:?}");
        } else {
            assert_eq!((items, lost), (whole.clone(), vec![]), "{what} by id");
        }
    }
    for (what, rows) in [
        (
            "seqno",
            &(|_: &mut Vec<DocInfo>, by_id: &mut Vec<DocInfo>| by_id[3].seqno = Seqno(1))
                as OnRows<'_>,
        ),
        ("seqno 0", &|_, by_id| by_id[3].seqno = Seqno(0)),
        ("a row less by id", &|_, by_id| _ = by_id.remove(2)),
        ("a row less by seqno", &|by_seqno, _| _ = by_seqno.remove(2)),
        ("out of order", &|by_seqno, _| by_seqno[2].seqno = Seqno(2)),
    ] {
        let (lost, items) = saved(rows);
        assert_eq!((items, lost), (whole.clone(), vec![]), "{what}");
    }
}

#[test]
fn what_is_sound_in_neither_index_is_told() {
    let (lost, items) = saved(&both(
        |row| (row.body_position, row.physical_bytes) = (0, 0),
        3,
    ));
    assert_eq!(
        (lost.len(), lost[0].seqnos),
        (1, Some((Seqno(3), Seqno(3)))),
        "{lost:?}"
    );
    assert_eq!(items.into_keys().collect::<Vec<_>>(), [1, 2, 4, 5, 6]);
    let swapped = |_: &mut Vec<DocInfo>, by_id: &mut Vec<DocInfo>| {
        let (first, second) = (by_id[0].seqno, by_id[1].seqno);
        (by_id[0].seqno, by_id[1].seqno) = (second, first);
    };
    let (lost, items) = saved(&swapped);
    assert_eq!((lost.len(), items.len()), (2, 6), "{lost:?}");
}

/// The tools are tested with a file of this kind.
#[test]
fn the_crafted_fixture_has_a_row_that_names_no_body() {
    let image = Craft::of_rows(&|by_seqno, _| by_seqno[row(3)].body_position = 0).image();
    let path = fixture("")
        .with_file_name("crafted")
        .join("lying_row.couch.1");
    assert!(std::fs::read(path).expect("fixture") == image);
}
