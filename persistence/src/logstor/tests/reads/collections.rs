//! The highest seqnos of collections (L40, L41): known after every operation, and spared by every
//! purge.

use std::collections::BTreeMap;

use lowtide_checkpoint::{Item, Key, Operation, Seqno, Vbid};

use crate::contract::{Engine, RolledBack};
use crate::disk::{MemoryDisk, PowerLoss};
use crate::logstor::Logstor;
use crate::logstor::tests::support::{
    A, B, C, IMAGES, audit, commit, contents, contents_of, delete, hide_images, in_collection,
    make_image, open_with, run, set,
};

fn in_8(item: Item) -> Item {
    in_collection(8, item)
}

fn highs(engine: &Logstor, vb: Vbid) -> BTreeMap<u32, u64> {
    engine
        .store
        .registry
        .loaded(vb)
        .expect("there")
        .high_seqnos()
        .iter()
        .collect()
}

fn seqnos(engine: &Logstor) -> Vec<u64> {
    contents(engine, A).into_keys().collect()
}

/// Returns a store in which a purge spared the tombstone of collection 8 at 2, and took the one of
/// the default collection at 3.
fn spared(disk: &MemoryDisk) -> Logstor {
    let (engine, _) = open_with(disk, IMAGES).expect("opens");
    engine.create(A).expect("created");
    let batch = [
        in_8(set(1, "a", b"1")),
        in_8(delete(2, "a")),
        delete(3, "b"),
        set(4, "c", b"4"),
    ];
    commit(&engine, A, &batch).expect("committed");
    assert_eq!(engine.purge(A, Seqno(9)).expect("purged"), Seqno(3));
    assert_eq!(seqnos(&engine), [2, 4]);
    engine
}

fn reopened(disk: &MemoryDisk, engine: Logstor) -> Logstor {
    drop(engine);
    disk.crash(PowerLoss::DropUnsynced);
    let (engine, _) = open_with(disk, IMAGES).expect("opens");
    engine
}

#[test]
fn tombstone_spared_by_one_purge_is_taken_by_the_next_if_no_longer_highest() {
    let disk = MemoryDisk::new();
    let engine = reopened(&disk, spared(&disk));
    assert_eq!(seqnos(&engine), [2, 4]);
    assert_eq!(engine.purge(A, Seqno(9)).expect("purged"), Seqno(3));
    assert_eq!(engine.stats()["tombstones-purged"], 0, "nothing is due");
    commit(&engine, A, &[in_8(set(5, "d", b"5"))]).expect("committed");
    let pinned = engine.snapshot(A).expect("there");
    assert_eq!(engine.purge(A, Seqno(1)).expect("purged"), Seqno(3));
    assert_eq!(seqnos(&engine), [2, 4, 5], "it lies above");
    assert_eq!(engine.purge(A, Seqno(2)).expect("purged"), Seqno(3));
    assert_eq!(seqnos(&engine), [4, 5]);
    assert_eq!(
        contents_of(&*pinned).into_keys().collect::<Vec<_>>(),
        [2, 4, 5],
        "a view never changes"
    );
    drop(pinned);
    audit(&engine, true);
    let engine = reopened(&disk, engine);
    assert_eq!(seqnos(&engine), [4, 5]);
    audit(&engine, true);
}

/// The tombstone's key is written again. The tombstone is shown neither together with the new
/// record, nor after a rollback.
#[test]
fn key_of_a_spared_tombstone_can_be_written_again() {
    let disk = MemoryDisk::new();
    let engine = spared(&disk);
    commit(
        &engine,
        A,
        &[in_8(set(5, "a", b"5")), delete(6, "x"), set(7, "y", b"7")],
    )
    .expect("committed");
    assert_eq!(engine.purge(A, Seqno(9)).expect("purged"), Seqno(6));
    assert_eq!(seqnos(&engine), [4, 5, 7]);
    audit(&engine, true);
    let engine = reopened(&disk, engine);
    assert_eq!(seqnos(&engine), [4, 5, 7]);
    assert_eq!(highs(&engine, A), [(0, 7), (8, 5)].into());
}

#[test]
fn rollback_restores_the_highest_seqnos_of_its_seqno() {
    let disk = MemoryDisk::new();
    let engine = spared(&disk);
    let pinned = engine.snapshot(A).expect("there");
    let then = contents_of(&*pinned);
    commit(
        &engine,
        A,
        &[in_8(set(5, "d", b"5")), in_collection(9, set(6, "e", b"6"))],
    )
    .expect("committed");
    engine.purge(A, Seqno(9)).expect("purged");
    assert_eq!(
        seqnos(&engine),
        [4, 5, 6],
        "2 is the highest of its collection no more"
    );
    assert_eq!(
        engine.rollback(A, Seqno(4)).expect("back"),
        RolledBack::Done { high: Seqno(4) }
    );
    drop(pinned);
    let is_as_then = |engine: &Logstor| {
        assert_eq!(contents(engine, A), then, "and is again");
        assert_eq!(highs(engine, A), [(0, 4), (8, 2)].into());
        assert_eq!(engine.purge(A, Seqno(9)).expect("purged"), Seqno(3));
        assert_eq!(contents(engine, A), then);
    };
    is_as_then(&engine);
    is_as_then(&reopened(&disk, engine));
}

/// Aborts and prepares belong to their collection. System events are about one.
#[test]
fn highest_seqno_of_a_collection_counts_its_items_and_no_system_events() {
    let event = |seqno, deleted| Item {
        seqno: Seqno(seqno),
        deleted,
        ..Item::new(Operation::SystemEvent, Key::in_collection(8, b"name"))
    };
    let durable = |operation, seqno| Item {
        seqno: Seqno(seqno),
        ..Item::new(operation, Key::in_collection(9, b"durable"))
    };
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    engine.create(A).expect("created");
    let items = [
        in_8(delete(1, "a")),
        event(2, true),
        durable(Operation::Prepare, 3),
        durable(Operation::Abort, 4),
        set(5, "end", b"5"),
    ];
    commit(&engine, A, &items).expect("committed");
    let known = [(0, 5), (8, 1), (9, 4)].into();
    assert_eq!(highs(&engine, A), known);
    assert_eq!(
        engine.purge(A, Seqno(9)).expect("purged"),
        Seqno(2),
        "the event"
    );
    assert_eq!(engine.info(A).expect("there").deleted, 2);
    drop(engine);
    for has_image in [false, true] {
        let (engine, _) = open_with(&disk, IMAGES).expect("opens");
        assert_eq!(highs(&engine, A), known, "with an image: {has_image}");
        make_image(&engine).expect("made");
    }
}

/// Guards that the seqnos of an image are merged with later appends, and that a vBucket the image
/// does not know is scanned.
#[test]
fn highest_seqnos_are_those_of_the_image_and_of_later_commits() {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    for vb in [A, B, C] {
        engine.create(vb).expect("created");
        commit(
            &engine,
            vb,
            &[in_8(set(1, "a", b"1")), in_collection(9, set(2, "b", b"2"))],
        )
        .expect("committed");
    }
    let pinned = engine.snapshot(C).expect("there");
    commit(&engine, C, &[in_8(set(3, "a", b"3"))]).expect("committed");
    make_image(&engine).expect("made");
    commit(&engine, A, &[in_8(set(3, "c", b"3")), set(4, "d", b"4")]).expect("committed");
    engine.rollback(C, Seqno(2)).expect("back");
    drop(pinned);
    drop(engine);
    let expected = [
        (A, vec![(0, 4), (8, 3), (9, 2)]),
        (B, vec![(8, 1), (9, 2)]),
        (C, vec![(8, 1), (9, 2)]),
    ];
    for is_hidden in [false, true] {
        hide_images(&disk, is_hidden);
        let (engine, report) = open_with(&disk, IMAGES).expect("opens");
        assert_eq!(
            report.notes[0].contains("without an index image"),
            is_hidden,
            "{report:?}"
        );
        for (vb, expected) in &expected {
            assert_eq!(
                highs(&engine, *vb),
                expected.iter().copied().collect(),
                "{vb}"
            );
        }
        audit(&engine, true);
    }
    hide_images(&disk, false);
    // The next image is built on that one.
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    make_image(&engine).expect("made");
    drop(engine);
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    for (vb, expected) in &expected {
        assert_eq!(
            highs(&engine, *vb),
            expected.iter().copied().collect(),
            "{vb}, of the next image"
        );
    }
}

#[test]
fn spared_tombstones_move_with_their_vbucket() {
    let (source, disk) = (spared(&MemoryDisk::new()), MemoryDisk::new());
    let mut export = source.export(A).expect("there");
    let mut bytes = Vec::new();
    while let Some(piece) = export.next_piece().expect("readable") {
        bytes.extend(piece);
    }
    let (engine, _) = open_with(&disk, IMAGES).expect("opens");
    run(engine
        .import(A, Box::new(std::io::Cursor::new(bytes)))
        .expect("begun"))
    .expect("imported");
    assert_eq!(seqnos(&engine), [2, 4]);
    let engine = reopened(&disk, engine);
    assert_eq!(
        (seqnos(&engine), highs(&engine, A)),
        (vec![2, 4], [(0, 4), (8, 2)].into())
    );
    commit(&engine, A, &[in_8(set(5, "d", b"5"))]).expect("committed");
    engine.purge(A, Seqno(9)).expect("purged");
    assert_eq!(seqnos(&engine), [4, 5]);
}
