//! Wrong rows and bodies, and indexes that contradict each other.

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::contract::Severity;
use crate::couchstore::format::{DocInfo, RevisionMeta};
use crate::couchstore::tests::craft::{OnRows, RAW, both};
use crate::couchstore::tools::FindingKind;

use super::finds_in_rows;

#[test]
fn indexes_are_compared() {
    for (rows, said) in [
        (
            &(|_: &mut Vec<_>, b: &mut Vec<_>| _ = b.remove(2)) as OnRows<'_>,
            "by-id index has no row",
        ),
        (&|a, _| _ = a.remove(2), "by-seqno index has no row"),
        (
            &|_, b| b[3].seqno = Seqno(1),
            "by-id index has another revision",
        ),
        (&|_, b| b[3].rev_seqno = 9, "by-id index has different data"),
        (
            &|_, b| {
                b[3].rev_meta = RevisionMeta {
                    cas: 1,
                    ..RevisionMeta::default()
                }
                .encode()
            },
            "has different data",
        ),
        (
            &|a, _| a[3].id = Bytes::from_static(b"\0key9"),
            "by-seqno index has another document",
        ),
    ] {
        let found = finds_in_rows(rows, &[FindingKind::Index]);
        assert!(
            found.iter().any(|finding| finding.what.contains(said)),
            "{said}: {found:#?}"
        );
    }
    // Both indexes have the same number of rows, and all sums are right.
    let swapped = |_: &mut Vec<DocInfo>, b: &mut Vec<DocInfo>| {
        let (first, second) = (b[0].seqno, b[1].seqno);
        (b[0].seqno, b[1].seqno) = (second, first);
    };
    finds_in_rows(&swapped, &[FindingKind::Index]);
}

#[test]
fn rows_are_verified() {
    finds_in_rows(
        &both(
            |row| row.rev_meta = Bytes::from_static(b"16 bytes, as of "),
            3,
        ),
        &[FindingKind::Meta],
    );
    finds_in_rows(&both(|row| row.content_meta = 0, 3), &[]);
    let late =
        |a: &mut Vec<DocInfo>, b: &mut Vec<DocInfo>| both(|row| row.seqno = Seqno(7), 6)(a, b);
    let found = finds_in_rows(&late, &[FindingKind::Seqno]);
    assert_eq!(found[0].seqno, Some(Seqno(7)));
    finds_in_rows(&both(|row| row.seqno = Seqno(0), 1), &[FindingKind::Seqno]);
    let no_collection = |row: &mut DocInfo| row.id = Bytes::from_static(b"\0key6\xff");
    finds_in_rows(&both(no_collection, 4), &[]);
}

#[test]
fn bodies_are_verified() {
    let gone = |row: &mut DocInfo| (row.body_position, row.physical_bytes) = (0, 0);
    finds_in_rows(&both(gone, 2), &[FindingKind::Body]);
    finds_in_rows(
        &both(|row| (row.body_position, row.deleted) = (0, true), 2),
        &[FindingKind::Body],
    );
    finds_in_rows(
        &both(
            move |row| {
                gone(row);
                row.deleted = true;
            },
            2,
        ),
        &[],
    );
    finds_in_rows(&both(|row| row.body_position += 1, 2), &[FindingKind::Body]);
    finds_in_rows(
        &both(|row| row.body_position = 1 << 40, 2),
        &[FindingKind::Body],
    );
    finds_in_rows(
        &both(|row| row.physical_bytes -= 1, 2),
        &[FindingKind::BodyBytes],
    );
    finds_in_rows(
        &both(|row| row.physical_bytes += 14, 2),
        &[FindingKind::BodyBytes],
    );
    let raw =
        |row: &mut DocInfo| (row.body_position, row.physical_bytes) = (60, 8 + RAW.len() as u64);
    finds_in_rows(&both(raw, 2), &[FindingKind::Body]);
    finds_in_rows(
        &both(
            move |row| {
                raw(row);
                row.content_meta = 0;
            },
            2,
        ),
        &[],
    );
    // A node of the tree below is a chunk as well, and even a snappy block.
    let found = finds_in_rows(&both(|row| row.body_position = 48, 2), &[FindingKind::Body]);
    assert_eq!(
        (found[0].offset, found[0].severity()),
        (48, Severity::Damage)
    );
}
