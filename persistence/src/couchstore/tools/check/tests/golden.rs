//! The vendor's files are sound, and deliberate damage is found at its place.

use crate::couchstore::format::Tree;
use crate::couchstore::tools::FindingKind::{Body, Header, Node, Prepares, Tail};

use super::{check, fixture, kinds};

#[test]
fn files_of_the_vendor_are_sound() {
    for (case, rows, headers) in [
        ("a_created", 0, 1),
        ("a_empty", 0, 2),
        ("b_ten", 10, 2),
        ("e_base", 10, 3),
        ("g_ten_v11", 10, 1),
        ("g_ten_v12", 10, 1),
        ("g_ten_v13", 10, 1),
        ("j_v6.6.5_b_ten", 10, 2),
        ("j_v7.6.11_b_ten", 10, 2),
        ("h_boundary", 36, 7),
        ("j_v6.6.5_h_boundary", 36, 7),
        ("j_v7.6.11_h_boundary", 36, 7),
        ("k_compact_h_boundary", 36, 1),
    ] {
        let (found, report) = check(&fixture(case));
        assert_eq!(found, [], "{case}");
        assert_eq!((report.rows, report.headers), (rows, headers), "{case}");
    }
    // The state in these files was written by hand, without prepares.
    for case in [
        "d_rich",
        "j_v6.6.5_d_rich",
        "j_v7.6.11_d_rich",
        "k_compact_d_rich",
        "k_compact_drop_d_rich",
    ] {
        let (found, report) = check(&fixture(case));
        assert_eq!(kinds(&found), [Prepares].into(), "{case}: {found:?}");
        assert!(report.rows > 10 && report.bodies > 0, "{case}");
    }
}

#[test]
fn remains_of_a_crash_are_notes() {
    for case in [
        "e_torn_in_doc",
        "e_torn_before_header",
        "e_torn_header_type0",
        "e_header_not_activated",
        "e_zero_tail",
    ] {
        let (found, report) = check(&fixture(case));
        assert_eq!(kinds(&found), [Tail].into(), "{case}: {found:?}");
        assert_eq!(report.rows, 10, "{case}");
        assert_eq!(
            found[0].what.contains("is not activated"),
            case == "e_header_not_activated",
            "{case}"
        );
    }
}

#[test]
fn damage_is_found_at_its_place() {
    for (case, kind, offset, tree) in [
        ("e_torn_in_header", Header, 12_288, None),
        ("f_bad_header", Header, 12_288, None),
        ("f_bad_blocktype", Header, 12_288, None),
        ("f_bad_doc", Body, 5459, None),
        ("f_bad_len", Body, 5459, None),
        ("f_bad_id_root", Node, 7346, Some(Tree::ById)),
        ("f_bad_seq_root", Node, 7610, Some(Tree::BySeqno)),
    ] {
        let (found, _) = check(&fixture(case));
        let first = &found[0];
        assert_eq!(
            (first.kind, first.offset, first.tree),
            (kind, offset, tree),
            "{case}: {found:?}"
        );
        assert!(
            found[1..].iter().all(|finding| finding.kind == Tail),
            "{case}: {found:?}"
        );
        if kind == Body {
            assert_eq!(first.key.as_deref(), Some(&b"\0key02"[..]), "{case}");
        }
    }
}

#[test]
fn file_without_a_header_is_one_finding() {
    for bytes in [&b""[..], b"x", &[0; 5000]] {
        let (found, report) = check(bytes);
        assert!(
            kinds(&found) == [Header].into() && report.headers == 0,
            "{found:?}"
        );
    }
}
