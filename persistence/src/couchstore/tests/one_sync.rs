//! What is particular to this engine: syncs a commit costs, headers that were not activated, and files in a directory.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use lowtide_checkpoint::{Datatype, Item, Key, Namespace, Seqno, Vbid};

use crate::contract::{Batch, Engine, EngineError, ScanLimit};
use crate::couchstore::config::{CommitMode, CouchstoreConfig};
use crate::couchstore::file::header_search;
use crate::couchstore::format::Header;
use crate::couchstore::format::block::{BLOCK_BYTES, DATA};
use crate::couchstore::tools::CouchFile;
use crate::disk::{Access, Disk, DiskFile, FaultyDisk, Keep, MemoryDisk};

use super::support::{
    VB, commit, contents, delete, dir, file, fixture, open, open_with, set, state, store_with,
};

const TWO_PHASE: CouchstoreConfig = CouchstoreConfig {
    commit: CommitMode::TwoPhase,
    ..CouchstoreConfig::DEFAULT
};

fn syncs(engine: &dyn Engine) -> u64 {
    engine.stats()["syncs"]
}

#[test]
fn a_commit_takes_one_sync_or_two() {
    let large = |seqno| Item {
        datatype: Datatype::SNAPPY,
        ..set(seqno, "large", &vec![7; 5 << 20])
    };
    for (config, expected) in [(CouchstoreConfig::default(), 1), (TWO_PHASE, 2)] {
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(VB).expect("created");
        let before = syncs(&engine);
        commit(&engine, VB, &[set(1, "a", b"1")]).expect("committed");
        assert_eq!(syncs(&engine) - before, expected);
        commit(&engine, VB, &[large(2)]).expect("committed");
        assert_eq!(
            syncs(&engine) - before,
            expected + 2,
            "a large commit takes two"
        );
    }
}

#[test]
fn the_vendor_misses_no_commit_with_two_syncs_and_at_most_one_without() {
    for (config, seen) in [(CouchstoreConfig::default(), 1), (TWO_PHASE, 2)] {
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(VB).expect("created");
        commit(&engine, VB, &[set(1, "a", b"1")]).expect("committed");
        commit(&engine, VB, &[set(2, "b", b"2")]).expect("committed");
        disk.crash(Keep::None);
        let high = || {
            CouchFile::open_read_only(&disk, &file())
                .expect("opens")
                .header()
                .info
                .high
        };
        assert_eq!(high(), Seqno(seen));
        drop(engine);
        let (engine, report) = open_with(&disk, config).expect("opens");
        assert_eq!(report.repairs.len(), 2 - seen as usize);
        assert_eq!(contents(&engine, VB).len(), 2);
        assert_eq!(high(), Seqno(2), "opening for writing activates it");
    }
}

#[test]
fn closing_leaves_nothing_to_repair() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    commit(&engine, VB, &[set(1, "a", b"1")]).expect("committed");
    let pinned = engine.snapshot(VB).expect("there");
    engine.close().expect("closed");
    assert!(commit(&engine, VB, &[set(2, "a", b"2")]).is_err());
    assert!(engine.create(Vbid(9)).is_err());
    assert_eq!(
        pinned
            .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
            .expect("readable")
            .items
            .len(),
        1
    );
    disk.crash(Keep::None);
    let header = CouchFile::open_read_only(&disk, &file())
        .expect("opens")
        .header();
    assert_eq!(header.info.high, Seqno(1));
    drop(engine);
    assert_eq!(open(&disk).expect("opens").1.repairs, []);
}

#[test]
fn the_vendors_unfinished_commits_are_finished_or_cut_off() {
    for (case, high, repairs) in [
        ("e_base", 15, 0),
        ("e_header_not_activated", 15, 1),
        ("e_zero_tail", 15, 0),
        ("e_torn_in_doc", 10, 1),
        ("e_torn_before_header", 10, 1),
        ("e_torn_header_type0", 10, 1),
    ] {
        let disk = store_with(case);
        let (engine, report) = open(&disk).expect("opens");
        assert_eq!(
            report.repairs.len(),
            repairs,
            "{case}: {:?}",
            report.repairs
        );
        assert_eq!(engine.info(VB).expect("there").high, Seqno(high), "{case}");
        assert_eq!(contents(&engine, VB).len(), 10, "{case}");
        commit(&engine, VB, &[set(99, "new", b"1")]).expect("committed");
        assert_eq!(contents(&engine, VB).len(), 11, "{case}");
        engine.close().expect("closed");
        assert_eq!(
            CouchFile::open_read_only(&disk, &file())
                .expect("opens")
                .header()
                .info
                .items,
            11
        );
    }
}

#[test]
fn a_header_derived_from_another_is_no_successor() {
    let disk = store_with("e_header_not_activated");
    let stored = disk.open(&file(), Access::ReadWrite).expect("there");
    let (header, _) = Header::decode(&image(&*stored)[12288..], 12288).expect("complete");
    let stranger = Header {
        previous: 0,
        ..header
    }
    .encode(DATA);
    stored.write_at(&[&stranger], 12288).expect("written");
    let (engine, report) = open(&disk).expect("opens");
    assert_eq!(
        engine.info(VB).expect("there").high,
        Seqno(10),
        "{:?}",
        report.repairs
    );
}

#[test]
fn damage_under_an_activated_header_is_an_error() {
    for case in ["e_torn_in_header", "f_bad_header", "f_bad_blocktype"] {
        let (engine, _) = open(&store_with(case)).expect("opens");
        assert!(
            matches!(
                engine.info(VB),
                Err(EngineError::Corrupt { offset: 12288, .. })
            ),
            "{case}"
        );
    }
    for case in ["i_encrypted_v0_wrapped", "i_encrypted_v1_derived"] {
        let (engine, _) = open(&store_with(case)).expect("opens");
        match engine.info(VB) {
            Err(EngineError::Unsupported { what, .. }) => {
                assert!(what.contains("key test-key-1"), "{what}")
            }
            other => panic!("{case}: {other:?}"),
        }
    }
}

/// A data block begins with 0x00, as does a header that isn't activated: so a body can be one to the last bit.
#[test]
fn a_body_that_imitates_a_header_is_none() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    commit(&engine, VB, &[set(1, "a", b"1")]).expect("committed");
    let view = header_search::newest(
        disk.open(&file(), Access::ReadOnly).expect("there"),
        &file(),
    )
    .expect("opens");
    let boundary = (view.position / BLOCK_BYTES + 1) * BLOCK_BYTES;
    let forged = Header {
        update_seq: 1000,
        previous: view.position,
        ..view.header.clone()
    }
    .encode(DATA);
    let mut body = vec![b'x'; (boundary - view.end - 8) as usize];
    body.extend_from_slice(&forged[1..]);
    body.extend([b'y'; 3000]);
    let item = Item {
        datatype: Datatype::SNAPPY,
        ..set(2, "forged", &body)
    };
    commit(&engine, VB, &[item]).expect("committed");
    drop(engine);

    let stored = disk.open(&file(), Access::ReadWrite).expect("there");
    let mut found = vec![0; forged.len()];
    stored.read_at(&mut found, boundary).expect("readable");
    assert_eq!(found, forged, "the body lies where the test wants it");
    // The commit was never finished: its header is gone, then a part of its data as well, or the beginning of it.
    let all = image(&*stored);
    for damage in 0..3 {
        stored.set_len(0).expect("cut");
        stored
            .write_at(&[&all[..boundary as usize + 2000]], 0)
            .expect("written");
        if damage == 1 {
            stored.set_len(boundary + 512).expect("cut");
        }
        if damage == 2 {
            stored
                .write_at(&[&vec![0; (boundary - view.end) as usize]], view.end)
                .expect("written");
        }
        let (engine, _) = open(&disk).expect("opens");
        assert_eq!(engine.info(VB).expect("there").high, Seqno(1), "{damage}");
    }
}

fn image(file: &dyn DiskFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len().expect("known") as usize];
    file.read_at(&mut bytes, 0).expect("readable");
    bytes
}

#[test]
fn no_damage_makes_reading_panic_or_never_end() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    let items: Vec<Item> = (1..400)
        .map(|seqno| set(seqno, &format!("key-{seqno}"), b"some value"))
        .collect();
    commit(&engine, VB, &items).expect("committed");
    engine.close().expect("closed");
    let stored = disk.open(&file(), Access::ReadWrite).expect("there");
    let all = image(&*stored);
    let mut noticed = 0;
    for at in (0..all.len()).step_by(37) {
        stored
            .write_at(&[&[all[at] ^ 0x81]], at as u64)
            .expect("written");
        let read = || {
            let file = CouchFile::open_read_only(&disk, &file())?;
            file.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)?;
            file.shape(crate::couchstore::format::Tree::ById)?;
            file.local_docs()?;
            for item in &items {
                file.get(Namespace::Committed, &item.key)?;
            }
            Ok::<_, EngineError>(())
        };
        noticed += usize::from(read().is_err());
        stored.write_at(&[&[all[at]]], at as u64).expect("written");
    }
    assert!(noticed * 37 > all.len() / 2, "{noticed}");
}

#[test]
fn wrong_batches_change_nothing() {
    let disk = FaultyDisk::new(MemoryDisk::new());
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    commit(&engine, VB, &[set(5, "a", b"1")]).expect("committed");
    let (before, ios) = (contents(&engine, VB), disk.io_count());
    let long = "k".repeat(4094);
    for batch in [
        vec![set(5, "b", b"")],
        vec![set(6, "b", b""), set(6, "c", b"")],
        vec![set(7, "b", b""), delete(6, "c")],
        vec![set(6, "b", b""), set(7, &long, b"")],
        vec![set(6, "b", b""), set(1 << 48, "c", b"")],
        vec![Item {
            rev_seqno: 1 << 48,
            ..set(6, "b", b"")
        }],
        vec![Item {
            key: Key::in_collection(2, b"b"),
            ..set(6, "b", b"")
        }],
    ] {
        assert!(commit(&engine, VB, &batch).is_err());
    }
    assert!(matches!(
        commit(&engine, Vbid(8), &[]),
        Err(EngineError::UnknownVBucket { .. })
    ));
    assert_eq!((contents(&engine, VB), disk.io_count()), (before, ios));
}

#[test]
fn states_are_committed_with_and_without_items() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    assert_eq!(engine.snapshot(VB).expect("there").state(), None);
    for snapshot_end in [10, 20] {
        let state = state(snapshot_end);
        let batch = Batch {
            vb: VB,
            items: &[],
            state: &state,
            timestamp: 5,
        };
        assert_eq!(
            engine
                .commit(&[batch])
                .pop()
                .expect("one")
                .expect("committed")
                .items,
            0
        );
        assert_eq!(engine.snapshot(VB).expect("there").state(), Some(&state));
    }
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(
        engine.snapshot(VB).expect("there").state(),
        Some(&state(20))
    );
}

#[test]
fn what_was_dropped_never_comes_back() {
    let keeps = [
        Keep::None,
        Keep::All,
        Keep::Random { seed: 1 },
        Keep::Random { seed: 2 },
    ];
    for (keep, again) in keeps
        .into_iter()
        .flat_map(|keep| [(keep, false), (keep, true)])
    {
        let disk = MemoryDisk::new();
        let (engine, _) = open(&disk).expect("opens");
        engine.create(VB).expect("created");
        commit(&engine, VB, &[set(1, "a", b"old")]).expect("committed");
        let pinned = engine.snapshot(VB).expect("there");
        engine.drop_vbucket(VB).expect("dropped");
        assert!(matches!(
            engine.info(VB),
            Err(EngineError::UnknownVBucket { .. })
        ));
        if again {
            engine.create(VB).expect("created");
            assert!(matches!(
                engine.create(VB),
                Err(EngineError::VBucketExists { .. })
            ));
            assert_eq!(disk.list(&dir()).expect("listed"), ["7.couch.2"]);
            assert!(contents(&engine, VB).is_empty());
        }
        assert!(
            pinned
                .get(Namespace::Committed, &Key::new(b"a"))
                .expect("readable")
                .is_some()
        );
        disk.crash(keep);
        drop(engine);
        let (engine, _) = open(&disk).expect("opens");
        assert_eq!(engine.vbuckets().len(), usize::from(again), "{keep:?}");
        assert!(!again || contents(&engine, VB).is_empty());
    }
}

#[test]
fn leftovers_go_and_strangers_stay() {
    let disk = store_with("b_ten");
    for name in [
        "7.couch.boot",
        "9.couch.boot",
        "7.couch.2.compact",
        "notes.txt",
        "master.couch.1",
    ] {
        disk.create(&dir().join(name)).expect("new");
    }
    let newer = std::fs::read(fixture("e_base.couch.1")).expect("fixture");
    disk.create(&dir().join("7.couch.10"))
        .expect("new")
        .write_at(&[&newer], 0)
        .expect("written");
    let (engine, report) = open(&disk).expect("opens");
    assert_eq!(engine.vbuckets(), [VB]);
    assert!(matches!(
        engine.check(Vbid(9)),
        Err(EngineError::UnknownVBucket { .. })
    ));
    assert_eq!(
        engine.info(VB).expect("there").high,
        Seqno(15),
        "10 is newer than 1"
    );
    assert_eq!(
        disk.list(&dir()).expect("listed"),
        ["7.couch.10", "master.couch.1", "notes.txt"]
    );
    let mut named: Vec<PathBuf> = report.repairs.into_iter().map(|(path, _)| path).collect();
    named.sort();
    let names = [
        "7.couch.1",
        "7.couch.2.compact",
        "7.couch.boot",
        "9.couch.boot",
        "notes.txt",
    ];
    assert_eq!(named, names.map(|name| dir().join(name)));
    engine.drop_vbucket(VB).expect("dropped");
    engine.create(VB).expect("created");
    assert!(
        disk.list(&dir())
            .expect("listed")
            .contains(&"7.couch.11".to_owned())
    );
}

#[test]
fn a_store_is_open_once() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(open(&disk).expect_err("locked").kind(), "locked");
    engine.close().expect("closed");
    open(&disk).expect("closing lets go");
}

#[test]
fn prepares_on_disk_are_counted() {
    use lowtide_checkpoint::Operation::{Abort, Prepare};
    let item = |seqno, operation, key: &[u8]| Item {
        seqno: Seqno(seqno),
        value: (operation == Prepare).then(|| Bytes::from_static(b"x")),
        ..Item::new(operation, Key::new(key))
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
    commit(
        &engine,
        VB,
        &[item(1, Prepare, b"a"), item(2, Prepare, b"b")],
    )
    .expect("committed");
    assert_eq!(counted(), "2");
    commit(&engine, VB, &[item(3, Prepare, b"a"), item(4, Abort, b"b")]).expect("committed");
    assert_eq!(counted(), "1");
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    commit(&engine, VB, &[item(5, Abort, b"a")]).expect("committed");
    assert_eq!(counted(), "0");
}

#[test]
fn readers_do_not_wait_for_writers() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    let engine = Arc::new(engine);
    engine.create(VB).expect("created");
    let writer = {
        let engine = Arc::clone(&engine);
        std::thread::spawn(move || {
            for seqno in 1..200 {
                commit(
                    &*engine,
                    VB,
                    &[set(2 * seqno, "a", b"x"), set(2 * seqno + 1, "b", b"y")],
                )
                .expect("committed");
            }
        })
    };
    while !writer.is_finished() {
        let found: Vec<u64> = contents(&*engine, VB).into_keys().collect();
        assert!(
            matches!(found[..], []) || matches!(found[..], [a, b] if a % 2 == 0 && b == a + 1),
            "{found:?}"
        );
    }
    writer.join().expect("no panic");
}
