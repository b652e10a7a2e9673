//! Trees that no writer makes, with valid checksums: reading and changing them ends with an error.

use std::path::Path;

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::btree::{Action, DEPTH_MAX, Walk, lookup, modify, shape};
use crate::couchstore::file::{Appender, CommitView, Source};
use crate::couchstore::format::block::DATA;
use crate::couchstore::format::{Checksum, Entry, Header, Pointer, Reduction, Tree, snappy};
use crate::disk::{Disk, MemoryDisk};

fn pointer(position: u64) -> Pointer {
    Pointer {
        position,
        subtree_bytes: 0,
        reduction: Reduction::Nothing,
    }
}

fn source() -> Source {
    let path = Path::new("/0.couch.1");
    Source::new(
        MemoryDisk::new().create(path).expect("new"),
        path,
        Checksum::Crc32c,
    )
}

fn node(out: &mut Appender, kind: u8, entries: &[(&str, Bytes)]) -> u64 {
    let mut raw = vec![kind];
    for (key, value) in entries {
        Entry {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: value.clone(),
        }
        .encode(&mut raw);
    }
    out.chunk(&snappy::compress(&raw).expect("small"))
        .expect("written")
        .0
}

fn to(position: u64) -> Bytes {
    pointer(position).encode_entry().into()
}

/// Makes a file whose local tree is built by `build`, which returns the root's position.
fn file(build: impl FnOnce(&mut Appender) -> u64) -> CommitView {
    let source = source();
    let mut out = Appender::new(source.clone(), 48);
    let header = Header {
        local: Some(pointer(build(&mut out))),
        ..Header::new()
    };
    let (position, encoded) = (out.header_position(), header.encode(DATA));
    out.header(&encoded).expect("written");
    CommitView {
        source,
        header,
        position,
        end: position + encoded.len() as u64,
    }
}

fn is_corrupt<T>(result: Result<T, EngineError>) -> bool {
    matches!(result, Err(EngineError::Corrupt { .. }))
}

fn walk(view: &CommitView) -> Result<usize, EngineError> {
    Walk::from(view, Tree::Local, b"")?
        .map(|entry| entry.map(|_| 1))
        .sum()
}

fn change(view: &CommitView, key: &'static str) -> Result<Option<Pointer>, EngineError> {
    let mut out = Appender::new(view.source.clone(), view.end);
    let action = Action {
        key: Bytes::from_static(key.as_bytes()),
        value: Some(Bytes::from_static(b"new")),
    };
    modify(
        &mut out,
        Tree::Local,
        view.header.local,
        &[action],
        &mut |_, _| Ok(()),
    )
}

#[test]
fn node_below_itself_is_an_error() {
    let view = file(|out| {
        let position = out.position();
        node(out, 0, &[("k", to(position))])
    });
    assert!(is_corrupt(lookup(&view, Tree::Local, b"a")));
    assert!(is_corrupt(walk(&view)));
    assert!(is_corrupt(shape(&view, Tree::Local)));
    assert!(is_corrupt(change(&view, "a")));
}

#[test]
fn tree_deeper_than_the_limit_is_an_error() {
    for (levels, sound) in [(DEPTH_MAX - 1, true), (DEPTH_MAX, false)] {
        let view = file(|out| {
            let leaf = node(out, 1, &[("k", Bytes::from_static(b"v"))]);
            (0..levels).fold(leaf, |below, _| node(out, 0, &[("k", to(below))]))
        });
        assert_eq!(lookup(&view, Tree::Local, b"k").is_ok(), sound);
        assert_eq!(walk(&view).is_ok(), sound);
        assert_eq!(shape(&view, Tree::Local).is_ok(), sound);
        assert_eq!(change(&view, "k").is_ok(), sound);
    }
}

#[test]
fn repeated_nodes_are_an_error() {
    // Forty levels of two pointers to the same node are a million million leaves.
    let view = file(|out| {
        let leaf = node(out, 1, &[("a", Bytes::from_static(b"v"))]);
        (0..40).fold(leaf, |below, _| {
            node(out, 0, &[("a", to(below)), ("b", to(below))])
        })
    });
    assert!(is_corrupt(walk(&view)));
    assert!(is_corrupt(shape(&view, Tree::Local)));
}

#[test]
fn pointers_to_nothing_are_an_error() {
    for position in [0, 1, 47, 4095, 1 << 40] {
        let view = file(|_| position);
        assert!(is_corrupt(lookup(&view, Tree::Local, b"k")), "{position}");
        assert!(is_corrupt(change(&view, "k")), "{position}");
    }
    let view = file(|out| node(out, 0, &[("k", Bytes::from_static(b"no pointer"))]));
    assert!(is_corrupt(lookup(&view, Tree::Local, b"k")));
    assert!(is_corrupt(walk(&view)));
    assert!(is_corrupt(change(&view, "k")));
}

/// Found by mutating files: the change was acknowledged, and no reader found it.
#[test]
fn node_that_contradicts_its_parents_key_is_an_error() {
    let value = || Bytes::from_static(b"v");
    for last in ["k", "l", "z"] {
        let view = file(|out| {
            let first = node(out, 1, &[("a", value()), (last, value())]);
            let second = node(out, 1, &[("p", value()), ("q", value())]);
            node(out, 0, &[("k", to(first)), ("q", to(second))])
        });
        for key in ["a", "b", "k"] {
            assert_eq!(change(&view, key).is_ok(), last == "k", "{last} {key}");
        }
        assert_eq!(walk(&view).is_ok(), last != "z");
    }
}

/// Guards E34. Each sum is right by itself, and their total does not fit the field of the node above.
#[test]
fn sums_beyond_their_fields_are_an_error() {
    let counted = |position, rows| -> Bytes {
        let reduction = Reduction::Rows(rows);
        let pointer = Pointer {
            reduction,
            ..pointer(position)
        };
        pointer.encode_entry().into()
    };
    for (rows, is_sound) in [((1 << 40) - 4, true), ((1 << 40) - 2, false)] {
        let view = file(|out| {
            let value = || Bytes::from_static(b"v");
            let first = node(out, 1, &[("a", value()), ("k", value())]);
            let second = node(out, 1, &[("p", value()), ("q", value())]);
            node(
                out,
                0,
                &[("k", counted(first, 2)), ("q", counted(second, rows))],
            )
        });
        let mut root = view.header.local.expect("made");
        root.reduction = Reduction::Rows(0);
        let action = Action {
            key: Bytes::from_static(b"b"),
            value: Some(Bytes::from_static(b"new")),
        };
        let mut out = Appender::new(view.source.clone(), view.end);
        let root = modify(
            &mut out,
            Tree::BySeqno,
            Some(root),
            &[action],
            &mut |_, _| Ok(()),
        );
        if is_sound {
            let root = root.expect("fits").expect("has rows");
            assert_eq!(root.reduction, Reduction::Rows(rows + 3));
        } else {
            assert!(is_corrupt(root));
        }
    }
}

/// Guards E34. A child has keys below those of the child before it. Cut in two, it would give its
/// parent keys that do not ascend, in a node that no reader accepts.
#[test]
fn child_with_keys_of_the_child_before_it_is_not_cut() {
    let long = || Bytes::from(vec![b'v'; 120]);
    let keys = ["b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "z"];
    let overlapping: Vec<_> = keys.iter().map(|&key| (key, long())).collect();
    let view = file(|out| {
        let first = node(out, 1, &[("a", long()), ("m", long())]);
        let second = node(out, 1, &overlapping);
        node(out, 0, &[("m", to(first)), ("z", to(second))])
    });
    assert!(is_corrupt(change(&view, "y")));
    assert!(change(&view, "a").is_ok(), "the other child is sound");
}
