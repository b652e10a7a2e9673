//! A vBucket on its way out: a pinned view goes in, pieces of bytes come out, which [`Logstor::import`] takes.
//!
//! ```text
//! piece    "LTEX" | version u8 | kind u8 | 0 u16 | number u32 | payload bytes u32 | CRC-32C u32 of all that but itself
//! kinds    head (1): what the vBucket is | records (2): as in the log, of epoch 0, ascending by seqno | end (3): sums
//! ```
//!
//! Numbers are big-endian. Always (L35): an export is the vBucket as it was when it began, whatever is committed, rewritten
//! or dropped meanwhile; a piece has at most [`PIECE_BYTES`] and a record. Of an export that lacks a piece, has one twice or
//! one with any bit changed, nothing is taken. What came after the pin is the host's to bring, by a stream from
//! [`Export::high`] on.

use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;

use lowtide_checkpoint::{Item, Seqno, VBucketState, Vbid};
use serde::{Deserialize, Serialize};

use crate::contract::{EngineError, ScanLimit, Snapshot, VBucketInfo};
use crate::record;

use super::entry::{self, FIXED_BYTES, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use super::purged::Purged;
use super::snapshot::LogSnapshot;
use super::state::{self, STATE_BYTES_MAX};
use super::{Logstor, config};

/// A piece ends with the record that reaches this.
const PIECE_BYTES: usize = 64 << 10;
/// The longest payload that is taken.
pub(super) const PAYLOAD_BYTES_MAX: usize =
    2 * PIECE_BYTES + FIXED_BYTES + 32 + KEY_BYTES_MAX + VALUE_BYTES_MAX;
pub(super) const PREFIX_BYTES: usize = 20;
const MAGIC: [u8; 4] = *b"LTEX";
const VERSION: u8 = 2;
/// Records are many: so few that a slice of small ones is bounded too.
const ITEMS: usize = 1024;

/// What a vBucket is, besides its items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) vb: u16,
    pub(super) high: u64,
    pub(super) purged: Purged,
    pub(super) state: Option<Vec<u8>>,
}

/// Behind the last record.
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

const KINDS: [(PieceKind, u8); 3] = [
    (PieceKind::Head, 1),
    (PieceKind::Records, 2),
    (PieceKind::End, 3),
];

/// What begins a piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    pub(super) kind: PieceKind,
    pub(super) number: u32,
    pub(super) payload_bytes: u32,
    crc: u32,
    checked: [u8; PREFIX_BYTES - 4],
}

impl Prefix {
    /// The prefix in these bytes, if they are one.
    pub(super) fn decode(bytes: &[u8; PREFIX_BYTES]) -> Option<Self> {
        let (checked, crc) = bytes.split_last_chunk::<4>()?;
        let [_, _, _, _, VERSION, code, 0, 0, ..] = *bytes else {
            return None;
        };
        let u32_at = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let kind = KINDS.iter().find(|(_, known)| *known == code)?.0;
        let (number, payload_bytes) = (u32_at(8)?, u32_at(12)?);
        let is_sound = checked.starts_with(&MAGIC) && payload_bytes as usize <= PAYLOAD_BYTES_MAX;
        let crc = u32::from_be_bytes(*crc);
        is_sound.then_some(Self {
            kind,
            number,
            payload_bytes,
            crc,
            checked: checked.try_into().ok()?,
        })
    }

    /// Whether a payload is its.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        crc32c::crc32c_append(crc32c::crc32c(&self.checked), payload) == self.crc
    }
}

fn piece(kind: PieceKind, number: u32, payload: &[u8]) -> Vec<u8> {
    let code = KINDS
        .iter()
        .find(|(known, _)| *known == kind)
        .map_or(0, |(_, code)| *code);
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[VERSION, code, 0, 0]);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), payload);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Head,
    Records { from: Seqno },
    End,
    Over,
}

/// A vBucket as it was when the export began, piece by piece. It stays pinned until this is dropped.
#[derive(Debug)]
pub struct Export {
    vb: Vbid,
    snapshot: LogSnapshot,
    stage: Stage,
    number: u32,
    records: u64,
}

impl Logstor {
    /// Begins to export a vBucket.
    ///
    /// # Errors
    /// [`EngineError::UnknownVBucket`].
    pub fn export(&self, vb: Vbid) -> Result<Export, EngineError> {
        let snapshot = LogSnapshot::new(self.store.branch(vb)?, Arc::clone(&self.store.shared));
        Ok(Export {
            vb,
            snapshot,
            stage: Stage::Head,
            number: 0,
            records: 0,
        })
    }
}

impl Export {
    /// Leaves so many numbers of pieces, for tests.
    #[cfg(test)]
    pub(super) fn leave_numbers(&mut self, count: u32) {
        self.number = u32::MAX - count;
    }

    /// Everything up to there is in it: a stream from there on brings what came since.
    #[must_use]
    pub fn high(&self) -> Seqno {
        self.snapshot.high()
    }

    /// The state that goes with it.
    #[must_use]
    pub fn state(&self) -> Option<&VBucketState> {
        self.snapshot.state()
    }

    /// Its figures.
    #[must_use]
    pub fn info(&self) -> VBucketInfo {
        self.snapshot.info()
    }

    /// The next piece; `None` when there is none left. After an error the same piece is tried again.
    ///
    /// # Errors
    /// [`EngineError::Disk`] or [`EngineError::Corrupt`].
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>, EngineError> {
        let (kind, payload, next) = match self.stage {
            Stage::Head => (
                PieceKind::Head,
                self.head()?,
                Stage::Records { from: Seqno::ZERO },
            ),
            Stage::Records { from } => {
                let slice = self.snapshot.scan(
                    from,
                    Seqno::MAX,
                    ScanLimit {
                        items: ITEMS,
                        bytes: PIECE_BYTES,
                    },
                )?;
                let mut payload = Vec::new();
                for item in &slice.items {
                    // Whatever is stored can be.
                    let _ = entry::put_item(&mut payload, 0, item);
                }
                self.records += slice.items.len() as u64;
                let next = slice
                    .next
                    .map_or(Stage::End, |from| Stage::Records { from });
                (PieceKind::Records, payload, next)
            }
            Stage::End => (
                PieceKind::End,
                encoded(&End {
                    records: self.records,
                })?,
                Stage::Over,
            ),
            Stage::Over => return Ok(None),
        };
        let used_up = || EngineError::NumbersUsedUp {
            path: exported(self.vb),
            what: "numbers of its pieces",
        };
        let following = self.number.checked_add(1).ok_or_else(used_up)?;
        let piece = piece(kind, self.number, &payload);
        (self.stage, self.number) = (next, following);
        Ok(Some(piece))
    }

    fn head(&self) -> Result<Vec<u8>, EngineError> {
        let state = self
            .snapshot
            .state()
            .map(|state| state::encode(state).ok_or_else(too_large));
        let (high, purged) = (self.high().0, self.snapshot.purged().clone());
        encoded(&Head {
            vb: self.vb.0,
            high,
            purged,
            state: state.transpose()?,
        })
    }
}

/// What an export is called in errors.
pub(super) fn exported(vb: Vbid) -> PathBuf {
    PathBuf::from(format!("export of vBucket {vb}"))
}

/// The longest head: a state, and little else.
pub(super) const HEAD_BYTES_MAX: usize = STATE_BYTES_MAX + config::BLOCK_BYTES as usize;

fn encoded(value: &impl Serialize) -> Result<Vec<u8>, EngineError> {
    record::encode(value, HEAD_BYTES_MAX).ok_or_else(too_large)
}

fn too_large() -> EngineError {
    EngineError::InvalidArgument("the vBucket's state is too large".to_owned())
}

/// The items in a piece's payload; `None` at one that is damaged, and nothing behind.
pub(super) fn items(payload: &Bytes) -> impl Iterator<Item = Option<Item>> {
    let mut at = 0_usize;
    std::iter::from_fn(move || {
        let rest = payload.get(at..).filter(|rest| !rest.is_empty())?;
        let len = entry::peek(rest).map(|peek| peek.len as usize);
        let item = len.and_then(|_| entry::item(&payload.slice(at..)));
        at = len
            .filter(|_| item.is_some())
            .map_or(payload.len(), |len| at.saturating_add(len));
        Some(item)
    })
}
