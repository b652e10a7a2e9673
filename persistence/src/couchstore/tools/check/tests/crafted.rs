//! Files in which one thing is wrong under good checksums: each verification is broken once, and notices.

use std::cell::Cell;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::couchstore::format::{DocInfo, Header, Pointer, Reduction, RevisionMeta, Tree};
use crate::couchstore::tools::check::file_check::check_commit;
use crate::couchstore::tools::{Finding, FindingKind, Severity};

use super::kinds;
use crate::couchstore::tests::craft::{Craft, OnRows, Place, RAW, SOUND, STATE, both};

fn found(craft: Craft<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    check_commit(&craft.build(), &mut found).expect("a readable disk");
    found
}

/// Checks that these kinds are found and no other.
fn finds(craft: Craft<'_>, expected: &[FindingKind]) -> Vec<Finding> {
    let found = found(craft);
    assert_eq!(
        kinds(&found),
        expected.iter().copied().collect(),
        "{found:#?}"
    );
    assert!(found.iter().all(|finding| !finding.to_string().is_empty()));
    found
}

fn finds_in_rows(rows: OnRows<'_>, expected: &[FindingKind]) -> Vec<Finding> {
    finds(Craft { rows, ..SOUND }, expected)
}

#[test]
fn the_file_is_sound_as_it_is() {
    finds(SOUND, &[]);
}

#[test]
fn every_sum_is_made_again() {
    for tree in [Tree::BySeqno, Tree::ById] {
        for place in [Place::Leaf(1), Place::Root] {
            let bytes = |in_tree, at, _: &mut Bytes, pointer: &mut Pointer| {
                pointer.subtree_bytes += u64::from(in_tree == tree && at == place);
            };
            // What is wrong below a pointer is told there, and again where it is summed up.
            let found = finds(
                Craft {
                    pointer: &bytes,
                    ..SOUND
                },
                &[FindingKind::SubtreeBytes],
            );
            assert_eq!(
                (found.len(), found[0].tree),
                (1, Some(tree)),
                "{place:?}: {found:#?}"
            );
            let sums = |in_tree, at, _: &mut Bytes, pointer: &mut Pointer| {
                if in_tree == tree && at == place {
                    pointer.reduction = match pointer.reduction {
                        Reduction::Rows(rows) => Reduction::Rows(rows + 1),
                        Reduction::Documents {
                            live,
                            deleted,
                            body_bytes,
                        } => Reduction::Documents {
                            live: live - 1,
                            deleted: deleted + 1,
                            body_bytes,
                        },
                        Reduction::Nothing => Reduction::Nothing,
                    };
                }
            };
            finds(
                Craft {
                    pointer: &sums,
                    ..SOUND
                },
                &[FindingKind::Reduction],
            );
        }
    }
    let bytes = |_, _, _: &mut Bytes, pointer: &mut Pointer| {
        if let Reduction::Documents { body_bytes, .. } = &mut pointer.reduction {
            *body_bytes -= 1;
        }
    };
    finds(
        Craft {
            pointer: &bytes,
            ..SOUND
        },
        &[FindingKind::Reduction],
    );
    let local = |header: &mut Header| header.local.as_mut().expect("there").subtree_bytes -= 1;
    finds(
        Craft {
            header: &local,
            ..SOUND
        },
        &[FindingKind::SubtreeBytes],
    );
}

/// Up to version 12 a size may count the type bytes inside a chunk; writers of both kinds may have worked on a file.
#[test]
fn old_sizes_are_no_finding() {
    let mut crossing = 0;
    for start in (3600..4000).step_by(10) {
        let crosses = Cell::new(false);
        let pointer = |_, place, _: &mut Bytes, pointer: &mut Pointer| {
            let end = pointer.position + pointer.subtree_bytes;
            if place != Place::Root && pointer.position < 4096 && end > 4096 {
                pointer.subtree_bytes += 1;
                crosses.set(true);
            }
        };
        let old = |header: &mut Header| header.version = 12;
        finds(
            Craft {
                start,
                pointer: &pointer,
                header: &old,
                first_header: &old,
                ..SOUND
            },
            &[],
        );
        let new: &[_] = if crosses.get() {
            &[FindingKind::SubtreeBytes]
        } else {
            &[]
        };
        finds(
            Craft {
                start,
                pointer: &pointer,
                ..SOUND
            },
            new,
        );
        crossing += usize::from(crosses.get());
    }
    assert!(crossing > 0);
}

#[test]
fn the_shape_of_trees_is_looked_at() {
    let key = |tree, place, key: &mut Bytes, _: &mut Pointer| {
        if tree == Tree::ById && place == Place::Leaf(1) {
            *key = Bytes::from_static(b"\0key4x");
        }
    };
    finds(
        Craft {
            pointer: &key,
            ..SOUND
        },
        &[FindingKind::Structure],
    );
    finds(
        Craft {
            uneven: true,
            ..SOUND
        },
        &[FindingKind::Structure],
    );
    // Each leaf is in order, and ends as it should, but the second begins before the first ends.
    let found = finds_in_rows(&|_, by_id| by_id.swap(1, 2), &[FindingKind::Structure]);
    assert_eq!(found.len(), 1, "{found:#?}");
}

#[test]
fn nothing_lies_where_something_else_is() {
    let twice = |tree, place, _: &mut Bytes, pointer: &mut Pointer| {
        if tree == Tree::BySeqno && place == Place::Leaf(2) {
            pointer.position = 60;
        }
    };
    // A body is no node.
    finds(
        Craft {
            pointer: &twice,
            ..SOUND
        },
        &[FindingKind::Node],
    );
    // The same leaf again, under another key.
    let first = Cell::new(None);
    let again = |tree, place, _: &mut Bytes, pointer: &mut Pointer| {
        if tree == Tree::BySeqno && place == Place::Leaf(1) {
            first.set(Some(*pointer));
        }
        if tree == Tree::BySeqno && place == Place::Leaf(2) {
            *pointer = first.get().expect("set before");
        }
    };
    finds(
        Craft {
            pointer: &again,
            ..SOUND
        },
        &[FindingKind::Overlap, FindingKind::Index],
    );
    let shared = |a: &mut Vec<DocInfo>, b: &mut Vec<DocInfo>| {
        let (position, bytes) = (a[0].body_position, a[0].physical_bytes);
        both(
            move |row| (row.body_position, row.physical_bytes) = (position, bytes),
            4,
        )(a, b);
    };
    let found = finds_in_rows(&shared, &[FindingKind::Overlap]);
    assert_eq!(found[0].seqno, Some(Seqno(4)));
}

#[test]
fn both_indexes_have_the_same_rows() {
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
        (&|_, b| b[3].rev_seqno = 9, "by-id index says other things"),
        (
            &|_, b| {
                b[3].rev_meta = RevisionMeta {
                    cas: 1,
                    ..RevisionMeta::default()
                }
                .encode()
            },
            "says other things",
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
    // As many rows in both, and all sums are right.
    let swapped = |_: &mut Vec<DocInfo>, b: &mut Vec<DocInfo>| {
        let (first, second) = (b[0].seqno, b[1].seqno);
        (b[0].seqno, b[1].seqno) = (second, first);
    };
    finds_in_rows(&swapped, &[FindingKind::Index]);
}

#[test]
fn rows_make_sense() {
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
fn bodies_are_read() {
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
    // A node of the tree below is a chunk, too, and even a snappy block.
    let found = finds_in_rows(&both(|row| row.body_position = 48, 2), &[FindingKind::Body]);
    assert_eq!(
        (found[0].offset, found[0].severity()),
        (48, Severity::Damage)
    );
}

#[test]
fn the_state_is_looked_at() {
    finds(
        Craft {
            state: b"{",
            ..SOUND
        },
        &[FindingKind::State],
    );
    let with = |more: &str| {
        let state = String::from_utf8_lossy(STATE);
        format!("{{{more},{}", &state[1..]).into_bytes()
    };
    let state = with(r#""snap_start":"5","snap_end":"4""#);
    finds(
        Craft {
            state: &state,
            ..SOUND
        },
        &[FindingKind::State],
    );
    let state = with(r#""max_visible_seqno":"7""#);
    finds(
        Craft {
            state: &state,
            ..SOUND
        },
        &[FindingKind::State],
    );
    let state = with(r#""on_disk_prepares":"1","on_disk_prepare_bytes":"1""#);
    finds(
        Craft {
            state: &state,
            ..SOUND
        },
        &[FindingKind::Prepares],
    );
    let state = with(r#""namespaces_supported":false"#);
    finds(
        Craft {
            state: &state,
            ..SOUND
        },
        &[FindingKind::Namespaces],
    );
}

#[test]
fn headers_are_followed() {
    finds(
        Craft {
            header: &|header| header.purge_seq = 7,
            ..SOUND
        },
        &[FindingKind::PurgeSeqno],
    );
    finds(
        Craft {
            header: &|header| header.previous = 4096,
            ..SOUND
        },
        &[FindingKind::Chain],
    );
    finds(
        Craft {
            header: &|header| header.previous = 77,
            ..SOUND
        },
        &[FindingKind::Chain],
    );
    finds(
        Craft {
            first_header: &|header| header.update_seq = 7,
            ..SOUND
        },
        &[FindingKind::Chain],
    );
    finds(
        Craft {
            first_header: &|header| header.version = 13,
            ..SOUND
        },
        &[FindingKind::Chain],
    );
}
