//! Pointers to nodes: the position of a node, the size of its subtree on disk, and the subtree's
//! reduction.

use crate::numbers::to_u64;

use super::fields::{Fields, put};
use super::reduction::{Reduction, Tree};

/// A pointer to a node and its subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// Position of the node.
    pub(crate) position: u64,
    /// Size on disk of the node and all below it.
    pub(crate) subtree_bytes: u64,
    /// Reduction of all rows below.
    pub(crate) reduction: Reduction,
}

impl Pointer {
    /// Bytes of a root's fixed part in a header.
    const ROOT_FIXED: usize = 12;

    /// Reads a root from a header: it has no length field, and the reduction takes the rest.
    /// Returns `None` if it is malformed.
    pub(crate) fn decode_root(tree: Tree, bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let (position, subtree_bytes) = (fields.uint(6)?, fields.uint(6)?);
        Some(Self {
            position,
            subtree_bytes,
            reduction: Reduction::decode(tree, fields.rest())?,
        })
    }

    pub(crate) fn encode_root(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::ROOT_FIXED + 16);
        put(&mut out, self.position, 6);
        put(&mut out, self.subtree_bytes, 6);
        self.reduction.encode(&mut out);
        out
    }

    /// Reads the value of an interior node's entry. Returns `None` if it is malformed.
    pub(crate) fn decode_entry(tree: Tree, bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let (position, subtree_bytes) = (fields.uint(6)?, fields.uint(6)?);
        let reduction_bytes = fields.uint(2)?;
        let reduction = fields.rest();
        if to_u64(reduction.len()) != reduction_bytes {
            return None;
        }
        Some(Self {
            position,
            subtree_bytes,
            reduction: Reduction::decode(tree, reduction)?,
        })
    }

    pub(crate) fn encode_entry(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::ROOT_FIXED + 2 + 16);
        put(&mut out, self.position, 6);
        put(&mut out, self.subtree_bytes, 6);
        put(&mut out, self.reduction.encoded_bytes(), 2);
        self.reduction.encode(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interior_entry_matches_the_vendors_bytes() {
        // The first entry of the by-seqno root in the vendor's h_boundary file.
        let stored = [
            0, 0, 0, 2, 0x23, 0x4b, 0, 0, 0, 0, 1, 0xd5, 0, 5, 0, 0, 0, 0, 0x10,
        ];
        let pointer = Pointer::decode_entry(Tree::BySeqno, &stored).expect("valid");
        assert_eq!(
            pointer,
            Pointer {
                position: 140_107,
                subtree_bytes: 469,
                reduction: Reduction::Rows(16)
            }
        );
        assert_eq!(pointer.encode_entry(), stored);
    }

    #[test]
    fn pointer_with_a_reduction_of_wrong_size_is_refused() {
        let stored = [
            0, 0, 0, 2, 0x23, 0x4b, 0, 0, 0, 0, 1, 0xd5, 0, 5, 0, 0, 0, 0, 0x10,
        ];
        assert_eq!(Pointer::decode_entry(Tree::ById, &stored), None);
        assert_eq!(Pointer::decode_entry(Tree::BySeqno, &stored[..18]), None);
        assert_eq!(Pointer::decode_root(Tree::BySeqno, &stored[..11]), None);
    }
}
