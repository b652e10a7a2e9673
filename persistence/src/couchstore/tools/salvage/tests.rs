//! T5: damage of every kind. All that is readable is saved to a file that passes the check, and
//! every row that is not saved is reported.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lowtide_checkpoint::{Item, Seqno};

use crate::contract::{EngineError, ScanLimit};
use crate::couchstore::file::Keyring;
use crate::couchstore::format::DocInfo;
use crate::couchstore::tests::craft::Craft;
use crate::couchstore::tools::couch_file::CouchFile;
use crate::couchstore::tools::{Finding, check_file};
use crate::disk::{Access, Disk, DiskErrorKind, MemoryDisk};

use super::loss::{Loss, Salvaged};
use super::salvage_file::salvage;

fn fixture(case: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/couchstore");
    std::fs::read(dir.join(format!("{case}.couch.1"))).expect("fixture")
}

fn source() -> PathBuf {
    PathBuf::from("/old/7.couch.1")
}

fn target() -> PathBuf {
    PathBuf::from("/new/7.couch.1")
}

fn disk_with(bytes: &[u8]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    for dir in ["/old", "/new"] {
        disk.create_dir(Path::new(dir)).expect("made");
    }
    disk.create(&source())
        .expect("new")
        .write_at(&[bytes], 0)
        .expect("written");
    disk
}

fn items(file: &CouchFile) -> BTreeMap<u64, Item> {
    let slice = file
        .scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
        .expect("readable");
    slice
        .items
        .into_iter()
        .map(|item| (item.seqno.0, item))
        .collect()
}

fn saved(disk: &MemoryDisk) -> Result<(Salvaged, Vec<Loss>, CouchFile), EngineError> {
    let mut lost = Vec::new();
    let salvaged = salvage(disk, &source(), &target(), &Keyring::new(), &mut lost)?;
    assert_eq!(salvaged.losses, lost.len() as u64);
    let mut found: Vec<Finding> = Vec::new();
    check_file(disk, &target(), &Keyring::new(), &mut found)?;
    assert_eq!(found, [], "what was saved is in order");
    let file = CouchFile::open_read_only(disk, &target())?;
    assert_eq!(file.header().version, 14);
    Ok((salvaged, lost, file))
}

fn of(case: &str) -> (Salvaged, Vec<Loss>, CouchFile, MemoryDisk) {
    let disk = disk_with(&fixture(case));
    let (salvaged, lost, file) = saved(&disk).expect("something is readable");
    (salvaged, lost, file, disk)
}

#[test]
fn salvage_of_a_sound_file_loses_nothing() {
    for case in [
        "a_empty",
        "b_ten",
        "d_rich",
        "e_base",
        "g_ten_v11",
        "g_ten_v12",
        "g_ten_v13",
        "h_boundary",
        "j_v6.6.5_d_rich",
        "k_compact_drop_d_rich",
    ] {
        let (salvaged, lost, file, disk) = of(case);
        let before = CouchFile::open_read_only(&disk, &source()).expect("opens");
        assert_eq!(lost, [], "{case}");
        assert_eq!(items(&file), items(&before), "{case}");
        assert_eq!(file.header().info, before.header().info, "{case}");
        assert_eq!(file.header().timestamp, before.header().timestamp, "{case}");
        assert_eq!(
            file.state().expect("readable"),
            before.state().expect("readable"),
            "{case}"
        );
        let names = |file: &CouchFile| {
            file.local_docs()
                .expect("readable")
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&file), names(&before), "{case}");
        assert_eq!(
            (salvaged.rows, salvaged.found_by_key),
            (items(&file).len() as u64, 0),
            "{case}"
        );
    }
}

#[test]
fn damaged_index_is_rebuilt_from_the_other() {
    let whole = items(&of("e_base").2);
    for (case, found_by_key) in [("f_bad_seq_root", 10), ("f_bad_id_root", 0)] {
        let (salvaged, lost, file, _) = of(case);
        assert_eq!(lost, [], "{case}");
        assert_eq!(items(&file), whole, "{case}");
        assert_eq!(salvaged.found_by_key, found_by_key, "{case}");
    }
}

#[test]
fn unreadable_document_is_named() {
    let whole = items(&of("e_base").2);
    for (case, why) in [
        ("f_bad_doc", "checksum of chunk does not match"),
        ("f_bad_len", "no chunk begins here"),
    ] {
        let (_, lost, file, _) = of(case);
        assert_eq!(lost.len(), 1, "{case}");
        assert_eq!(lost[0].key_shown().as_deref(), Some("key02"), "{case}");
        assert_eq!(
            (lost[0].rows, lost[0].offset, lost[0].what.as_str()),
            (Some(1), 5459, why),
            "{case}"
        );
        let (first, last) = lost[0].seqnos.expect("known");
        let mut expected = whole.clone();
        assert!(
            first == last && expected.remove(&first.0).is_some(),
            "{case}"
        );
        assert_eq!(items(&file), expected, "{case}");
        assert_eq!(
            file.header().info.high,
            Seqno(15),
            "{case}: no seqno is used twice"
        );
    }
}

#[test]
fn older_header_counts_if_the_newest_is_damaged() {
    let before = of("e_torn_in_doc");
    for case in ["e_torn_in_header", "f_bad_header", "f_bad_blocktype"] {
        let (salvaged, lost, file, _) = of(case);
        assert_eq!(
            (salvaged.header, salvaged.high),
            (4096, Seqno(10)),
            "{case}"
        );
        assert_eq!(
            (lost.len(), lost[0].offset),
            (1, 12_288),
            "{case}: {lost:?}"
        );
        assert_eq!(items(&file), items(&before.2), "{case}");
    }
}

#[test]
fn failed_salvage_leaves_nothing() {
    for (bytes, kind) in [
        (vec![0; 9000], "corrupt"),
        (Vec::new(), "corrupt"),
        (fixture("i_encrypted_v1_derived"), "key-missing"),
    ] {
        let disk = disk_with(&bytes);
        assert_eq!(saved(&disk).expect_err("nothing there").kind(), kind);
        assert_eq!(disk.list(Path::new("/new")).expect("listed"), [""; 0]);
    }
    let disk = disk_with(&fixture("b_ten"));
    disk.create(&target())
        .expect("new")
        .write_at(&[b"precious"], 0)
        .expect("written");
    let refused = saved(&disk).expect_err("taken");
    assert!(
        matches!(refused, EngineError::Disk(error) if error.kind == DiskErrorKind::AlreadyExists)
    );
    assert_eq!(
        disk.open(&target(), Access::ReadOnly)
            .expect("there")
            .len()
            .expect("known"),
        8
    );
}

/// For every changed byte, saved rows are as they were, and lost rows are reported, each or by
/// their number.
#[test]
fn rows_are_saved_or_reported() {
    for (case, step) in [("e_base", 7), ("d_rich", 7), ("h_boundary", 997)] {
        let sound = fixture(case);
        let disk = disk_with(&sound);
        let mut commits = Vec::new();
        let mut next = Some(CouchFile::open_read_only(&disk, &source()).expect("opens"));
        while let Some(file) = next {
            commits.push((file.header().position, items(&file)));
            next = file.older().expect("sound");
        }
        let (mut complete, mut partial) = (0, 0);
        for at in (0..sound.len()).step_by(step) {
            let file = disk.open(&source(), Access::ReadWrite).expect("there");
            file.write_at(&[&[sound[at] ^ 0x55]], at as u64)
                .expect("written");
            let (salvaged, lost, saved) =
                saved(&disk).unwrap_or_else(|error| panic!("{case} {at}: {error}"));
            let before = commits
                .iter()
                .find(|(position, _)| *position == salvaged.header);
            let before = &before.expect("a header of the file").1;
            let after = items(&saved);
            for (seqno, item) in &after {
                assert_eq!(before.get(seqno), Some(item), "{case} {at}");
            }
            let lost_rows: u64 = lost
                .iter()
                .filter(|loss| loss.seqnos.is_some())
                .filter_map(|loss| loss.rows)
                .sum();
            assert_eq!(
                after.len() as u64 + lost_rows,
                before.len() as u64,
                "{case} {at}: {lost:?}"
            );
            complete += usize::from(lost.is_empty());
            partial += usize::from(!lost.is_empty());
            file.write_at(&[&[sound[at]]], at as u64).expect("written");
            disk.remove(&target()).expect("removed");
        }
        assert!(complete > 0 && partial > 0, "{case}: {complete} {partial}");
    }
}

#[test]
fn row_missing_in_both_indexes_is_counted() {
    let mut bytes = fixture("e_base");
    // A byte of each root: by id, by seqno.
    for at in [7346 + 20, 7610 + 20] {
        bytes[at] ^= 1;
    }
    let (_, lost, file) = saved(&disk_with(&bytes)).expect("a header is whole");
    assert_eq!(items(&file).len(), 0);
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(
        (lost[0].rows, lost[0].seqnos, lost[0].offset),
        (Some(10), Some((Seqno(1), Seqno(15))), 7610)
    );
    assert_eq!(
        (
            file.header().info.high,
            file.local_docs().expect("readable").len()
        ),
        (Seqno(15), 1)
    );
}

/// Files that contradict themselves under good checksums.
#[test]
fn contradictions_are_resolved_or_reported() {
    let of = |rows: &dyn Fn(&mut Vec<DocInfo>, &mut Vec<DocInfo>)| {
        let (salvaged, lost, file) =
            saved(&disk_with(&Craft::of_rows(rows).image())).expect("readable");
        (salvaged, lost, items(&file).into_keys().collect::<Vec<_>>())
    };
    let (_, lost, seqnos) = of(&|_, _| {});
    assert_eq!((lost, seqnos), (vec![], vec![1, 2, 3, 4, 5, 6]));
    // A row that only one index has is still a row.
    let (salvaged, lost, seqnos) = of(&|by_seqno, _| _ = by_seqno.remove(2));
    assert_eq!(
        (salvaged.found_by_key, lost, seqnos),
        (1, vec![], vec![1, 2, 3, 4, 5, 6])
    );
    let (_, lost, seqnos) = of(&|_, by_id| _ = by_id.remove(2));
    assert_eq!((lost, seqnos), (vec![], vec![1, 2, 3, 4, 5, 6]));
    // Leaves that overlap lose nothing if the other index agrees.
    let (_, lost, seqnos) = of(&|by_seqno, _| by_seqno.swap(1, 2));
    assert_eq!((lost, seqnos), (vec![], vec![1, 2, 3, 4, 5, 6]));
    let (_, lost, seqnos) = of(&|by_seqno, _| by_seqno[2].seqno = Seqno(2));
    assert_eq!(
        (lost, seqnos),
        (vec![], vec![1, 2, 3, 4, 5, 6]),
        "the other index has its seqno"
    );
    // A document must not become a tombstone.
    let (_, lost, seqnos) = of(&|by_seqno, by_id| {
        let row = by_seqno
            .iter_mut()
            .chain(by_id)
            .filter(|row| row.seqno == Seqno(4));
        row.for_each(|row| (row.body_position, row.physical_bytes) = (0, 0));
    });
    assert_eq!(
        (lost.len(), lost[0].what.as_str()),
        (1, "a document without a body")
    );
    assert_eq!(seqnos, [1, 2, 3, 5, 6]);
}
