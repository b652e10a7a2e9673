//! Writing one node: entries in order go in, the node's chunk is appended, the pointer to it comes out.
//!
//! Always: a pointer's subtree size and reduction are the sums of what the node's entries say.

use bytes::Bytes;

use crate::contract::EngineError;
use crate::couchstore::file::Appender;
use crate::couchstore::format::{Entries, Entry, NodeKind, Pointer, Reduction, Tree};

/// Appends a node; says its last key and where it is. `entries` are at least one.
pub(crate) fn write(
    out: &mut Appender,
    tree: Tree,
    kind: NodeKind,
    entries: impl IntoIterator<Item = Entry>,
) -> Result<(Bytes, Pointer), EngineError> {
    let mut raw = out.take_scratch();
    raw.push(kind.type_byte());
    let mut last_key = Bytes::new();
    for entry in entries {
        entry.encode(&mut raw);
        last_key = entry.key;
    }
    let pointer = append(out, tree, kind, &raw);
    out.give_back(raw);
    Ok((last_key, pointer?))
}

/// Appends a node of at least one entry that is encoded, its type byte before; says where it is.
///
/// # Errors
/// [`EngineError::Corrupt`] if an entry can't be summed up; [`EngineError::InvalidArgument`] if the node is too large;
/// [`EngineError::Disk`] or [`EngineError::Unsupported`] as [`Appender::chunk`].
pub(crate) fn append(
    out: &mut Appender,
    tree: Tree,
    kind: NodeKind,
    raw: &[u8],
) -> Result<Pointer, EngineError> {
    let mut pointer = Pointer {
        position: 0,
        subtree_bytes: 0,
        reduction: Reduction::empty(tree),
    };
    for (_, value) in Entries::of_raw(raw) {
        sum_up(out, tree, kind, &mut pointer, value)?;
    }
    let (position, disk_bytes) = out.append_node(kind, raw)?.ok_or_else(|| {
        EngineError::InvalidArgument(format!("a node of {} bytes is too large", raw.len()))
    })?;
    pointer.position = position;
    pointer.subtree_bytes = pointer.subtree_bytes.saturating_add(disk_bytes);
    Ok(pointer)
}

/// Reads an interior entry's value while a tree is being changed.
pub(crate) fn decode_pointer(
    out: &Appender,
    tree: Tree,
    value: &[u8],
) -> Result<Pointer, EngineError> {
    let pointer = Pointer::decode_entry(tree, value);
    pointer.ok_or_else(|| {
        out.source().corrupt(
            out.position(),
            format!("bad pointer in the {}", tree.name()),
        )
    })
}

fn sum_up(
    out: &Appender,
    tree: Tree,
    kind: NodeKind,
    pointer: &mut Pointer,
    value: &[u8],
) -> Result<(), EngineError> {
    match kind {
        NodeKind::Leaf => {
            let reduction = pointer.reduction.with_row(value);
            pointer.reduction = reduction.ok_or_else(|| {
                let what = format!("a row in the {} is too short", tree.name());
                out.source().corrupt(out.position(), what)
            })?;
        }
        NodeKind::Interior => {
            let child = decode_pointer(out, tree, value)?;
            pointer.reduction = pointer.reduction.with_subtree(child.reduction);
            pointer.subtree_bytes = pointer.subtree_bytes.saturating_add(child.subtree_bytes);
        }
    }
    Ok(())
}
