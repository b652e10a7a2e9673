//! Files with a single flaw under right checksums: rows, pointers, headers and states are changed
//! before the checksums are made.

use std::path::Path;

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

use crate::couchstore::file::{Appender, CommitView, Source};
use crate::couchstore::format::block::{DATA, HEADER};
use crate::couchstore::format::document_info::BODY_COMPRESSED;
use crate::couchstore::format::{
    Checksum, DocInfo, Entry, Header, Pointer, Reduction, RevisionMeta, Tree, by_id, by_seqno,
    snappy, vbucket_state,
};
use crate::disk::{Disk, MemoryDisk};

pub(crate) const RAW: &[u8] = b"\xff\xff\xff\xff\xff\xff";
pub(crate) const STATE: &[u8] =
    br#"{"failover_table":[{"id":7,"seq":0}],"max_cas":"5","state":"active"}"#;

/// The place of a change in a tree. The number counts the leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Leaf(usize),
    Root,
}

pub(crate) type OnRows<'a> = &'a dyn Fn(&mut Vec<DocInfo>, &mut Vec<DocInfo>);
pub(crate) type OnPointer<'a> = &'a dyn Fn(Tree, Place, &mut Bytes, &mut Pointer);

/// A file of six rows, two in each leaf, and the changes to make before its checksums.
#[derive(Clone, Copy)]
pub(crate) struct Craft<'a> {
    /// Changes the rows of the by-seqno and of the by-id index.
    pub(crate) rows: OnRows<'a>,
    /// Changes an interior key and its pointer.
    pub(crate) pointer: OnPointer<'a>,
    pub(crate) header: &'a dyn Fn(&mut Header),
    pub(crate) first_header: &'a dyn Fn(&mut Header),
    pub(crate) state: &'a [u8],
    /// Whether the last leaf of the by-id tree lies a level deeper.
    pub(crate) uneven: bool,
    /// Position of the first body.
    pub(crate) start: u64,
}

pub(crate) const SOUND: Craft<'static> = Craft {
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
    out.chunk(&snappy::compress(&raw).expect("small"))
        .expect("written")
}

fn leaf(out: &mut Appender, tree: Tree, entries: &[(Bytes, Bytes)]) -> Pointer {
    let (position, subtree_bytes) = node(out, 1, entries);
    let reduction = entries
        .iter()
        .fold(Reduction::empty(tree), |sum, (_, value)| {
            sum.with_row(value).unwrap_or(sum)
        });
    Pointer {
        position,
        subtree_bytes,
        reduction,
    }
}

fn above(out: &mut Appender, tree: Tree, children: &[(Bytes, Pointer)]) -> Pointer {
    let entries: Vec<_> = children
        .iter()
        .map(|(key, child)| (key.clone(), Bytes::from(child.encode_entry())))
        .collect();
    let (position, own) = node(out, 0, &entries);
    let sum = |sum, child: &Pointer| sum + child.subtree_bytes;
    Pointer {
        position,
        subtree_bytes: children.iter().map(|(_, child)| child).fold(own, sum),
        reduction: children
            .iter()
            .fold(Reduction::empty(tree), |sum, (_, child)| {
                sum.with_subtree(child.reduction)
            }),
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

    pub(crate) fn build(&self) -> CommitView {
        let path = Path::new("/7.couch.1");
        let source = Source::new(
            MemoryDisk::new().create(path).expect("new"),
            path,
            Checksum::Crc32c,
        );
        let mut first = Header::new();
        (self.first_header)(&mut first);
        source
            .file
            .write_at(&[&first.encode(HEADER)], 0)
            .expect("written");
        let mut out = Appender::new(source.clone(), self.start);
        // A body that is not a snappy block.
        out.chunk(RAW).expect("written");
        let mut rows: Vec<DocInfo> = (1..=6)
            .map(|seqno| {
                let body = snappy::compress(format!("value {seqno}").as_bytes()).expect("small");
                let (body_position, physical_bytes) = out.chunk(&body).expect("written");
                DocInfo {
                    // The order by key differs from that by seqno.
                    id: Bytes::from(format!("\0key{}", (seqno * 5) % 7)),
                    seqno: Seqno(seqno),
                    rev_seqno: 1,
                    deleted: false,
                    body_position,
                    physical_bytes,
                    content_meta: BODY_COMPRESSED,
                    rev_meta: RevisionMeta::default().encode(),
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
        let by_seqno = encode(
            |row| (by_seqno::key(row.seqno), by_seqno::encode(row)),
            &rows,
        );
        let mut header = Header {
            update_seq: 6,
            previous: 0,
            ..Header::new()
        };
        header.by_id = self.tree(&mut out, Tree::ById, &by_id);
        header.by_seqno = self.tree(&mut out, Tree::BySeqno, &by_seqno);
        let state = (
            Bytes::from_static(vbucket_state::NAME),
            Bytes::copy_from_slice(self.state),
        );
        header.local = Some(leaf(&mut out, Tree::Local, &[state]));
        (self.header)(&mut header);
        let (position, encoded) = (out.header_position(), header.encode(DATA));
        out.header(&encoded).expect("written");
        CommitView {
            source,
            header,
            position,
            end: position + encoded.len() as u64,
        }
    }

    /// Makes a file in which only the rows are wrong.
    pub(crate) fn of_rows(rows: OnRows<'_>) -> Craft<'_> {
        Craft { rows, ..SOUND }
    }

    /// Makes a file in which only a pointer is wrong: that to the third leaf of the by-id tree
    /// counts one row too many.
    pub(crate) fn of_wrong_sums() -> Craft<'static> {
        let pointer = &|tree, place, _: &mut Bytes, pointer: &mut Pointer| {
            if let (Tree::ById, Place::Leaf(2), Reduction::Documents { live, .. }) =
                (tree, place, &mut pointer.reduction)
            {
                *live += 1;
            }
        };
        Craft { pointer, ..SOUND }
    }

    /// Makes a file whose last leaf of the by-id tree cannot be read.
    pub(crate) fn of_unreadable_leaf(rows: OnRows<'_>) -> Craft<'_> {
        let pointer = &|tree, place, _: &mut Bytes, pointer: &mut Pointer| {
            if (tree, place) == (Tree::ById, Place::Leaf(2)) {
                pointer.position = 60;
            }
        };
        Craft {
            pointer,
            rows,
            ..SOUND
        }
    }

    /// Returns the file's bytes, with its header activated.
    pub(crate) fn image(&self) -> Vec<u8> {
        let view = self.build();
        let mut bytes = vec![0; view.end as usize];
        view.source.file.read_at(&mut bytes, 0).expect("readable");
        bytes[view.position as usize] = HEADER;
        bytes
    }
}

/// Makes the same change of a seqno's row in both indexes.
pub(crate) fn both(
    change: impl Fn(&mut DocInfo),
    seqno: u64,
) -> impl Fn(&mut Vec<DocInfo>, &mut Vec<DocInfo>) {
    move |a, b| {
        a.iter_mut()
            .chain(b)
            .filter(|row| row.seqno.0 == seqno)
            .for_each(&change)
    }
}
