//! Writing one node: its entries are encoded, its chunk is appended, and a pointer to it is
//! returned.
//!
//! What always holds: a pointer's subtree size and reduction are the sums over the node's entries.

use bytes::Bytes;
use lowtide_checkpoint::internal::checked_invariant;

use crate::contract::EngineError;
use crate::couchstore::file::Appender;
use crate::couchstore::format::fields::U48_MAX;
use crate::couchstore::format::{Entries, Entry, Node, NodeKind, Pointer, Reduction, Tree};

/// Appends a node of at least one entry. Returns its last key and the pointer to it.
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
    out.return_scratch(raw);
    Ok((last_key, pointer?))
}

/// Appends a node that is encoded, type byte first, with at least one entry. Returns the pointer to
/// it.
///
/// # Errors
/// [`EngineError::Corrupt`] if an entry cannot be summed up, or the sums exceed their fields; [`EngineError::InvalidArgument`] if
/// the node is too large; [`EngineError::Disk`] or [`EngineError::Unsupported`] as
/// [`Appender::chunk`].
pub(crate) fn append(
    out: &mut Appender,
    tree: Tree,
    kind: NodeKind,
    raw: &[u8],
) -> Result<Pointer, EngineError> {
    checked_invariant!(
        Node::of_raw(raw.to_vec()).is_ok_and(|node| node.kind == kind),
        "E34",
        "a node that is written can be read"
    );
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
    if !pointer.reduction.fits() || pointer.subtree_bytes > U48_MAX {
        let what = format!(
            "the sums of a node in the {} exceed their fields",
            tree.name()
        );
        return Err(out.source().corrupt(position, what));
    }
    Ok(pointer)
}

/// Reads the value of an interior entry while a tree is being changed.
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
