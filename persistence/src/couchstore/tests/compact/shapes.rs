//! The vendor's files, compacted: the same documents, and trees cut as the vendor's own compaction
//! cuts them.

use std::fs;

use lowtide_checkpoint::Seqno;

use crate::contract::{CompactionReport, CompactionRequest, Engine, EngineError};
use crate::couchstore::btree::{self, Action};
use crate::couchstore::file::{Appender, Source, header_search};
use crate::couchstore::format::{Checksum, Header, Tree, block, by_id, by_seqno};
use crate::couchstore::tests::commit::replay::{rows, shape};
use crate::couchstore::tests::support::{
    VB, commit, contents, dir, file, fixture, open, set, store_with,
};
use crate::couchstore::tools::CouchFile;
use crate::disk::{Access, Disk, MemoryDisk};

use super::{SMALL, compact, to_end};

fn compacted(case: &str, request: CompactionRequest) -> (CouchFile, CouchFile, CompactionReport) {
    let disk = store_with(case);
    let (engine, _) = open(&disk).expect("opens");
    let before = CouchFile::open_read_only(&disk, &file()).expect("opens");
    let report = compact(&engine, VB, request);
    assert_eq!(disk.list(&dir()).expect("listed"), ["7.couch.2"], "{case}");
    let after = CouchFile::open_read_only(&disk, &dir().join("7.couch.2")).expect("opens");
    assert_eq!(
        report.bytes_after,
        after.header().position + header_bytes(&disk),
        "{case}"
    );
    (before, after, report)
}

/// Returns the bytes from the last header's position on.
fn header_bytes(disk: &MemoryDisk) -> u64 {
    let path = dir().join("7.couch.2");
    let len = disk
        .open(&path, Access::ReadOnly)
        .expect("there")
        .len()
        .expect("known");
    len - CouchFile::open_read_only(disk, &path)
        .expect("opens")
        .header()
        .position
}

const SOUND: [&str; 21] = [
    "a_created",
    "a_empty",
    "b_ten",
    "d_rich",
    "e_base",
    "e_header_not_activated",
    "e_torn_before_header",
    "e_torn_header_type0",
    "e_torn_in_doc",
    "e_zero_tail",
    "g_ten_v11",
    "g_ten_v12",
    "g_ten_v13",
    "h_boundary",
    "j_v6.6.5_b_ten",
    "j_v6.6.5_d_rich",
    "j_v6.6.5_h_boundary",
    "j_v7.6.11_b_ten",
    "j_v7.6.11_d_rich",
    "j_v7.6.11_h_boundary",
    "k_compact_h_boundary",
];

#[test]
fn every_file_of_the_vendor_keeps_its_documents() {
    for case in SOUND {
        let (before, after, report) = compacted(case, CompactionRequest::default());
        assert_eq!(rows(&before), rows(&after), "{case}");
        assert_eq!(
            before.state().expect("readable"),
            after.state().expect("readable"),
            "{case}"
        );
        let (old, new) = (before.header(), after.header());
        assert_eq!(
            (old.info, old.timestamp),
            (new.info, new.timestamp),
            "{case}"
        );
        assert_eq!((new.version, new.previous), (14, None), "{case}");
        assert_eq!(report.items_copied, rows(&before).len() as u64, "{case}");
        if !case.ends_with("d_rich") {
            // Their states count no prepare, which the first commit or compaction corrects.
            assert_eq!(
                before.local_docs().expect("readable"),
                after.local_docs().expect("readable"),
                "{case}"
            );
        }
    }
}

#[test]
fn compacted_trees_have_the_vendors_shape() {
    let keep = CompactionRequest::default;
    let purge = || CompactionRequest {
        purge_upto: Some(Seqno::MAX),
        ..CompactionRequest::default()
    };
    for (case, vendors, request) in [
        ("h_boundary", "k_compact_h_boundary", keep()),
        ("d_rich", "k_compact_d_rich", keep()),
        ("d_rich", "k_compact_drop_d_rich", purge()),
    ] {
        let (_, after, _) = compacted(case, request);
        let expected =
            fs::read_to_string(fixture(&format!("{vendors}.shape.txt"))).expect("fixture");
        let trees = |text: &str| {
            // A vBucket's state that we corrected has another length.
            let lines = text
                .lines()
                .filter(|line| case != "d_rich" || !line.starts_with("local"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(trees(&shape(&after)), trees(&expected), "{vendors}");
        let theirs = CouchFile::open_read_only(
            &crate::disk::OsDisk::new(),
            &fixture(&format!("{vendors}.couch.1")),
        );
        assert_eq!(rows(&after), rows(&theirs.expect("opens")), "{vendors}");
    }
}

#[test]
fn damaged_source_is_refused_and_still_serves() {
    for case in ["f_bad_doc", "f_bad_len", "f_bad_seq_root"] {
        let disk = store_with(case);
        let (engine, _) = open(&disk).expect("opens");
        let mut job = engine
            .compact(VB, CompactionRequest::default())
            .expect("begun");
        assert!(
            matches!(to_end(&mut *job, SMALL), Err(EngineError::Corrupt { .. })),
            "{case}"
        );
        assert_eq!(disk.list(&dir()).expect("listed"), ["7.couch.1"], "{case}");
        assert!(job.step(SMALL).is_err(), "{case}: it is over");
        engine.snapshot(VB).expect("there");
    }
    // Rows by key are made from those by seqno, so this damage is gone.
    let disk = store_with("f_bad_id_root");
    let (engine, _) = open(&disk).expect("opens");
    compact(&engine, VB, CompactionRequest::default());
    assert_eq!(contents(&engine, VB).len(), 10);
}

/// Each index is sound by itself, and nothing shows which of the two is right.
#[test]
fn source_with_contradicting_indexes_is_refused() {
    let names = |disk: &MemoryDisk| disk.list(&dir()).expect("listed");
    for twice in [false, true] {
        let disk = MemoryDisk::new();
        let (engine, _) = open(&disk).expect("opens");
        engine.create(VB).expect("created");
        commit(&engine, VB, &[set(1, "a", b"1"), set(2, "b", b"2")]).expect("committed");
        engine.close().expect("closed");
        // A second row by seqno, of a key that the other index does not have, or has under another
        // seqno.
        let view = header_search::newest(
            disk.open(&file(), Access::ReadOnly).expect("there"),
            &file(),
        )
        .expect("opens");
        let mut row = view
            .rows(Seqno(1))
            .expect("readable")
            .next()
            .expect("one")
            .expect("readable");
        row.seqno = Seqno(3);
        let stored = disk.open(&file(), Access::ReadWrite).expect("there");
        let mut out = Appender::new(Source::new(stored, &file(), Checksum::Crc32c), view.end);
        let action = Action {
            key: by_seqno::key(row.seqno),
            value: Some(by_seqno::encode(&row)),
        };
        let mut header = Header {
            update_seq: 3,
            previous: view.position,
            ..view.header.clone()
        };
        let root = btree::modify(
            &mut out,
            Tree::BySeqno,
            header.by_seqno,
            &[action],
            &mut |_, _| Ok(()),
        );
        header.by_seqno = root.expect("written");
        if twice {
            // The counts agree, but a row by id has no row by seqno.
            row.id = bytes::Bytes::from_static(b"\0c");
            let action = Action {
                key: row.id.clone(),
                value: Some(by_id::encode(&row)),
            };
            let root = btree::modify(
                &mut out,
                Tree::ById,
                header.by_id,
                &[action],
                &mut |_, _| Ok(()),
            );
            header.by_id = root.expect("written");
        }
        out.header(&header.encode(block::HEADER)).expect("written");
        let (engine, _) = open(&disk).expect("opens");
        let mut job = engine
            .compact(VB, CompactionRequest::default())
            .expect("begun");
        let error = to_end(&mut *job, SMALL).expect_err("damage").to_string();
        assert!(
            error.contains(if twice {
                "the by-id index has another revision of it"
            } else {
                "3 rows by seqno, but 2 by id"
            }),
            "{error}"
        );
        assert_eq!(names(&disk), ["7.couch.1"]);
    }
}
