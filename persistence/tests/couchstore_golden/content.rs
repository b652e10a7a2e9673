//! Sound files: everything in them equals the output of the vendor's tools.

use bytes::Bytes;
use lowtide_checkpoint::Seqno;
use lowtide_persistence::ScanLimit;

use super::support::{check, check_header, open};

#[test]
fn content_equals_the_vendors_dumps() {
    for case in [
        "b_ten",
        "d_rich",
        "e_base",
        "h_boundary",
        "g_ten_v11",
        "g_ten_v12",
        "g_ten_v13",
    ] {
        check(case);
    }
}

#[test]
fn files_of_older_releases_are_read() {
    for release in ["6.6.5", "7.6.11"] {
        for case in ["b_ten", "d_rich", "h_boundary"] {
            check(&format!("j_v{release}_{case}"));
        }
    }
}

#[test]
fn files_compacted_by_the_vendor_are_read() {
    for case in [
        "k_compact_d_rich",
        "k_compact_drop_d_rich",
        "k_compact_h_boundary",
    ] {
        check(case);
        assert_eq!(open(case).expect("opens").header().previous, None);
    }
    assert_eq!(open("d_rich").expect("opens").header().previous, Some(8192));
}

#[test]
fn files_without_documents_are_read() {
    for (case, position, previous) in [("a_created", 0, None), ("a_empty", 4096, Some(0))] {
        let file = open(case).expect("opens");
        check_header(case, &file);
        assert_eq!(
            (file.header().position, file.header().previous),
            (position, previous)
        );
        assert!(
            file.scan(Seqno(0), Seqno::MAX, ScanLimit::NONE)
                .expect("readable")
                .items
                .is_empty()
        );
        assert_eq!(file.local_docs().expect("readable"), []);
        assert_eq!(file.state().expect("readable"), None);
    }
}

#[test]
fn local_documents_and_state_are_read() {
    let file = open("d_rich").expect("opens");
    let names: Vec<Bytes> = file
        .local_docs()
        .expect("readable")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        [
            "_local/collections/manifest",
            "_local/collections/open",
            "_local/vbstate",
            "|0x0|"
        ]
    );
    let state = file.state().expect("readable").expect("there");
    assert_eq!(state.failover_log.newest().uuid.0, 223_141_296_423_145);
    assert_eq!(
        (state.snapshot_start, state.snapshot_end),
        (Seqno(18), Seqno(18))
    );
    assert_eq!(
        (state.prepared_seqno, state.max_deleted_rev_seqno),
        (Seqno(14), 17)
    );
    assert_eq!(state.replication_topology, [["n_0", "n_1"]]);
}
