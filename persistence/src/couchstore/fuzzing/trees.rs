//! Files with sound checksums and arbitrary trees: bytes become nodes, and pointers among them lead
//! to other nodes of the file.

use std::path::Path;

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::file::{Appender, Source};
use crate::couchstore::format::fields::put;
use crate::couchstore::format::node::take_lengths;
use crate::couchstore::format::{
    Checksum, Entry, Fields, Header, NodeKind, Pointer, Reduction, Tree, block, snappy,
};
use crate::disk::{Disk, MemoryDisk};

/// Builds a file of the nodes in `bytes` and uses it as [`super::file`] does.
///
/// The first three bytes choose the roots, the next three the high seqno. Then each node is two
/// bytes of length, and that number of bytes of content.
pub fn trees(bytes: &[u8]) {
    if let Ok(Some(image)) = build(bytes) {
        super::file(&image);
    }
}

fn build(bytes: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
    let mut fields = Fields::new(bytes);
    let (Some(roots), Some(high)) = (fields.bytes(3), fields.uint(3)) else {
        return Ok(None);
    };
    let path = Path::new("/file");
    let file = MemoryDisk::new().create(path)?;
    let mut header = Header {
        update_seq: high,
        ..Header::new()
    };
    let first = header.encode(block::HEADER);
    file.write_at(&[&first], 0)?;
    let source = Source::new(file, path, Checksum::Crc32c);
    let mut out = Appender::new(source.clone(), first.len() as u64);
    let mut positions = Vec::new();
    while let Some(body) = fields.uint(2).and_then(|length| {
        let length = (length as usize).min(fields.rest().len());
        fields.bytes(length).filter(|body| !body.is_empty())
    }) {
        let body = linked(body, &positions);
        let Some(compressed) = snappy::compress(&body) else {
            return Ok(None);
        };
        positions.push(out.chunk(&compressed)?.0);
    }
    for (tree, &choice) in [Tree::BySeqno, Tree::ById, Tree::Local]
        .into_iter()
        .zip(roots)
    {
        // One choice of 256 is an empty tree.
        let position = chosen(&positions, choice).filter(|_| choice != u8::MAX);
        let reduction = Reduction::empty(tree);
        header.set_root(
            tree,
            position.map(|position| Pointer {
                position,
                subtree_bytes: 0,
                reduction,
            }),
        );
    }
    header.previous = 0;
    out.header(&header.encode(block::HEADER))?;
    Ok(Some(source.read_raw(0, source.file.len()?)?))
}

fn chosen(positions: &[u64], choice: u8) -> Option<u64> {
    positions
        .iter()
        .rev()
        .cycle()
        .take(256)
        .nth(usize::from(choice))
        .copied()
}

/// Returns a node's content with pointers that lead to existing nodes. The byte in a position's
/// place chooses the node.
fn linked(body: &[u8], positions: &[u64]) -> Vec<u8> {
    if body.first() != Some(&NodeKind::Interior.type_byte()) {
        return body.to_vec();
    }
    let mut linked = vec![NodeKind::Interior.type_byte()];
    let mut fields = Fields::new(body.get(1..).unwrap_or_default());
    let mut left = fields;
    while let Some((key, value)) = take_lengths(&mut fields).and_then(|(key_bytes, value_bytes)| {
        Some((fields.bytes(key_bytes)?, fields.bytes(value_bytes)?))
    }) {
        let target = value
            .split_first_chunk::<6>()
            .zip(value.first().and_then(|&choice| chosen(positions, choice)));
        let value = target.map_or_else(
            || value.to_vec(),
            |((_, rest), position)| {
                let mut value = Vec::with_capacity(value.len());
                put(&mut value, position, 6);
                value.extend_from_slice(rest);
                value
            },
        );
        Entry {
            key: Bytes::copy_from_slice(key),
            value: Bytes::from(value),
        }
        .encode(&mut linked);
        left = fields;
    }
    linked.extend_from_slice(left.rest());
    linked
}
