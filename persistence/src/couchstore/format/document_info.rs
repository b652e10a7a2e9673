//! A row of the indexes: everything about a revision except its body. Both indexes hold the same
//! rows in different layouts.

use bytes::Bytes;
use lowtide_checkpoint::Seqno;

/// One revision as the indexes store it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocInfo {
    /// The key as it is stored, with its prefixes.
    pub id: Bytes,
    /// The revision's place in the vBucket's order.
    pub seqno: Seqno,
    /// Number of revisions the document has had.
    pub rev_seqno: u64,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Position of the body; 0 if there is none.
    pub body_position: u64,
    /// Size of the body on disk, as its writer counted it: for statistics only.
    pub physical_bytes: u64,
    /// Bit 7: the body is compressed by the store. Bits 0 to 3: 0 for JSON, 3 for anything else.
    pub content_meta: u8,
    /// Metadata of the layer above: CAS, expiry, flags, datatype.
    pub rev_meta: Bytes,
}

/// A [`DocInfo`] that borrows from a node in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) seqno: Seqno,
    pub(crate) rev_seqno: u64,
    pub(crate) deleted: bool,
    pub(crate) body_position: u64,
    pub(crate) physical_bytes: u64,
    pub(crate) content_meta: u8,
    pub(crate) rev_meta: &'a [u8],
}

/// The body is stored compressed.
pub(crate) const BODY_COMPRESSED: u8 = 0x80;
/// The body is not JSON.
pub(crate) const NOT_JSON: u8 = 0x03;

/// Bit for tombstones in the word that also holds the body's position.
const DELETED_BIT: u32 = 47;

impl DocInfo {
    /// Returns the word that both indexes use for "deleted" and the body's position.
    pub(crate) fn position_word(&self) -> u64 {
        u64::from(self.deleted) << DELETED_BIT | self.body_position
    }

    /// Splits the word that [`DocInfo::position_word`] makes.
    pub(crate) const fn split_position(word: u64) -> (bool, u64) {
        (word >> DELETED_BIT != 0, word & ((1 << DELETED_BIT) - 1))
    }

    /// Borrows the row.
    pub(crate) fn row(&self) -> Row<'_> {
        Row {
            id: &self.id,
            seqno: self.seqno,
            rev_seqno: self.rev_seqno,
            deleted: self.deleted,
            body_position: self.body_position,
            physical_bytes: self.physical_bytes,
            content_meta: self.content_meta,
            rev_meta: &self.rev_meta,
        }
    }

    /// Returns whether the body must be decompressed.
    #[must_use]
    pub const fn is_compressed(&self) -> bool {
        self.content_meta & BODY_COMPRESSED != 0
    }
}

impl Row<'_> {
    /// Copies the row.
    pub(crate) fn to_info(self) -> DocInfo {
        DocInfo {
            id: Bytes::copy_from_slice(self.id),
            seqno: self.seqno,
            rev_seqno: self.rev_seqno,
            deleted: self.deleted,
            body_position: self.body_position,
            physical_bytes: self.physical_bytes,
            content_meta: self.content_meta,
            rev_meta: Bytes::copy_from_slice(self.rev_meta),
        }
    }

    /// Returns whether the body must be decompressed.
    pub(crate) const fn is_compressed(&self) -> bool {
        self.content_meta & BODY_COMPRESSED != 0
    }
}
