//! What one segment holds that counts: its bytes go in; frames, items and states come out, each with its append.
//!
//! Always: what is given out is sound, checksum by checksum; nothing depends on what other segments hold.

use lowtide_checkpoint::Namespace;

use crate::contract::EngineError;

use super::entry::{self, Peek};
use super::fingerprint::Fingerprint;
use super::frame::{FrameKind, HEADER_BYTES, Header};
use super::highs::{self, CollectionHighs};
use super::scan::{self, Frame};
use super::segment::{Location, Segment};

/// An item's record.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundItem {
    pub(super) epoch: u32,
    pub(super) fingerprint: Fingerprint,
    pub(super) seqno: u64,
    pub(super) at: Location,
    pub(super) tombstone: bool,
    /// The one it is in, if it is in one.
    pub(super) collection: Option<u32>,
    /// Its append.
    pub(super) number: u64,
}

/// The highest seqno of each collection that these are in.
pub(super) fn highs(items: &[FoundItem]) -> CollectionHighs {
    items
        .iter()
        .filter_map(|item| Some((item.collection?, item.seqno)))
        .collect()
}

/// A vBucket's state.
#[derive(Clone, Debug)]
pub(super) struct FoundState {
    pub(super) epoch: u32,
    pub(super) revision: u64,
    pub(super) high: u64,
    pub(super) at: Location,
    pub(super) bytes: Vec<u8>,
    /// Its append.
    pub(super) number: u64,
}

impl FoundState {
    /// Whether it is the later one of two of an epoch: of copies the one that was written last.
    pub(super) fn is_after(&self, other: &Self) -> bool {
        (self.revision, self.number) > (other.revision, other.number)
    }
}

/// A segment's frames, and the records in those that are whole. Of large records there are the frames only.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Of this use; `None` if the segment was never used.
    pub(super) generation: Option<u64>,
    /// What says that the segment is free, if it is.
    pub(super) free: Option<Header>,
    pub(super) frames: Vec<Frame>,
    pub(super) items: Vec<FoundItem>,
    pub(super) states: Vec<FoundState>,
}

/// Reads frames and records from a segment's bytes. Those before `from` are skipped if the segment's use is the one that
/// is given with it. `valid_bytes` tells, for a generation, where frames were cut off, as for [`scan::frames`].
///
/// # Errors
/// [`EngineError::Corrupt`] if a frame lies behind a damaged one, or a whole frame has a damaged record.
pub(super) fn in_segment(
    segment: &Segment,
    bytes: &[u8],
    hash_key: [u64; 2],
    skip: Option<(u64, u32)>,
    valid_bytes: impl Fn(u64) -> Option<u32>,
) -> Result<Found, EngineError> {
    let scanned = scan::frames(bytes, segment.id, hash_key, valid_bytes);
    if let Some(at) = scanned.beyond_damage {
        return Err(segment.corrupt(at, "a frame is damaged, here or before"));
    }
    let mut found = Found {
        generation: scanned.generation,
        free: scanned.free,
        frames: scanned.frames,
        ..Found::default()
    };
    if let Some((_, from)) = skip.filter(|(generation, _)| found.generation == Some(*generation)) {
        found.frames.retain(|frame| frame.offset >= from);
    }
    for frame in &found.frames {
        if !frame.is_whole || frame.header.kind == FrameKind::Large {
            continue;
        }
        let payload = scan::payload(bytes, frame.offset, &frame.header).unwrap_or_default();
        for record in scan::records_of_whole(payload, frame.offset) {
            let (offset, peek) =
                record.ok_or_else(|| segment.corrupt(frame.offset, "a damaged record"))?;
            let at = Location {
                segment: segment.id,
                offset,
                len: peek.len,
            };
            let number = frame.header.number;
            match item(hash_key, number, at, &peek) {
                Some(item) => found.items.push(item),
                None => found.states.push(state(number, at, &peek)),
            }
        }
    }
    Ok(found)
}

/// The item of a large record, whose first piece is in `segment`; the segment knows the others. Reads all of it.
///
/// # Errors
/// [`EngineError::Disk`]; [`EngineError::Corrupt`] if the record is not sound.
pub(super) fn large(
    segment: &Segment,
    pieces: u32,
    number: u64,
    hash_key: [u64; 2],
) -> Result<FoundItem, EngineError> {
    let corrupt = || segment.corrupt(HEADER_BYTES, "a damaged large record");
    let head = segment.read(HEADER_BYTES, 8)?;
    let len = head
        .get(4..)
        .and_then(|len| len.first_chunk())
        .map_or(0, |len| u32::from_be_bytes(*len));
    if u64::from(len) > u64::from(pieces) * u64::from(segment.bytes) {
        return Err(corrupt());
    }
    let at = Location {
        segment: segment.id,
        offset: HEADER_BYTES,
        len,
    };
    let record = segment.read_record(at)?;
    let peek = entry::peek(&record).ok_or_else(corrupt)?;
    item(hash_key, number, at, &peek).ok_or_else(corrupt)
}

fn item(hash_key: [u64; 2], number: u64, at: Location, peek: &Peek<'_>) -> Option<FoundItem> {
    let namespace = peek.operation?.namespace().unwrap_or(Namespace::System);
    let fingerprint = Fingerprint::of(hash_key, namespace, peek.key);
    let (epoch, seqno, tombstone) = (peek.epoch, peek.seqno, peek.tombstone);
    let collection = highs::of_record(peek);
    Some(FoundItem {
        epoch,
        fingerprint,
        seqno,
        at,
        tombstone,
        collection,
        number,
    })
}

fn state(number: u64, at: Location, peek: &Peek<'_>) -> FoundState {
    let (epoch, revision, high) = (peek.epoch, peek.cas, peek.seqno);
    FoundState {
        epoch,
        revision,
        high,
        at,
        bytes: peek.value.to_vec(),
        number,
    }
}
