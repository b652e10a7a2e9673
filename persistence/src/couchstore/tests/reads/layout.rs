//! T2: the use of a file's bytes agrees with its headers and with the vendor's tools.

use std::fs;
use std::path::Path;

use lowtide_checkpoint::Seqno;

use crate::couchstore::tests::support::fixture;
use crate::couchstore::tools::{CouchFile, Use};
use crate::disk::{Disk, MemoryDisk, OsDisk};

const CASES: [&str; 9] = [
    "a_empty",
    "b_ten",
    "d_rich",
    "e_base",
    "g_ten_v11",
    "h_boundary",
    "j_v7.6.11_d_rich",
    "k_compact_d_rich",
    "k_compact_h_boundary",
];

fn open(case: &str) -> CouchFile {
    CouchFile::open_read_only(&OsDisk::new(), &fixture(&format!("{case}.couch.1"))).expect("opens")
}

#[test]
fn live_and_dead_bytes_add_up_to_the_file() {
    for case in CASES {
        let file = open(case);
        let file_bytes = fs::metadata(fixture(&format!("{case}.couch.1")))
            .expect("there")
            .len();
        for cells_max in [1, 3, 7, 10_000] {
            let layout = file.layout(cells_max).expect("readable");
            assert!(layout.cells.len() as u64 <= cells_max, "{case}");
            for cell in &layout.cells {
                let live: u64 = Use::ALL.into_iter().map(|of| cell.live(of)).sum();
                assert_eq!(live + cell.dead_bytes(), cell.bytes, "{case}");
                assert_eq!(live, cell.live_bytes(), "{case}");
            }
            assert_eq!(layout.total().bytes, file_bytes, "{case}");
        }
    }
}

#[test]
fn layout_matches_the_headers_sums() {
    for case in CASES {
        let file = open(case);
        let (header, layout) = (file.header(), file.layout(1).expect("readable"));
        assert_eq!(layout.by_seqno.disk_bytes, header.by_seqno_bytes, "{case}");
        assert_eq!(layout.by_id.disk_bytes, header.by_id_bytes, "{case}");
        assert_eq!(layout.local.disk_bytes, header.local_bytes, "{case}");
        let rows = header.info.items + header.info.deleted;
        assert_eq!(
            (layout.by_seqno.rows, layout.by_id.rows),
            (rows, rows),
            "{case}"
        );
        let trees = [layout.by_seqno, layout.by_id, layout.local];
        assert!(trees.iter().all(|tree| tree.unreadable == 0), "{case}");
        let total = layout.total();
        // In the file a chunk takes one byte more for each block it crosses into.
        let blocks = total.bytes / 4096 + 1;
        let header_bytes = total.live(Use::Header);
        let live = total.live_bytes() - header_bytes;
        assert!(
            (header.live_bytes..=header.live_bytes + blocks).contains(&live),
            "{case}: {live} {header:?}"
        );
        assert!((25..=1029).contains(&header_bytes), "{case}");
    }
    let layout = open("h_boundary").layout(1).expect("readable");
    assert_eq!(
        (layout.by_seqno.depth, layout.by_seqno.interior_nodes),
        (2, 1)
    );
    assert!(
        layout.by_seqno.fill() > 0.1 && layout.by_seqno.fill() < 1.5,
        "{layout:?}"
    );
}

#[test]
fn unreadable_root_is_counted() {
    let layout = open("f_bad_seq_root").layout(8).expect("readable");
    assert_eq!(
        (
            layout.by_seqno.unreadable,
            layout.by_id.unreadable,
            layout.bodies
        ),
        (1, 0, 10)
    );
    let whole = open("e_base").layout(8).expect("readable").total();
    assert_eq!(
        layout.total().live(Use::Body),
        whole.live(Use::Body),
        "bodies are found by key"
    );
}

#[test]
fn older_headers_match_the_vendors_list() {
    for case in CASES
        .into_iter()
        .chain(["j_v6.6.5_h_boundary", "e_torn_in_doc", "a_created"])
    {
        let text = fs::read_to_string(fixture(&format!("{case}.info.txt"))).expect("fixture");
        let field = |name: &str| -> Vec<u64> {
            let lines = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix(name));
            lines
                .map(|value| {
                    value
                        .trim_start_matches(':')
                        .trim()
                        .parse()
                        .expect("a number")
                })
                .collect()
        };
        let (mut positions, mut highs) = (Vec::new(), Vec::new());
        let mut next = Some(open(case));
        while let Some(file) = next {
            positions.push(file.header().position);
            highs.push(file.header().info.high.0);
            next = file.older().expect("sound");
        }
        assert_eq!(positions, field("Header at file offset"), "{case}");
        assert_eq!(highs, field("update_seq"), "{case}");
    }
}

#[test]
fn rows_by_key_match_rows_by_seqno() {
    for case in CASES {
        let file = open(case);
        let by_key: Vec<_> = file
            .doc_infos_by_key()
            .expect("readable")
            .map(|row| row.expect("readable"))
            .collect();
        assert!(by_key.is_sorted_by(|a, b| a.id < b.id), "{case}");
        let mut sorted = by_key;
        sorted.sort_by_key(|row| row.seqno);
        let by_seqno: Vec<_> = file
            .doc_infos(Seqno(0))
            .expect("readable")
            .map(|row| row.expect("readable"))
            .collect();
        assert_eq!(sorted, by_seqno, "{case}");
    }
}

#[test]
fn body_found_twice_counts_once() {
    let whole = open("h_boundary").layout(1).expect("readable");
    let bytes = fs::read(fixture("h_boundary.couch.1")).expect("fixture");
    let path = Path::new("/7.couch.1");
    // A leaf of the by-seqno tree lies somewhere behind the bodies.
    let halves = (bytes.len() - 8000..bytes.len() - 200)
        .step_by(20)
        .filter(|&at| {
            let disk = MemoryDisk::new();
            let stored = disk.create(path).expect("new");
            stored.write_at(&[&bytes], 0).expect("written");
            stored
                .write_at(&[&[bytes[at] ^ 1]], at as u64)
                .expect("written");
            let opened = CouchFile::open_read_only(&disk, path);
            let Ok(layout) = opened.and_then(|file| file.layout(1)) else {
                return false;
            };
            assert!(layout.bodies <= whole.bodies, "{at}");
            let is_half = layout.by_seqno.leaves == 1 && layout.by_id.unreadable == 0;
            if is_half {
                assert_eq!(layout.bodies, whole.bodies);
                assert_eq!(
                    layout.total().live(Use::Body),
                    whole.total().live(Use::Body)
                );
            }
            is_half
        });
    assert!(halves.count() > 0);
}
