//! Wrong sums, sizes, shapes and places of nodes.

use std::cell::Cell;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::couchstore::format::{DocInfo, Header, Pointer, Reduction, Tree};
use crate::couchstore::tests::craft::{Craft, Place, SOUND, both};
use crate::couchstore::tools::FindingKind;

use super::{finds, finds_in_rows};

#[test]
fn every_sum_is_verified() {
    for tree in [Tree::BySeqno, Tree::ById] {
        for place in [Place::Leaf(1), Place::Root] {
            let bytes = |in_tree, at, _: &mut Bytes, pointer: &mut Pointer| {
                pointer.subtree_bytes += u64::from(in_tree == tree && at == place);
            };
            // A wrong size is reported at its pointer, and not at the pointers above.
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

/// Up to version 12 a size may count the type bytes inside a chunk, and both kinds of writers may
/// have worked on a file.
#[test]
fn sizes_of_older_releases_are_no_finding() {
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
fn shape_of_trees_is_verified() {
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
    // Each leaf is in order and ends as it should, but the second begins before the first ends.
    let found = finds_in_rows(&|_, by_id| by_id.swap(1, 2), &[FindingKind::Structure]);
    assert_eq!(found.len(), 1, "{found:#?}");
}

#[test]
fn overlaps_are_found() {
    let twice = |tree, place, _: &mut Bytes, pointer: &mut Pointer| {
        if tree == Tree::BySeqno && place == Place::Leaf(2) {
            pointer.position = 60;
        }
    };
    // A body is not a node.
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
