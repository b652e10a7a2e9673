//! Files in which one thing is wrong under good checksums: each verification is broken once, and notices.

use std::cell::Cell;
use std::path::Path;

use bytes::Bytes;
use checkpoint::Seqno;

use crate::couchstore::appender::Appender;
use crate::couchstore::block::{DATA, HEADER};
use crate::couchstore::checksum::Checksum;
use crate::couchstore::doc_info::{BODY_COMPRESSED, DocInfo};
use crate::couchstore::header::Header;
use crate::couchstore::node::Entry;
use crate::couchstore::pointer::Pointer;
use crate::couchstore::reduce::{Reduction, Tree};
use crate::couchstore::rev_meta::RevMeta;
use crate::couchstore::source::Source;
use crate::couchstore::tip::Tip;
use crate::couchstore::{by_id, by_seqno, snappy, vbstate};
use crate::disk::{Disk, MemoryDisk};

use super::super::{Finding, FindingKind, Severity, check_tip};
use super::kinds;

const RAW: &[u8] = b"\xff\xff\xff\xff\xff\xff";
const STATE: &[u8] = br#"{"failover_table":[{"id":7,"seq":0}],"max_cas":"5","state":"active"}"#;

/// Where a tree is tampered with; a position counts the leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Leaf(usize),
    Root,
}

type OnRows<'a> = &'a dyn Fn(&mut Vec<DocInfo>, &mut Vec<DocInfo>);
type OnPointer<'a> = &'a dyn Fn(Tree, Place, &mut Bytes, &mut Pointer);

/// A file of six rows, two a leaf, and what is done to it before its checksums are made.
#[derive(Clone, Copy)]
pub(in crate::couchstore) struct Craft<'a> {
    /// The rows of the by-seqno and of the by-id index.
    rows: OnRows<'a>,
    /// Interior key and pointer.
    pointer: OnPointer<'a>,
    header: &'a dyn Fn(&mut Header),
    first_header: &'a dyn Fn(&mut Header),
    state: &'a [u8],
    /// The last leaf of the by-id tree lies a level deeper.
    uneven: bool,
    /// Where the first body begins.
    start: u64,
}

const SOUND: Craft<'static> = Craft {
    rows: &|_, _| {},
    pointer: &|_, _, _, _| {},
    header: &|_| {},
    first_header: &|_| {},
    state: STATE,
    uneven: false,
    start: 60,
};

fn node(out: &mut Appender, kind: u8, entries: &[(Bytes, Bytes)]) -> (u64, u64) {
    let mut raw = vec![kind];
    for (key, value) in entries.iter().cloned() {
        Entry { key, value }.encode(&mut raw);
    }
    out.chunk(&snappy::compress(&raw).expect("small")).expect("written")
}

fn leaf(out: &mut Appender, tree: Tree, entries: &[(Bytes, Bytes)]) -> Pointer {
    let (position, subtree_bytes) = node(out, 1, entries);
    let reduction =
        entries.iter().fold(Reduction::empty(tree), |sum, (_, value)| sum.with_row(value).unwrap_or(sum));
    Pointer { position, subtree_bytes, reduction }
}

fn above(out: &mut Appender, tree: Tree, children: &[(Bytes, Pointer)]) -> Pointer {
    let entries: Vec<_> =
        children.iter().map(|(key, child)| (key.clone(), Bytes::from(child.encode_entry()))).collect();
    let (position, own) = node(out, 0, &entries);
    let sum = |sum, child: &Pointer| sum + child.subtree_bytes;
    Pointer {
        position,
        subtree_bytes: children.iter().map(|(_, child)| child).fold(own, sum),
        reduction: children
            .iter()
            .fold(Reduction::empty(tree), |sum, (_, child)| sum.with_subtree(child.reduction)),
    }
}

impl Craft<'_> {
    fn tree(&self, out: &mut Appender, tree: Tree, rows: &[(Bytes, Bytes)]) -> Option<Pointer> {
        let mut children = Vec::new();
        for (index, rows) in rows.chunks(2).enumerate() {
            let mut pointer = leaf(out, tree, rows);
            let mut key = rows.last().expect("a row").0.clone();
            if self.uneven && tree == Tree::ById && index == 2 {
                pointer = above(out, tree, &[(key.clone(), pointer)]);
            }
            (self.pointer)(tree, Place::Leaf(index), &mut key, &mut pointer);
            children.push((key, pointer));
        }
        let mut root = above(out, tree, &children);
        (self.pointer)(tree, Place::Root, &mut Bytes::new(), &mut root);
        Some(root)
    }

    fn build(&self) -> Tip {
        let path = Path::new("/7.couch.1");
        let source = Source::new(MemoryDisk::new().create(path).expect("new"), path, Checksum::Crc32c);
        let mut first = Header::new();
        (self.first_header)(&mut first);
        source.file.write_at(&[&first.encode(HEADER)], 0).expect("written");
        let mut out = Appender::new(source.clone(), self.start);
        // A body that is no snappy block.
        out.chunk(RAW).expect("written");
        let mut rows: Vec<DocInfo> = (1..=6)
            .map(|seqno| {
                let body = snappy::compress(format!("value {seqno}").as_bytes()).expect("small");
                let (body_position, physical_bytes) = out.chunk(&body).expect("written");
                DocInfo {
                    // The order by key is another than that by seqno.
                    id: Bytes::from(format!("\0key{}", (seqno * 5) % 7)),
                    seqno: Seqno(seqno),
                    rev_seqno: 1,
                    deleted: false,
                    body_position,
                    physical_bytes,
                    content_meta: BODY_COMPRESSED,
                    rev_meta: RevMeta::default().encode(),
                }
            })
            .collect();
        let mut by_id = rows.clone();
        by_id.sort_by(|a, b| a.id.cmp(&b.id));
        (self.rows)(&mut rows, &mut by_id);
        let encode = |encode: fn(&DocInfo) -> (Bytes, Bytes), rows: &[DocInfo]| {
            rows.iter().map(encode).collect::<Vec<_>>()
        };
        let by_id = encode(|row| (row.id.clone(), by_id::encode(row)), &by_id);
        let by_seqno = encode(|row| (by_seqno::key(row.seqno), by_seqno::encode(row)), &rows);
        let mut header = Header { update_seq: 6, previous: 0, ..Header::new() };
        header.by_id = self.tree(&mut out, Tree::ById, &by_id);
        header.by_seqno = self.tree(&mut out, Tree::BySeqno, &by_seqno);
        let state = (Bytes::from_static(vbstate::NAME), Bytes::copy_from_slice(self.state));
        header.local = Some(leaf(&mut out, Tree::Local, &[state]));
        (self.header)(&mut header);
        let (position, encoded) = (out.header_position(), header.encode(DATA));
        out.header(&encoded).expect("written");
        Tip { source, header, position, end: position + encoded.len() as u64 }
    }

    /// One of which only the rows are wrong.
    pub(in crate::couchstore) fn of_rows(rows: OnRows<'_>) -> Craft<'_> {
        Craft { rows, ..SOUND }
    }

    /// The file's bytes, its header activated.
    pub(in crate::couchstore) fn image(&self) -> Vec<u8> {
        let tip = self.build();
        let mut bytes = vec![0; tip.end as usize];
        tip.source.file.read_at(&mut bytes, 0).expect("readable");
        bytes[tip.position as usize] = HEADER;
        bytes
    }

    fn found(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        check_tip(&self.build(), &mut found).expect("a readable disk");
        found
    }
}

/// Checks that these kinds are found and no other.
fn finds(craft: Craft<'_>, expected: &[FindingKind]) -> Vec<Finding> {
    let found = craft.found();
    assert_eq!(kinds(&found), expected.iter().copied().collect(), "{found:#?}");
    assert!(found.iter().all(|finding| !finding.to_string().is_empty()));
    found
}

fn finds_in_rows(rows: OnRows<'_>, expected: &[FindingKind]) -> Vec<Finding> {
    finds(Craft { rows, ..SOUND }, expected)
}

fn both(change: impl Fn(&mut DocInfo), seqno: u64) -> impl Fn(&mut Vec<DocInfo>, &mut Vec<DocInfo>) {
    move |a, b| a.iter_mut().chain(b).filter(|row| row.seqno.0 == seqno).for_each(&change)
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
            let found = finds(Craft { pointer: &bytes, ..SOUND }, &[FindingKind::SubtreeBytes]);
            assert_eq!((found.len(), found[0].tree), (1, Some(tree)), "{place:?}: {found:#?}");
            let sums = |in_tree, at, _: &mut Bytes, pointer: &mut Pointer| {
                if in_tree == tree && at == place {
                    pointer.reduction = match pointer.reduction {
                        Reduction::Rows(rows) => Reduction::Rows(rows + 1),
                        Reduction::Documents { live, deleted, body_bytes } => {
                            Reduction::Documents { live: live - 1, deleted: deleted + 1, body_bytes }
                        }
                        Reduction::Nothing => Reduction::Nothing,
                    };
                }
            };
            finds(Craft { pointer: &sums, ..SOUND }, &[FindingKind::Reduction]);
        }
    }
    let bytes = |_, _, _: &mut Bytes, pointer: &mut Pointer| {
        if let Reduction::Documents { body_bytes, .. } = &mut pointer.reduction {
            *body_bytes -= 1;
        }
    };
    finds(Craft { pointer: &bytes, ..SOUND }, &[FindingKind::Reduction]);
    let local = |header: &mut Header| header.local.as_mut().expect("there").subtree_bytes -= 1;
    finds(Craft { header: &local, ..SOUND }, &[FindingKind::SubtreeBytes]);
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
        finds(Craft { start, pointer: &pointer, header: &old, first_header: &old, ..SOUND }, &[]);
        let new: &[_] = if crosses.get() { &[FindingKind::SubtreeBytes] } else { &[] };
        finds(Craft { start, pointer: &pointer, ..SOUND }, new);
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
    finds(Craft { pointer: &key, ..SOUND }, &[FindingKind::Structure]);
    finds(Craft { uneven: true, ..SOUND }, &[FindingKind::Structure]);
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
    finds(Craft { pointer: &twice, ..SOUND }, &[FindingKind::Node]);
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
    finds(Craft { pointer: &again, ..SOUND }, &[FindingKind::Overlap, FindingKind::Index]);
    let shared = |a: &mut Vec<DocInfo>, b: &mut Vec<DocInfo>| {
        let (position, bytes) = (a[0].body_position, a[0].physical_bytes);
        both(move |row| (row.body_position, row.physical_bytes) = (position, bytes), 4)(a, b);
    };
    let found = finds_in_rows(&shared, &[FindingKind::Overlap]);
    assert_eq!(found[0].seqno, Some(Seqno(4)));
}

#[test]
fn both_indexes_have_the_same_rows() {
    for (rows, said) in [
        (&(|_: &mut Vec<_>, b: &mut Vec<_>| _ = b.remove(2)) as OnRows<'_>, "by-id index has no row"),
        (&|a, _| _ = a.remove(2), "by-seqno index has no row"),
        (&|_, b| b[3].seqno = Seqno(1), "by-id index has another revision"),
        (&|_, b| b[3].rev_seqno = 9, "by-id index says other things"),
        (&|_, b| b[3].rev_meta = RevMeta { cas: 1, ..RevMeta::default() }.encode(), "says other things"),
        (&|a, _| a[3].id = Bytes::from_static(b"\0key9"), "by-seqno index has another document"),
    ] {
        let found = finds_in_rows(rows, &[FindingKind::Index]);
        assert!(found.iter().any(|finding| finding.what.contains(said)), "{said}: {found:#?}");
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
        &both(|row| row.rev_meta = Bytes::from_static(b"16 bytes, as of "), 3),
        &[FindingKind::Meta],
    );
    finds_in_rows(&both(|row| row.content_meta = 0, 3), &[]);
    let late = |a: &mut Vec<DocInfo>, b: &mut Vec<DocInfo>| both(|row| row.seqno = Seqno(7), 6)(a, b);
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
    finds_in_rows(&both(|row| (row.body_position, row.deleted) = (0, true), 2), &[FindingKind::Body]);
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
    finds_in_rows(&both(|row| row.body_position = 1 << 40, 2), &[FindingKind::Body]);
    finds_in_rows(&both(|row| row.physical_bytes -= 1, 2), &[FindingKind::BodyBytes]);
    finds_in_rows(&both(|row| row.physical_bytes += 14, 2), &[FindingKind::BodyBytes]);
    let raw = |row: &mut DocInfo| (row.body_position, row.physical_bytes) = (60, 8 + RAW.len() as u64);
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
    assert_eq!((found[0].offset, found[0].severity()), (48, Severity::Damage));
}

#[test]
fn the_state_is_looked_at() {
    finds(Craft { state: b"{", ..SOUND }, &[FindingKind::State]);
    let with = |more: &str| {
        let state = String::from_utf8_lossy(STATE);
        format!("{{{more},{}", &state[1..]).into_bytes()
    };
    let state = with(r#""snap_start":"5","snap_end":"4""#);
    finds(Craft { state: &state, ..SOUND }, &[FindingKind::State]);
    let state = with(r#""max_visible_seqno":"7""#);
    finds(Craft { state: &state, ..SOUND }, &[FindingKind::State]);
    let state = with(r#""on_disk_prepares":"1","on_disk_prepare_bytes":"1""#);
    finds(Craft { state: &state, ..SOUND }, &[FindingKind::Prepares]);
    let state = with(r#""namespaces_supported":false"#);
    finds(Craft { state: &state, ..SOUND }, &[FindingKind::Namespaces]);
}

#[test]
fn headers_are_followed() {
    finds(Craft { header: &|header| header.purge_seq = 7, ..SOUND }, &[FindingKind::PurgeSeqno]);
    finds(Craft { header: &|header| header.previous = 4096, ..SOUND }, &[FindingKind::Chain]);
    finds(Craft { header: &|header| header.previous = 77, ..SOUND }, &[FindingKind::Chain]);
    finds(Craft { first_header: &|header| header.update_seq = 7, ..SOUND }, &[FindingKind::Chain]);
    finds(Craft { first_header: &|header| header.version = 13, ..SOUND }, &[FindingKind::Chain]);
}
