//! Opening files that a crash, the vendor or damage left behind: unfinished commits, forged
//! headers, bad blocks.

use lowtide_checkpoint::{Datatype, Item, Namespace, Seqno, Vbid};

use crate::contract::{Engine, EngineError, ScanLimit};
use crate::couchstore::file::header_search;
use crate::couchstore::format::block::{BLOCK_BYTES, DATA};
use crate::couchstore::format::{Header, Tree};
use crate::couchstore::tools::CouchFile;
use crate::disk::{Access, Disk, DiskFile, MemoryDisk, PowerLoss};

use super::support::{VB, commit, contents, file, open, set, store_with};

fn image(file: &dyn DiskFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len().expect("known") as usize];
    file.read_at(&mut bytes, 0).expect("readable");
    bytes
}

#[test]
fn closed_store_needs_no_repair() {
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
    disk.crash(PowerLoss::DropUnsynced);
    let header = CouchFile::open_read_only(&disk, &file())
        .expect("opens")
        .header();
    assert_eq!(header.info.high, Seqno(1));
    drop(engine);
    assert_eq!(open(&disk).expect("opens").1.repairs, []);
}

#[test]
fn unfinished_commits_of_the_vendor_are_completed_or_cut_off() {
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
fn header_derived_from_another_is_not_a_successor() {
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

/// A data block begins with 0x00, and so does a header that is not activated: a body can equal one
/// to the last bit.
#[test]
fn body_that_imitates_a_header_is_ignored() {
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
    // The commit was never completed: its header is lost, then a part of its data too, or its
    // beginning.
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

#[test]
fn reading_ends_without_panic_for_any_damage() {
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
            file.shape(Tree::ById)?;
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
