//! The format of an export: a sequence of pieces.
//!
//! ```text
//! piece    "LTEX" | version u8 | kind u8 | 0 u16 | number u32 | payload bytes u32
//!          CRC-32C u32 of all that but itself | payload
//! kinds    head (1): what the vBucket is
//!          records (2): as in the log, of epoch 0, ascending by seqno
//!          end (3): sums
//! ```
//!
//! Numbers are big-endian.
//!
//! # Invariants
//!
//! A piece of records has at most [`PIECE_BYTES`] and a record. An export that lacks a piece, has
//! one twice, or has one with a changed bit is refused as a whole (L35).

use std::path::PathBuf;

use bytes::Bytes;
use lowtide_checkpoint::{Item, Vbid};
use serde::{Deserialize, Serialize};

use crate::contract::EngineError;
use crate::logstor::format::{
    FIXED_BYTES, KEY_BYTES_MAX, PurgedTombstones, RecordView, VALUE_BYTES_MAX, decode_item, to_u32,
    to_usize, u32_at,
};
use crate::shared::record::{self, FRAME_BYTES};

/// A piece ends with the record that reaches this.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// Length of the longest payload that is accepted.
const PAYLOAD_BYTES_MAX: usize =
    2 * PIECE_BYTES + FIXED_BYTES + 32 + KEY_BYTES_MAX + VALUE_BYTES_MAX;
pub(super) const PREFIX_BYTES: usize = 20;
const MAGIC: [u8; 4] = *b"LTEX";
const VERSION: u8 = 2;

/// The head of an export: everything of a vBucket except its items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) vb: u16,
    pub(super) high: u64,
    pub(super) purged: PurgedTombstones,
    pub(super) state: Option<Vec<u8>>,
}

/// The end of an export, behind the last record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) records: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    Head,
    Records,
    End,
}

impl PieceKind {
    const ALL: [Self; 3] = [Self::Head, Self::Records, Self::End];

    const fn code(self) -> u8 {
        match self {
            Self::Head => 1,
            Self::Records => 2,
            Self::End => 3,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// The prefix of a piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    pub(super) kind: PieceKind,
    pub(super) number: u32,
    pub(super) payload_bytes: u32,
    crc: u32,
    checked: [u8; PREFIX_BYTES - 4],
}

impl Prefix {
    /// Decodes a prefix, if it is sound.
    pub(super) fn decode(bytes: &[u8; PREFIX_BYTES]) -> Option<Self> {
        let (checked, crc) = bytes.split_last_chunk::<4>()?;
        let [_, _, _, _, VERSION, code, 0, 0, ..] = *bytes else {
            return None;
        };
        let kind = PieceKind::of_code(code)?;
        let number = u32_at(bytes, 8)?;
        let payload_bytes = u32_at(bytes, 12)?;
        let is_sound = checked.starts_with(&MAGIC) && to_usize(payload_bytes) <= PAYLOAD_BYTES_MAX;
        let crc = u32::from_be_bytes(*crc);
        is_sound.then_some(Self {
            kind,
            number,
            payload_bytes,
            crc,
            checked: checked.try_into().ok()?,
        })
    }

    /// Returns whether a payload has the right checksum.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        crc32c::crc32c_append(crc32c::crc32c(&self.checked), payload) == self.crc
    }
}

/// Encodes a piece.
pub(super) fn piece(kind: PieceKind, number: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[VERSION, kind.code(), 0, 0]);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&to_u32(payload.len()).to_be_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), payload);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Returns the path of an export in errors.
pub(super) fn exported(vb: Vbid) -> PathBuf {
    PathBuf::from(format!("export of vBucket {vb}"))
}

/// Length of the longest head or end, without its frame: any that a piece can hold. A head has a
/// number for each tombstone that was spared, and so for each collection.
pub(super) const HEAD_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - FRAME_BYTES;

/// Encodes a head or an end.
pub(super) fn encoded(value: &impl Serialize) -> Result<Vec<u8>, EngineError> {
    record::encode(value, HEAD_BYTES_MAX).ok_or_else(too_large)
}

pub(super) fn too_large() -> EngineError {
    EngineError::InvalidArgument(
        "the vBucket's state and its spared tombstones are too large for an export".to_owned(),
    )
}

/// Returns the items of a piece's payload. `None` at a damaged record, which ends the iteration.
pub(super) fn items(payload: &Bytes) -> impl Iterator<Item = Option<Item>> {
    let mut at = 0_usize;
    std::iter::from_fn(move || {
        let rest = payload.get(at..).filter(|rest| !rest.is_empty())?;
        let len = RecordView::verified(rest).map(|record| to_usize(record.len));
        let item = len.and_then(|_| decode_item(&payload.slice(at..)));
        at = len
            .filter(|_| item.is_some())
            .map_or(payload.len(), |len| at + len);
        Some(item)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piece_of_another_version_is_refused_though_its_checksum_is_right() {
        let payload = b"head";
        let with_version = |version| {
            let mut bytes = piece(PieceKind::Head, 0, payload);
            bytes[4] = version;
            let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..PREFIX_BYTES - 4]), payload);
            bytes[PREFIX_BYTES - 4..PREFIX_BYTES].copy_from_slice(&crc.to_be_bytes());
            let prefix = bytes.first_chunk().and_then(Prefix::decode);
            prefix.map(|prefix| prefix.fits(payload))
        };
        assert_eq!(with_version(VERSION), Some(true));
        for version in [0, VERSION - 1, VERSION + 1, u8::MAX] {
            assert_eq!(with_version(version), None, "{version}");
        }
    }
}
