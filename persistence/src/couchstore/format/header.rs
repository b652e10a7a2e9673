//! File headers: the state of a file at one commit, at the beginning of a block.
//!
//! A header holds the highest seqno, the roots of the three trees and the time, in at most 1,029
//! bytes. A decoded header has passed every check that needs no other byte of the file: checksum,
//! version, sizes, and that everything it points to lies before it.

use crate::numbers::{part_to_usize, to_u64};

use super::checksum::Checksum;
use super::fields::{Fields, put};
use super::pointer::Pointer;
use super::reduction::Tree;

/// The newest version.
const VERSION: u8 = 14;
const VERSION_OLDEST: u8 = 11;
/// First version whose headers have a time.
const VERSION_TIMESTAMP: u8 = 13;
/// First version whose headers name the one before.
pub(crate) const VERSION_PREVIOUS: u8 = 14;

/// Block type, length, checksum.
const FRAME_BYTES: usize = 9;
const CHECKSUM_BYTES: u64 = 4;
const LENGTH_MAX: u64 = 1024;
/// Longest header, block type included.
pub(crate) const HEADER_BYTES_MAX: u64 = 5 + LENGTH_MAX;
/// Shortest root: position and size.
const ROOT_BYTES_MIN: usize = 12;

/// "No header before this one", in 47 bits.
pub(crate) const NO_PREVIOUS: u64 = (1 << 47) - 1;

/// The state of a file at one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The format's version, 11 to 14; the file's for life.
    pub(crate) version: u8,
    /// Highest seqno ever saved.
    pub(crate) update_seq: u64,
    /// Highest tombstone ever purged.
    pub(crate) purge_seq: u64,
    /// Nanoseconds since the epoch; 0 before version 13.
    pub(crate) timestamp: u64,
    /// Position of the header this state was derived from, or [`NO_PREVIOUS`].
    pub(crate) previous: u64,
    /// Whether block 0 describes an encryption.
    pub(crate) encrypted: bool,
    pub(crate) by_seqno: Option<Pointer>,
    pub(crate) by_id: Option<Pointer>,
    pub(crate) local: Option<Pointer>,
}

/// Reason that bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// The header continues beyond the end of the file.
    Truncated,
    /// Neither checksum matches.
    Checksum,
    /// A version before or after those this build knows.
    Version(u8),
    /// The checksum matches, but the content is contradictory.
    Malformed(&'static str),
}

impl std::fmt::Display for HeaderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated => f.write_str("header is cut short"),
            Self::Checksum => f.write_str("checksum of header does not match"),
            Self::Version(version) => write!(f, "format version {version} is not one of 11 to 14"),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

impl Header {
    /// Makes the header of a file of the newest version in which nothing was saved yet.
    pub(crate) const fn new() -> Self {
        Self::of_version(VERSION)
    }

    /// Makes the header of a file in which nothing was saved yet.
    pub(crate) const fn of_version(version: u8) -> Self {
        Self {
            version,
            update_seq: 0,
            purge_seq: 0,
            timestamp: 0,
            previous: NO_PREVIOUS,
            encrypted: false,
            by_seqno: None,
            by_id: None,
            local: None,
        }
    }

    pub(crate) const fn root(&self, tree: Tree) -> Option<Pointer> {
        match tree {
            Tree::BySeqno => self.by_seqno,
            Tree::ById => self.by_id,
            Tree::Local => self.local,
        }
    }

    pub(crate) const fn set_root(&mut self, tree: Tree, root: Option<Pointer>) {
        match tree {
            Tree::BySeqno => self.by_seqno = root,
            Tree::ById => self.by_id = root,
            Tree::Local => self.local = root,
        }
    }

    /// Clears the fields that its version does not store, as reading it back would.
    pub(crate) const fn into_stored(mut self) -> Self {
        if self.version < VERSION_TIMESTAMP {
            self.timestamp = 0;
        }
        if self.version < VERSION_PREVIOUS {
            self.previous = NO_PREVIOUS;
        }
        self
    }

    /// Encodes the header, beginning with `block_type`.
    pub(crate) fn encode(&self, block_type: u8) -> Vec<u8> {
        let [by_seqno, by_id, local] = [self.by_seqno, self.by_id, self.local]
            .map(|root| root.map_or(Vec::new(), |root| root.encode_root()));
        let mut body = vec![self.version];
        put(&mut body, self.update_seq, 6);
        put(&mut body, self.purge_seq, 6);
        put(&mut body, 0, 6);
        for root in [&by_seqno, &by_id, &local] {
            put(&mut body, to_u64(root.len()), 2);
        }
        if self.version >= VERSION_TIMESTAMP {
            put(&mut body, self.timestamp, 8);
        }
        if self.version >= VERSION_PREVIOUS {
            put(&mut body, self.previous << 1 | u64::from(self.encrypted), 6);
        }
        for root in [&by_seqno, &by_id, &local] {
            body.extend_from_slice(root);
        }
        let mut out = Vec::with_capacity(FRAME_BYTES + body.len());
        out.push(block_type);
        put(&mut out, to_u64(body.len()) + CHECKSUM_BYTES, 4);
        put(
            &mut out,
            u64::from(Checksum::of_version(self.version).of(&body)),
            4,
        );
        out.extend_from_slice(&body);
        out
    }

    /// Decodes the header at `position` from the bytes there, block type first. Returns its length
    /// as well.
    pub(crate) fn decode(bytes: &[u8], position: u64) -> Result<(Self, u64), HeaderError> {
        let mut fields = Fields::new(bytes);
        fields.bytes(1).ok_or(HeaderError::Truncated)?;
        let length = fields.uint(4).ok_or(HeaderError::Truncated)?;
        if !(CHECKSUM_BYTES..=LENGTH_MAX).contains(&length) {
            return Err(HeaderError::Malformed("header has an impossible length"));
        }
        let checksum = fields.u32().ok_or(HeaderError::Truncated)?;
        let body = fields
            .bytes(part_to_usize(length - CHECKSUM_BYTES))
            .ok_or(HeaderError::Truncated)?;
        let used = [Checksum::Crc32c, Checksum::Crc32]
            .into_iter()
            .find(|kind| kind.of(body) == checksum);
        let used = used.ok_or(HeaderError::Checksum)?;
        let version = body
            .first()
            .copied()
            .ok_or(HeaderError::Malformed("header without a version"))?;
        if !(VERSION_OLDEST..=VERSION).contains(&version) {
            return Err(HeaderError::Version(version));
        }
        if Checksum::of_version(version) != used {
            return Err(HeaderError::Malformed(
                "header's checksum does not fit its version",
            ));
        }
        let header = Self::decode_body(body, position)
            .ok_or(HeaderError::Malformed("header's sizes don't add up"))?;
        header.check(position)?;
        Ok((header, FRAME_BYTES as u64 + to_u64(body.len())))
    }

    fn decode_body(body: &[u8], position: u64) -> Option<Self> {
        let mut fields = Fields::new(body);
        let mut header = Self::new();
        header.version = fields.u8()?;
        header.update_seq = fields.uint(6)?;
        header.purge_seq = fields.uint(6)?;
        if fields.uint(6)? > position {
            return None;
        }
        let sizes = [
            usize::from(fields.u16()?),
            usize::from(fields.u16()?),
            usize::from(fields.u16()?),
        ];
        if header.version >= VERSION_TIMESTAMP {
            header.timestamp = fields.uint(8)?;
        }
        if header.version >= VERSION_PREVIOUS {
            let word = fields.uint(6)?;
            (header.previous, header.encrypted) = (word >> 1, word & 1 != 0);
        }
        for (tree, size) in [Tree::BySeqno, Tree::ById, Tree::Local]
            .into_iter()
            .zip(sizes)
        {
            let bytes = fields.bytes(size)?;
            if size != 0 {
                if size < ROOT_BYTES_MIN {
                    return None;
                }
                header.set_root(tree, Some(Pointer::decode_root(tree, bytes)?));
            }
        }
        fields.rest().is_empty().then_some(header)
    }

    fn check(&self, position: u64) -> Result<(), HeaderError> {
        if self.points_before(position) {
            Ok(())
        } else {
            Err(HeaderError::Malformed("header points behind itself"))
        }
    }

    /// Returns whether all roots lie before a header at `position`.
    pub(crate) fn points_before(&self, position: u64) -> bool {
        let mut roots = [self.by_seqno, self.by_id, self.local]
            .into_iter()
            .flatten();
        roots.all(|root| root.position < position)
    }
}

#[cfg(test)]
mod tests {
    use crate::couchstore::format::reduction::Reduction;

    use super::*;

    /// The header of the vendor's b_ten file.
    const B_TEN: [u8; 105] = [
        0x01, 0x00, 0x00, 0x00, 0x64, 0x95, 0x7a, 0xd4, 0xe3, 0x0e, 0, 0, 0, 0, 0, 0x0a, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x11, 0x00, 0x1c, 0x00, 0x0c, 0x17, 0x97, 0x9c, 0xfe,
        0x71, 0xc4, 0xca, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x47, 0, 0, 0, 0, 0x01, 0x02,
        0, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0x01, 0x52, 0, 0, 0, 0, 0, 0xf5, 0, 0, 0, 0, 0x0a, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0x01, 0x22, 0, 0, 0, 0, 0x03, 0x49, 0, 0, 0, 0, 0x01, 0xb0,
    ];

    #[test]
    fn header_matches_the_vendors_bytes() {
        let (header, length) = Header::decode(&B_TEN, 4096).expect("valid");
        assert_eq!(length, 105);
        let expected = Header {
            update_seq: 10,
            timestamp: 1_700_000_001_000_000_000,
            previous: 0,
            by_seqno: Some(Pointer {
                position: 583,
                subtree_bytes: 258,
                reduction: Reduction::Rows(10),
            }),
            by_id: Some(Pointer {
                position: 338,
                subtree_bytes: 245,
                reduction: Reduction::Documents {
                    live: 10,
                    deleted: 0,
                    body_bytes: 290,
                },
            }),
            local: Some(Pointer {
                position: 841,
                subtree_bytes: 432,
                reduction: Reduction::Nothing,
            }),
            ..Header::new()
        };
        assert_eq!(header, expected);
        assert_eq!(header.encode(1), B_TEN);
    }

    #[test]
    fn header_of_a_new_file_matches_the_vendors_bytes() {
        let mut expected = vec![0x01, 0, 0, 0, 0x2b, 0x97, 0x8b, 0xad, 0x3a, 0x0e];
        expected.extend([0; 18 + 6 + 8]);
        expected.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(Header::new().encode(1), expected);
        assert_eq!(Header::decode(&expected, 0), Ok((Header::new(), 48)));
    }

    #[test]
    fn header_with_any_change_is_refused() {
        for at in 1..B_TEN.len() {
            let mut bytes = B_TEN;
            bytes[at] ^= 0x10;
            assert!(Header::decode(&bytes, 4096).is_err(), "{at}");
        }
    }

    #[test]
    fn header_that_is_cut_or_points_behind_itself_is_refused() {
        assert_eq!(
            Header::decode(&B_TEN, 841),
            Err(HeaderError::Malformed("header points behind itself"))
        );
        for len in 0..B_TEN.len() {
            assert_eq!(
                Header::decode(&B_TEN[..len], 4096),
                Err(HeaderError::Truncated),
                "{len}"
            );
        }
    }

    #[test]
    fn header_of_another_version_is_not_damage() {
        for version in [10, 15] {
            let bytes = Header {
                version,
                ..Header::new()
            }
            .encode(1);
            assert_eq!(
                Header::decode(&bytes, 0),
                Err(HeaderError::Version(version))
            );
        }
        for version in 11..=13 {
            let header = Header {
                version,
                ..Header::new()
            };
            assert_eq!(
                Header::decode(&header.encode(1), 0).map(|(header, _)| header),
                Ok(header)
            );
        }
    }
}
